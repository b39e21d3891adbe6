"""Word tokenizer: one id per word, `<eos>` at the end of a line, `<unk>` for words outside the vocabulary.

N tokens, V vocabulary size.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain, pairwise

import numpy as np

from rnncli.data.config import Level
from rnncli.data.tokenizers.base import (
    UNKNOWN,
    DecodeStream,
    Ids,
    InvalidBytes,
    smallest_dtype,
    to_json_bytes,
)
from rnncli.errors import TokenizerError

END_OF_LINE = "<eos>"
DEFAULT_MAX_WORDS = 20_000


class WordTokenizer:
    """One id per word; a line end is `<eos>`; out-of-vocabulary words are `<unk>`.

    Without `pattern`, words are separated by whitespace, and whitespace other than line ends is lost.
    With `pattern`, a word is what the pattern matches within a line or what lies between two matches,
    and nothing is lost.
    """

    level: Level = "word"

    def __init__(self, words: list[str], pattern: str | None = None) -> None:
        if words[:2] != [UNKNOWN, END_OF_LINE] or len(set(words)) != len(words):
            raise TokenizerError(
                "the word list is damaged or repeats a word", hint="train the tokenizer again"
            )
        self.words = words
        self.pattern = pattern
        self.vocab_size = len(words)
        self.unk_id: int | None = 0

    @classmethod
    def train(
        cls, counts: Mapping[str, int], vocab_size: int | None, pattern: str | None = None
    ) -> "WordTokenizer":
        """Choose the most frequent words; words of equal frequency go by code point.

        Args:
            counts: How often each word occurs in the training split.
            vocab_size: The vocabulary size, `<unk>` and `<eos>` included. None: at most 20,000, and words
                that occur once become `<unk>`, so that a model can learn a probability for `<unk>`; unless
                the text itself contains `<unk>`.
            pattern: The regular expression of a word, None for words separated by whitespace.
        """
        min_count = 1 if vocab_size is not None or UNKNOWN in counts else 2
        ranked = sorted(
            (-count, word)
            for word, count in counts.items()
            if count >= min_count and word not in (UNKNOWN, END_OF_LINE)
        )
        chosen = [word for _, word in ranked[: (vocab_size or DEFAULT_MAX_WORDS) - 2]]
        return cls([UNKNOWN, END_OF_LINE, *chosen], pattern)

    @cached_property
    def _ids(self) -> dict[str, int]:
        ids = {word: index for index, word in enumerate(self.words)}
        if self.pattern is not None:
            # "<eos>" spelled out in the text is no line end: with a pattern, nothing may be lost.
            del ids[END_OF_LINE]
        return ids

    def encode(self, text: str) -> Ids:
        find, end = self._ids.get, self.words.index(END_OF_LINE)
        ids: list[int] = []
        for number, words in enumerate(words_of_lines(text, self.pattern)):
            if number:
                ids.append(end)
            ids.extend([find(word, 0) for word in words])
        return np.array(ids, smallest_dtype(self.vocab_size))

    def decode_stream(
        self,
        context: Iterable[int] = (),
        invalid_bytes: InvalidBytes = "replace",  # noqa: ARG002 - words are whole characters
    ) -> DecodeStream:
        separator = " " if self.pattern is None else ""
        last = END_OF_LINE

        def push(token: int) -> str:
            nonlocal last
            word, before = self.words[token], last
            last = word
            if word == END_OF_LINE:
                return "\n"
            return word if before == END_OF_LINE else separator + word

        for token in context:
            push(token)
        return DecodeStream(push)

    def id_to_token(self, token: int) -> str:
        return self.words[token]

    def oov_tokens(self, text: str) -> list[str]:
        words = chain.from_iterable(words_of_lines(text, self.pattern))
        return [word for word in dict.fromkeys(words) if word not in self._ids]

    def to_bytes(self) -> bytes:
        return to_json_bytes({"level": "word", "pattern": self.pattern, "words": self.words})


def words_of_lines(text: str, pattern: str | None) -> Iterator[list[str]]:
    """Yield the words of each line as WordTokenizer separates them."""
    if pattern is None:
        return map(str.split, text.split("\n"))
    return (_split_by_pattern(line, re.compile(pattern)) for line in text.split("\n"))


def _split_by_pattern(line: str, pattern: re.Pattern[str]) -> list[str]:
    """Return every match and everything between two matches, in order."""
    cuts = [cut for match in pattern.finditer(line) for cut in match.span()]
    return [line[start:stop] for start, stop in pairwise([0, *cuts, len(line)]) if start < stop]
