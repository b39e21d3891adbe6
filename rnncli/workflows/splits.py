"""What is scored: a text that was named, or a part of the model's own, cut as the model cuts."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rnncli.data import reading
from rnncli.data.config import ReadConfig, Reset
from rnncli.data.counting import count
from rnncli.data.lines import line_starts
from rnncli.data.reading import Text
from rnncli.data.segments import encode_segments
from rnncli.data.split import Part
from rnncli.data.tokenizers.base import Tokenizer, decode, line_end
from rnncli.data.tokenizers.oov import describe_unseen
from rnncli.errors import ConfigError, CorpusError
from rnncli.storage.model_dir import ModelDir

_log = logging.getLogger(__name__)
# Of the text that a model comes from: those that it has not learned from.
OWN_PARTS = {"valid": "held-out part", "test": "test part"}


def read_part(
    folder: ModelDir,
    given: Sequence[str],
    config: ReadConfig,
    reset: Reset | None,
) -> tuple[str, Part]:
    """A text as a part, cut as the model cuts; its unknown symbols are logged. Raises CorpusError.

    Where memory is emptied `reset` says, or the model's own unit.
    """
    text = reading.read(given, config)
    _log.info("%s read as %s", text.name, text.encoding)
    return text.name, as_part(folder, text, reset)


def as_part(folder: ModelDir, text: Text, reset: Reset | None) -> Part:
    """The same for a text that was read before."""
    tokenizer = folder.tokenizer()
    unseen = describe_unseen(tokenizer, text.content)
    if unseen:
        _log.warning("%s has symbols that the model does not know, scored as <unk>: %s", text.name, unseen)
    reset = reset or _own_reset(folder)
    ids, starts = encode_segments(tokenizer, text.documents, reset)
    if not len(ids):
        raise CorpusError(f"{text.name} has nothing to score", hint="give a text with characters in it")
    unknown = tokenizer.unknown_id
    return Part(
        ids=ids,
        counts=count(text.content),
        oov_tokens=0 if unknown is None else int(np.count_nonzero(ids == unknown)),
        line_starts=starts,
        unknown_id=unknown,
        line_end=line_end(tokenizer),
    )


def own_part(folder: ModelDir, name: str, reset: Reset | None = None) -> tuple[str, Part]:
    """A part of the text that the model comes from; raises CorpusError where it has none.

    Raises ConfigError where memory is to be emptied between documents: a store keeps only their tokens.
    """
    if reset == "document":
        raise ConfigError(
            "a model's own part is kept without the borders of its documents", hint="name the files to score"
        )
    store = folder.corpus()
    part = store.parts[name]
    if not part.tokens:
        raise CorpusError(f"{store.name} has no {OWN_PARTS[name]}", hint="train with --test-fraction 0.1")
    if reset == "never":
        part = replace(part, line_starts=None)
    elif reset == "line":
        part = replace(part, line_starts=line_starts(part.ids[0 : part.tokens], part.line_end))
    elif reset == "sentence":
        part = _by_sentence(store.tokenizer, part)
    return f"{OWN_PARTS[name]} of {store.name}", part


def _by_sentence(tokenizer: Tokenizer, part: Part) -> Part:
    """Cut anew from its text; raises ConfigError where the unknown words in it cannot be written as text."""
    ids, starts = encode_segments(
        tokenizer, [decode(tokenizer, part.ids[0 : part.tokens].tolist())], "sentence"
    )
    if np.count_nonzero(ids == part.unknown_id) != part.oov_tokens:
        raise ConfigError(
            "the unknown words of this part are lost, and with them its sentences", hint="name the text"
        )
    return replace(part, ids=ids, line_starts=starts)


def _own_reset(folder: ModelDir) -> Reset:
    return "line" if folder.record().unit == "line" else "never"
