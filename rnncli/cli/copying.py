"""The work of `rnncli memorized`: a sample, and what of it stands in the training part."""

from collections.abc import Sequence

from rnncli.data.config import ReadConfig
from rnncli.data.reading import read
from rnncli.data.tokenizers.base import Ids, Tokenizer
from rnncli.errors import CorpusError
from rnncli.evaluation.config import SamplingConfig
from rnncli.evaluation.memorization import Source
from rnncli.generation.sampler import Writer
from rnncli.generation.texts import GrowingText, Limits, stream_text
from rnncli.results import Copied, Copies
from rnncli.storage.model_dir import ModelDir
from rnncli.workflows.generate import predictor
from rnncli.workflows.prompts import context, forbidden

_SHOWN_RUNS = 10
# Noncharacters (Unicode 23.7), which no text has: what is unknown is never the same here and there.
_UNKNOWN_THERE, _UNKNOWN_HERE = "\ufdd0", "\ufdd1"
# As often as the model thinks: below 1 it would write what is probable, and so copy, more often.
_SAMPLING = SamplingConfig(temperature=1.0)


def named(given: Sequence[str], config: ReadConfig) -> tuple[str, str]:
    """The name of some texts and all they hold; raises CorpusError."""
    text = read(given, config)
    return text.name, text.content


def written(folder: ModelDir, device: str, length: int, seed: int) -> tuple[str, str]:
    """What the model writes by itself, every line anew where it knows nothing of the one before."""
    tokenizer, unit = folder.tokenizer(), folder.record().unit
    writes, ids = predictor(folder, device), context(tokenizer, unit, "")
    begin, never, parts = writes.begin(ids), forbidden(tokenizer), list[str]()
    lines, tokens = 1 if unit == "line" else None, 0
    while tokens < length:
        lane = len(parts)
        writer = Writer(writes, begin, ids, _SAMPLING, seed, range(lane, lane + 1), never)
        text = GrowingText(tokenizer, ids.tolist(), Limits(length - tokens, lines))
        parts.append("".join(stream_text(writer, text)))
        tokens += text.tokens
    return f"{tokens:,} tokens written by {folder.path.name}", "".join(parts)


def compared(folder: ModelDir, name: str, sample: str, least: int) -> Copies:
    """How much of the sample stands in the training part, beside as much of the held-out part.

    Raises CorpusError where there is nothing to compare.
    """
    store = folder.corpus()
    # As the model reads it: blanks between words, and what it does not know.
    sample = _text(store.tokenizer, store.tokenizer.encode(sample), _UNKNOWN_HERE)
    if not sample:
        raise CorpusError(f"{name} has nothing to look at", hint="give a text with characters in it")
    text = _text(store.tokenizer, store.train.ids[0 : store.train.tokens], _UNKNOWN_THERE)
    source = Source(text, least)
    ids = store.valid.ids[0 : min(store.valid.tokens, len(sample))]
    usual = _text(store.tokenizer, ids, _UNKNOWN_HERE)[: len(sample)]
    runs, usual_runs = source.runs(sample), source.runs(usual)
    longest = sorted(runs, key=lambda run: -run.length)[:_SHOWN_RUNS]
    return Copies(
        name=name,
        characters=len(sample),
        least=least,
        share=sum(run.length for run in runs) / len(sample),
        usual_share=sum(run.length for run in usual_runs) / len(usual) if usual else None,
        longest=tuple(
            Copied(
                sample[run.start : run.start + run.length],
                run.length,
                run.start,
                run.source,
                text.count("\n", 0, run.source) + 1,
            )
            for run in longest
        ),
    )


def _text(tokenizer: Tokenizer, ids: Ids, unknown: str) -> str:
    """What some ids (N,) stand for, with a mark of ours for what is unknown: nothing was copied there."""
    decoder, parts = tokenizer.decoder(), list[str]()
    for token in ids.tolist():
        piece = decoder.push(token)
        parts.append(unknown if token == tokenizer.unknown_id else piece)
    return "".join(parts) + decoder.finish()
