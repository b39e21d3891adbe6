"""The work of `rnncli memorized`: a sample, and what of it stands in the training part."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from rnncli.cli import writing
from rnncli.errors import CorpusError
from rnncli.inference.config import SamplingConfig
from rnncli.inference.generation import Writer
from rnncli.inference.texts import GrowingText, Limits, stream_text
from rnncli.reports import Copied, Copies
from rnncli.storage.model_dir import ModelDir
from rnncli.text.config import ReadConfig
from rnncli.text.copies import copied_runs
from rnncli.text.reading import read
from rnncli.text.store import Part
from rnncli.text.tokenizers import Tokenizer, decode

_SHOWN_RUNS = 10


def named(given: Sequence[str], config: ReadConfig) -> tuple[str, str]:
    """The name of some texts and all they hold; raises CorpusError."""
    text = read(given, config)
    return text.name, text.content


def written(folder: ModelDir, device: str, length: int, seed: int) -> tuple[str, str]:
    """What the model writes by itself, every line anew where it knows nothing of the one before."""
    tokenizer, unit = folder.tokenizer(), folder.record().unit
    predictor, ids = writing.predictor(folder, device), writing.context(tokenizer, unit, "")
    begin, never, parts = predictor.begin(ids), writing.forbidden(tokenizer), list[str]()
    lines, tokens = 1 if unit == "line" else None, 0
    while tokens < length:
        lane = len(parts)
        writer = Writer(predictor, begin, ids, SamplingConfig(), seed, range(lane, lane + 1), never)
        text = GrowingText(tokenizer, ids.tolist(), Limits(length - tokens, lines))
        parts.append("".join(stream_text(writer, text)))
        tokens += text.tokens
    return f"{tokens:,} tokens written by {folder.path.name}", "".join(parts)


def compared(folder: ModelDir, name: str, sample: str, least: int) -> Copies:
    """How much of the sample stands in the training part, beside as much of the held-out part.

    Raises CorpusError where there is nothing to compare.
    """
    if not sample:
        raise CorpusError(f"{name} has nothing to look at", hint="give a text with characters in it")
    store = folder.corpus()
    source = _text(store.tokenizer, store.train, store.train.tokens)
    runs = copied_runs(sample, source, least)
    usual = _text(store.tokenizer, store.valid, min(store.valid.tokens, len(sample)))
    usual_runs = copied_runs(usual, source, least)
    line_ends = list(accumulate(len(line) for line in source.splitlines(keepends=True)))
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
                bisect_right(line_ends, run.source) + 1,
            )
            for run in longest
        ),
    )


def _text(tokenizer: Tokenizer, part: Part, tokens: int) -> str:
    return decode(tokenizer, part.ids[0:tokens].tolist())
