"""What a text's looks say of the level that suits it."""

import re

from rnncli.data.config import Level
from rnncli.data.tokenizers.base import UNKNOWN

# Enough to tell by, quick to read.
GLIMPSE_CHARACTERS = 400_000
# Thai, Lao, Burmese, Khmer, kana, Han.
_WRITTEN_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
# Mean characters between spaces that are more than words have, in those scripts and in any.
_LONG_FOR_THOSE, _LONG_FOR_ALL = 6, 15

# Read less often, a long text in an alphabet is learned better in pieces of its words than by its letters
# (docs/recipes.md); three quarters of a million letters are not.
_READINGS_BY_LETTERS, _LONG_TEXT, _ALPHABET = 10, 1_000_000, 2_000


def natural_level(sample: str) -> Level:
    """Word for a text that marks its unknown words, as Mikolov's Penn Treebank does; else char.

    A few marks are a text about such marks: at least one word in 500 must be one.
    """
    marks = len(re.findall(rf"(?<!\S){UNKNOWN}(?!\S)", sample))
    return "word" if marks and 500 * marks >= len(sample.split()) else "char"


def readings_by_characters(characters: int, alphabet: int) -> int:
    """How often there must be time to read so many, `alphabet` different ones, for pieces to be worse."""
    return _READINGS_BY_LETTERS if characters >= _LONG_TEXT and alphabet < _ALPHABET else 1


def spaces_are_scarce(sample: str) -> bool:
    """True where cutting at white space gives phrases or whole lines, as in Chinese, not words."""
    words = sample.split()
    characters = sum(map(len, words))
    mostly_without = 2 * len(_WRITTEN_WITHOUT_SPACES.findall(sample)) > characters
    return bool(words) and characters / len(words) > (_LONG_FOR_THOSE if mostly_without else _LONG_FOR_ALL)
