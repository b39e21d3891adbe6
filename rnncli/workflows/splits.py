"""Encode what is scored: a given text, or a split of the text that a model was trained on."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from rnncli.data import decoding
from rnncli.data.config import ReadOptions, Reset
from rnncli.data.decoding import Text
from rnncli.data.splits import Split
from rnncli.data.text_units import count_text, encode_segments, line_starts
from rnncli.data.tokenizers.base import Tokenizer, decode, line_end
from rnncli.data.tokenizers.oov import describe_oov
from rnncli.errors import ConfigError, CorpusError
from rnncli.storage.model_dir import ModelDir

_log = logging.getLogger(__name__)
# Splits that a model was not trained on.
OWN_SPLITS = {"valid": "validation split", "test": "test split"}


def read_split(
    model_dir: ModelDir, texts: Sequence[str], read: ReadOptions, reset: Reset | None
) -> tuple[str, Split]:
    """Read texts and encode them with the tokenizer of a model.

    Args:
        model_dir: The model.
        texts: Files, folders or patterns.
        read: How they are decoded.
        reset: When the hidden state is reset; None: as in the training of the model.

    Returns:
        The name of the text, and its tokens.

    Raises:
        CorpusError: A text cannot be read, or there is nothing to score.
    """
    text = decoding.read_texts(texts, read)
    _log.info("%s read as %s", text.name, text.encoding)
    return text.name, encode_text(model_dir, text, reset)


def encode_text(model_dir: ModelDir, text: Text, reset: Reset | None) -> Split:
    """Encode a text with the tokenizer of a model; log a warning that names its OOV tokens."""
    tokenizer = model_dir.tokenizer()
    oov = describe_oov(tokenizer, text.content)
    if oov:
        _log.warning("%s has out-of-vocabulary tokens, scored as <unk>: %s", text.name, oov)
    reset = reset or ("line" if model_dir.record().line_by_line else "never")
    ids, starts = encode_segments(tokenizer, text.documents, reset)
    if not len(ids):
        raise CorpusError(f"{text.name} has nothing to score", hint="give a text with characters in it")
    unk_id = tokenizer.unk_id
    return Split(
        ids=ids,
        counts=count_text(text.content),
        oov_tokens=0 if unk_id is None else int(np.count_nonzero(ids == unk_id)),
        line_starts=starts,
        unk_id=unk_id,
        line_end=line_end(tokenizer),
    )


def own_split(model_dir: ModelDir, name: str, reset: Reset | None = None) -> tuple[str, Split]:
    """Return a split of the text that a model was trained on.

    Args:
        model_dir: The model.
        name: "valid" or "test".
        reset: When the hidden state is reset; None: as in the training of the model.

    Returns:
        The name of the split, and its tokens.

    Raises:
        CorpusError: The text is gone, or it has no such split.
        ConfigError: The state cannot be reset there: a token dataset does not record where documents begin.
    """
    if reset == "document":
        raise ConfigError(
            "the splits of a model do not record where documents begin", hint="name the files to score"
        )
    dataset = model_dir.corpus()
    split = dataset.splits[name]
    if not split.tokens:
        raise CorpusError(f"{dataset.name} has no {OWN_SPLITS[name]}", hint="train with --test-fraction 0.1")
    if reset == "never":
        split = replace(split, line_starts=None)
    elif reset == "line":
        split = replace(split, line_starts=line_starts(split.ids[0 : split.tokens], split.line_end))
    elif reset == "sentence":
        split = _by_sentence(dataset.tokenizer, split)
    return f"{OWN_SPLITS[name]} of {dataset.name}", split


def _by_sentence(tokenizer: Tokenizer, split: Split) -> Split:
    """Encode a split anew by sentences; raises ConfigError if its text cannot be restored from the tokens."""
    text = decode(tokenizer, split.ids[0 : split.tokens].tolist())
    ids, starts = encode_segments(tokenizer, [text], "sentence")
    if np.count_nonzero(ids == split.unk_id) != split.oov_tokens:
        raise ConfigError(
            "the out-of-vocabulary words of this split are not stored, so that its sentences are unknown",
            hint="name the text to score",
        )
    return replace(split, ids=ids, line_starts=starts)
