"""Which part of a text is for training, which is held out, which is kept for a last test.

    --split end      | <--------------- train ---------------> | <- valid -> | <- test -> |
    --split lines    t t v t t t t t t t t t w t t v t t ...        (t train, v valid, w test)

Of the lines, every stretch of 1,024 gives its share to valid and test; the seed draws which. Either
way a part is found again from the settings alone, in any block and any process.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple, Protocol

import numpy as np

from rnncli.data.config import DEFAULT_VALID_FRACTION, TextConfig
from rnncli.data.corpus import Block, Corpus

# Enough for a held-out figure to two decimals; more would only slow validation down.
MOST_VALID_TOKENS = 5_000_000
_STRETCH_LINES = 1024
_ROUNDING = 1e-9


class Parts(NamedTuple):
    """A block's text, divided; what is in no part is empty."""

    train: str = ""
    valid: str = ""
    test: str = ""


class Split(Protocol):
    """Divides the text of any block by what the block knows of its place."""

    def parts(self, block: Block, text: str) -> Parts: ...


@dataclass(frozen=True)
class EverythingIn:
    """For a text that was given as one part: "train", "valid" or "test"."""

    part: str

    def parts(self, block: Block, text: str) -> Parts:  # noqa: ARG002 - a block's place does not matter
        return Parts(**{self.part: text})


@dataclass(frozen=True)
class EndSplit:
    """Contiguous parts: where valid and test begin, in characters."""

    valid_from: int
    test_from: int

    def parts(self, block: Block, text: str) -> Parts:
        valid, test = (max(cut - block.characters_before, 0) for cut in (self.valid_from, self.test_from))
        return Parts(text[:valid], text[valid:test], text[test:])


@dataclass(frozen=True)
class LineSplit:
    """Lines drawn at random: these shares of `lines` in all."""

    valid_fraction: float
    test_fraction: float
    seed: int
    lines: int

    def parts(self, block: Block, text: str) -> Parts:
        lines = text.split("\n")
        last = lines.pop()
        lines = [line + "\n" for line in lines] + ([last] if last else [])
        parts: tuple[list[str], ...] = ([], [], [])
        for number, line in enumerate(lines, block.lines_before):
            # A last stretch that is too short for its shares belongs to the one before it.
            stretch = min(number // _STRETCH_LINES, max(self.lines // _STRETCH_LINES - 1, 0))
            parts[_drawn(self, stretch)[number - stretch * _STRETCH_LINES]].append(line)
        return Parts(*map("".join, parts))


@lru_cache(maxsize=4)
def _drawn(split: LineSplit, stretch: int) -> bytes:
    """For each line of a stretch 0 train, 1 valid, 2 test: each part as many as its share adds up to."""
    first = stretch * _STRETCH_LINES
    left = split.lines - first
    size = left if left < 2 * _STRETCH_LINES else _STRETCH_LINES

    def due(share: float) -> int:
        # 100 * 0.29 is a little less than 29
        return int((first + size) * share + _ROUNDING) - int(first * share + _ROUNDING)

    valid, test = due(split.valid_fraction), due(split.test_fraction)
    order = np.random.default_rng([split.seed, stretch]).permutation(size)
    drawn = np.zeros(size, np.uint8)
    drawn[order[:valid]] = 1
    drawn[order[valid : valid + test]] = 2
    return drawn.tobytes()


def choose_split(corpus: Corpus, config: TextConfig, valid_given: bool) -> Split:
    """How `corpus` is divided; `valid_given` where another text is the held-out part."""
    valid, test = 0.0 if valid_given else _valid_fraction(corpus, config), config.test_fraction
    if config.split == "lines":
        least = 1 / max(corpus.lines, 1)
        return LineSplit(
            max(valid, least) if valid else 0.0,
            max(test, least) if test else 0.0,
            config.split_seed,
            corpus.lines,
        )
    total = corpus.characters
    test_from = max(int(total * (1 - test)), 1)
    # However short the text, there is something to train on and something to hold out.
    valid_from = max(min(int(total * (1 - valid - test)), test_from - 1), 1) if valid else test_from
    mark = _boundary(config)
    if mark is not None:
        test_from = _next_boundary(corpus, test_from, mark) if test else total
        valid_from = _next_boundary(corpus, valid_from, mark) if valid else test_from
    return EndSplit(valid_from, test_from)


def _valid_fraction(corpus: Corpus, config: TextConfig) -> float:
    if config.valid_fraction is not None:
        return config.valid_fraction
    most_tokens = corpus.bytes if config.level == "byte" else corpus.characters
    return min(DEFAULT_VALID_FRACTION, MOST_VALID_TOKENS / max(most_tokens, 1))


def _boundary(config: TextConfig) -> re.Pattern[str] | None:
    """After what a part may begin: no sample is cut in two, nor a word, but for blanks within a pattern's."""
    if config.unit == "line":
        return re.compile("\n")
    return re.compile(r"\s") if config.level == "word" else None


def _next_boundary(corpus: Corpus, position: int, mark: re.Pattern[str]) -> int:
    """The next place after a mark; else the last one before; else the end of the text."""
    ends = [block.characters_before for block in corpus.blocks[1:]] + [corpus.characters]
    placed = list(zip(corpus.passages(), ends, strict=True))
    for passage, end in placed:
        if end >= position:
            first = passage.block.characters_before
            found = mark.search(passage.read(), max(position - 1 - first, 0))
            if found and first + found.end() < corpus.characters:
                return first + found.end()
    for passage, _ in reversed(placed):
        first = passage.block.characters_before
        if first < position - 1:
            before = [match.end() for match in mark.finditer(passage.read(), 0, position - 1 - first)]
            if before:
                return first + before[-1]
    return corpus.characters
