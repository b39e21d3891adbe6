"""Words by their letters, for a network that reads them so. Shapes: N tokens, V vocabulary, U words, L bytes.

the    ->  <begin> t h e <end> <padding> ...

Letters are bytes of UTF-8, so that every script has them; the marks are bytes that UTF-8 never has.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnncli.model.config import PADDING_BYTE, SPELLED_BYTES
from rnncli.text.tokenizers import END_OF_LINE, Ids, Tokenizer, WordTokenizer

Spellings = npt.NDArray[np.uint8]

_BEGIN, _END = b"\xfe", b"\xfd"
# What is no word has a letter of its own: <unk>, <eos>, "text begins".
_UNKNOWN, _LINE_END, _START = b"\xfc", b"\xfb", b"\xfa"


@dataclass(frozen=True)
class Spelled:
    """A text as a network that reads letters sees it.

    `read` (N,) are its ids, but for words that the vocabulary lacks: these have numbers from V + 1 on, in the
    order of their `spellings` (U, L). V itself is "text begins".
    """

    read: Ids
    spellings: Spellings


def vocabulary(tokenizer: WordTokenizer) -> Spellings:
    """Of every id and of "text begins" (V + 1, L)."""
    return _rows([_UNKNOWN, _LINE_END, *map(_letters, tokenizer.words[2:]), _START])


def by_letters(tokenizer: Tokenizer, pieces: Sequence[str]) -> Spelled | None:
    """A text in pieces that are cut by themselves; None where the vocabulary has all of its words."""
    if not isinstance(tokenizer, WordTokenizer):
        return None
    unseen = list(dict.fromkeys(word for piece in pieces for word in tokenizer.unseen(piece)))
    if END_OF_LINE in unseen:  # written in a text that is cut by a pattern: no other word can have its name
        unseen.remove(END_OF_LINE)
    if not unseen:
        return None
    larger = WordTokenizer([*tokenizer.words, *unseen], tokenizer.pattern)
    read = np.concatenate([larger.encode(piece) for piece in pieces]).astype(np.uint32)
    read[read >= tokenizer.vocab_size] += 1
    return Spelled(read, _rows(list(map(_letters, unseen))))


def _letters(word: str) -> bytes:
    return word.encode("utf-8", "surrogatepass")


def _rows(words: Sequence[bytes]) -> Spellings:
    """(U, L); of longer words the beginning."""
    rows = np.full((len(words), SPELLED_BYTES), PADDING_BYTE, np.uint8)
    for row, word in zip(rows, words, strict=True):
        marked = _BEGIN + word[: SPELLED_BYTES - 2] + _END
        row[: len(marked)] = np.frombuffer(marked, np.uint8)
    return rows
