"""What `rnncli eval` scores, a text that was named or a part of the model's own, and the score."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from rnncli.cli import corpora
from rnncli.errors import ConfigError, CorpusError
from rnncli.inference.breakdown import by_frequency, by_line, by_position
from rnncli.inference.config import Adaptation, By, Cache
from rnncli.inference.evaluation import evaluate
from rnncli.inference.mixing import adaptive_score, compare, token_nats
from rnncli.model.language_model import LanguageModel
from rnncli.model.mixture import Mixture
from rnncli.model.ngram import Ngram
from rnncli.reports import Adaptive, Evaluation, Share
from rnncli.storage.model_dir import ModelDir
from rnncli.text import reading
from rnncli.text.config import ReadConfig, Reset
from rnncli.text.counting import count
from rnncli.text.lines import line_starts
from rnncli.text.reading import Text
from rnncli.text.segments import encode_segments
from rnncli.text.store import Part
from rnncli.text.tokenizers import decode

_DESCRIBED = {"valid": "held-out part", "test": "test part"}


def read_part(
    folder: ModelDir,
    given: Sequence[str],
    config: ReadConfig,
    reset: Reset | None,
    note: Callable[[str], None],
) -> tuple[str, Part]:
    """A text as a part, cut as the model cuts; its unknown symbols are named. Raises CorpusError.

    Where memory is emptied `reset` says, or the model's own unit.
    """
    text = reading.read(given, config)
    note(f"{text.name} read as {text.encoding}")
    return text.name, as_part(folder, text, reset, note)


def as_part(folder: ModelDir, text: Text, reset: Reset | None, note: Callable[[str], None]) -> Part:
    """The same for a text that was read before."""
    tokenizer = folder.tokenizer()
    unseen = corpora.describe_unseen(tokenizer, text.content)
    if unseen:
        note(f"{text.name} has symbols that the model does not know, scored as <unk>: {unseen}")
    ids, starts = encode_segments(tokenizer, text.content, reset or _own_reset(folder))
    if not len(ids):
        raise CorpusError(f"{text.name} has nothing to score", hint="give a text with characters in it")
    unknown = tokenizer.unknown_id
    return Part(
        ids=ids,
        counts=count(text.content),
        oov_tokens=0 if unknown is None else int(np.count_nonzero(ids == unknown)),
        line_starts=starts,
    )


def own_part(folder: ModelDir, name: str, reset: Reset | None = None) -> tuple[str, Part]:
    """A part of the text that the model comes from; raises CorpusError where it has none."""
    store = folder.corpus()
    part = store.parts[name]
    if not part.tokens:
        raise CorpusError(f"{store.name} has no {_DESCRIBED[name]}", hint="train with --test-fraction 0.1")
    if reset not in (None, _own_reset(folder)):
        text = decode(store.tokenizer, part.ids[0 : part.tokens].tolist())
        ids, starts = encode_segments(store.tokenizer, text, reset)
        part = replace(part, ids=ids, line_starts=starts)
    return f"{_DESCRIBED[name]} of {store.name}", part


def _own_reset(folder: ModelDir) -> Reset:
    return "line" if folder.record().unit == "line" else "never"


def scored_part(folder: ModelDir, network: LanguageModel, part: Part, weighed_on_it: bool) -> Evaluation:
    """The network's score, or, where the folder has an n-gram, both and their mixture.

    `weighed_on_it` says that the weights of the mixture were fitted on this very part.
    """
    beside = _beside(folder, weighed_on_it)
    if beside is None:
        return evaluate(network, part.ids, part.counts, part.oov_tokens, part.line_starts)
    return compare(network, *beside, part.ids, part.counts, part.oov_tokens, part.line_starts)


def broken_down(
    folder: ModelDir, network: LanguageModel, part: Part, weighed_on_it: bool, by: By
) -> tuple[Share, ...]:
    """Where the nats of the model as a whole are, by what was asked for."""
    ids = part.ids[0 : part.tokens]
    nats = token_nats(network, _beside(folder, weighed_on_it), ids, part.line_starts)
    if by == "position":
        return by_position(nats, part.line_starts)
    if by == "frequency":
        train = folder.corpus().train.ids
        return by_frequency(
            nats, ids, np.bincount(train[0 : len(train)], minlength=network.config.vocab_size)
        )
    tokenizer = folder.tokenizer()
    return by_line(nats, ids, line_starts(ids, int(tokenizer.encode("\n")[-1])), tokenizer)


def _beside(folder: ModelDir, weighed_on_it: bool) -> tuple[Ngram, Mixture | None] | None:
    """The n-gram and the weights that may be used: none where they were fitted on what is to be scored."""
    kept = folder.ngram()
    return None if kept is None else (kept[0], None if weighed_on_it else kept[1])


def adaptive_part(
    folder: ModelDir,
    network: LanguageModel,
    part: Part,
    weighed_on_it: bool,
    adaptation: Adaptation | None,
    cache: Cache | None,
) -> Adaptive:
    """The score of network, n-gram if there is one, and cache, learning as they go.

    Raises ConfigError where lines know nothing of one another: there is nothing to go on from.
    """
    if part.line_starts is not None:
        raise ConfigError(
            "where memory is emptied there is nothing to adapt along",
            hint="leave out --adapt and --cache, or add --reset never",
        )
    beside = _beside(folder, weighed_on_it)
    train = folder.corpus().train.ids
    score = adaptive_score(network, train, beside, adaptation, cache, part.ids, part.counts, part.oov_tokens)
    parts = [
        "network" if adaptation is None else f"network adapting at rate {adaptation.rate:g}",
        None if beside is None else f"{beside[0].order}-gram",
        None if cache is None else f"cache of {cache.size:,} tokens with {cache.share:.0%}",
    ]
    return Adaptive(score, ", ".join(part for part in parts if part is not None))
