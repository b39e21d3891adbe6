"""Characters, words, lines, sentences: units of text that do not depend on a tokenizer.

N tokens, S segments, L lines.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rnncli.data.config import Reset
from rnncli.data.tokenizers.base import Ids, Tokenizer, code_points, smallest_dtype

# No whitespace character lies beyond U+3000, the ideographic space.
_LAST_SPACE = 0x3000
_IS_SPACE = np.array([chr(point).isspace() for point in range(_LAST_SPACE + 2)])
_ASCII_IS_SPACE = _IS_SPACE[:256].tobytes()
# A sentence ends with a punctuation mark, closing quotes or brackets, and whitespace; or with a line.
_SENTENCE_END = re.compile(
    r"""[.!?…]+["'”’»)\]]*\s+ | [。！？…]+[”’」』）]*\s* | \n\s*""",
    re.VERBOSE,
)


class TextCounts(NamedTuple):
    """Size of a text: code points, words separated by whitespace, bytes of UTF-8."""

    characters: int
    words: int
    bytes: int

    def plus(self, other: "TextCounts") -> "TextCounts":
        return TextCounts(*(one + another for one, another in zip(self, other, strict=True)))


def count_text(text: str) -> TextCounts:
    """Count the characters, words and bytes of `text`."""
    if text.isascii():
        is_space = np.frombuffer(text.encode("ascii").translate(_ASCII_IS_SPACE), np.bool_)
        size = len(text)
    else:
        is_space = _IS_SPACE[np.minimum(code_points(text), _LAST_SPACE + 1)]
        size = len(text.encode("utf-8"))
    if not text:
        return TextCounts(0, 0, 0)
    words = int(np.count_nonzero(is_space[:-1] > is_space[1:])) + int(not is_space[0])
    return TextCounts(len(text), words, size)


def segment_text(documents: Sequence[str], reset: Reset) -> list[str]:
    """Divide documents into the segments between resets of the hidden state.

    Returns:
        Segments that are not empty and that make up the text again when they are joined.
    """
    if reset == "document":
        return [document for document in documents if document]
    text = "".join(documents)
    if reset == "never":
        return [text] if text else []
    if reset == "line":
        return [line for line in re.split(r"(?<=\n)", text) if line]
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    cuts = [0, *(end for end in ends if end < len(text)), len(text)]
    return [text[start:end] for start, end in pairwise(cuts) if start < end]


def encode_segments(
    tokenizer: Tokenizer, documents: Sequence[str], reset: Reset
) -> tuple[Ids, npt.NDArray[np.int64] | None]:
    """Tokenize each segment separately.

    Returns:
        The ids (N,) and the positions (S,) at which segments begin; None instead of the positions if the
        hidden state is never reset.
    """
    if reset == "never":
        return tokenizer.encode("".join(documents)), None
    encoded = [ids for segment in segment_text(documents, reset) if len(ids := tokenizer.encode(segment))]
    lengths = np.array([len(ids) for ids in encoded], np.int64)
    joined = np.concatenate(encoded) if encoded else np.zeros(0, smallest_dtype(tokenizer.vocab_size))
    return joined, np.cumsum(lengths) - lengths


def line_starts(ids: Ids, line_end: int | None) -> npt.NDArray[np.int64]:
    """Return the positions (L,) at which the lines of ids (N,) begin: 0 and after every line end."""
    after = np.flatnonzero(ids == line_end) + 1
    return np.concatenate([[0], after])[: len(after) + int(not len(after) or after[-1] < len(ids))]
