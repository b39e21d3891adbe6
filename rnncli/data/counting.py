"""How large a text is, in units that no tokenizer can change. Shapes: N characters."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

# No white space lies beyond U+3000, the ideographic blank.
_LAST_SPACE = 0x3000
_IS_SPACE = np.array([chr(point).isspace() for point in range(_LAST_SPACE + 2)])
_ASCII_IS_SPACE = _IS_SPACE[:256].tobytes()


class TextCounts(NamedTuple):
    """Characters are code points, words are runs between white space, bytes are those of UTF-8."""

    characters: int
    words: int
    bytes: int

    def plus(self, other: "TextCounts") -> "TextCounts":
        return TextCounts(*(one + another for one, another in zip(self, other, strict=True)))


def count(text: str) -> TextCounts:
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


def code_points(text: str) -> npt.NDArray[np.uint32]:
    """text (N) -> its code points (N,)."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
