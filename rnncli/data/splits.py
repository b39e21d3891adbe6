"""Training, validation and test split: how a text is divided, and the token ids of one split.

    --split-method end      | <--------------- train ---------------> | <- valid -> | <- test -> |
    --split-method lines    t t v t t t t t t t t t w t t v t t ...        (t train, v valid, w test)

With `lines`, each group of 1,024 lines contributes its fraction to validation and test, chosen at random
from the seed. With either method the splits follow from the options alone, in any block and any process.

N tokens, L lines, V vocabulary size.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from rnncli.data.config import DEFAULT_VALID_FRACTION, TextConfig
from rnncli.data.corpus import Corpus, ReadableBlock, TextBlock
from rnncli.data.text_units import TextCounts
from rnncli.data.tokenizers.base import Ids
from rnncli.metrics import Score

SPLITS = ("train", "valid", "test")
# Enough for a validation loss to two decimals; more would only slow validation down.
MAX_VALID_TOKENS = 5_000_000
_GROUP_LINES = 1024
_ROUNDING = 1e-9
# np.bincount copies its input to eight bytes per token.
_HISTOGRAM_CHUNK = 2**22


class SplitTexts(NamedTuple):
    """The text of one block by split; a split without text in this block is empty."""

    train: str = ""
    valid: str = ""
    test: str = ""


class Splitter(Protocol):
    """Divides the text of any block, given the position of the block in the corpus."""

    def divide(self, block: TextBlock, text: str) -> SplitTexts: ...


@dataclass(frozen=True)
class SingleSplitter:
    """Puts all text into one split: "train", "valid" or "test"."""

    split: str

    def divide(self, block: TextBlock, text: str) -> SplitTexts:  # noqa: ARG002 - the position is irrelevant
        return SplitTexts(**{self.split: text})


@dataclass(frozen=True)
class EndSplitter:
    """Contiguous splits; validation and test begin at these characters."""

    valid_from: int
    test_from: int

    def divide(self, block: TextBlock, text: str) -> SplitTexts:
        valid, test = (
            max(position - block.characters_before, 0) for position in (self.valid_from, self.test_from)
        )
        return SplitTexts(text[:valid], text[valid:test], text[test:])


@dataclass(frozen=True)
class LineSplitter:
    """Lines chosen at random; the fractions are of `lines`, the number of lines in the corpus."""

    valid_fraction: float
    test_fraction: float
    seed: int
    lines: int

    def divide(self, block: TextBlock, text: str) -> SplitTexts:
        lines = text.split("\n")
        last = lines.pop()
        lines = [line + "\n" for line in lines] + ([last] if last else [])
        splits: tuple[list[str], ...] = ([], [], [])
        for number, line in enumerate(lines, block.lines_before):
            # A last group that is smaller than the others belongs to the group before it.
            group = min(number // _GROUP_LINES, max(self.lines // _GROUP_LINES - 1, 0))
            splits[_assign_lines(self, group)[number - group * _GROUP_LINES]].append(line)
        return SplitTexts(*map("".join, splits))


@lru_cache(maxsize=4)
def _assign_lines(splitter: LineSplitter, group: int) -> bytes:
    """Return 0 (train), 1 (valid) or 2 (test) for each line of a group."""
    first = group * _GROUP_LINES
    remaining = splitter.lines - first
    size = remaining if remaining < 2 * _GROUP_LINES else _GROUP_LINES

    def lines_due(fraction: float) -> int:
        # The difference of two running totals, so that the groups add up to the fraction of all lines.
        # In floating point, 100 * 0.29 is slightly less than 29: hence the rounding term.
        return int((first + size) * fraction + _ROUNDING) - int(first * fraction + _ROUNDING)

    valid, test = lines_due(splitter.valid_fraction), lines_due(splitter.test_fraction)
    order = np.random.default_rng([splitter.seed, group]).permutation(size)
    assigned = np.zeros(size, np.uint8)
    assigned[order[:valid]] = 1
    assigned[order[valid : valid + test]] = 2
    return assigned.tobytes()


class SplitBlock(NamedTuple):
    """A block of the corpus and how to divide it: all that another process needs."""

    block: ReadableBlock
    splitter: Splitter

    def read(self) -> SplitTexts:
        """Read and divide the block; raises CorpusError if the file has changed."""
        return self.splitter.divide(self.block.bounds, self.block.read())


def make_splitter(corpus: Corpus, config: TextConfig, separate_valid: bool) -> Splitter:
    """Choose where the splits of `corpus` begin, or which fraction of its lines they get.

    Args:
        corpus: The text to divide.
        config: The method and the fractions.
        separate_valid: Whether the validation split is another text, so that this one needs none.
    """
    valid, test = 0.0 if separate_valid else _valid_fraction(corpus, config), config.test_fraction
    if config.split_method == "lines":
        one_line = 1 / max(corpus.lines, 1)
        return LineSplitter(
            max(valid, one_line) if valid else 0.0,
            max(test, one_line) if test else 0.0,
            config.split_seed,
            corpus.lines,
        )
    total = corpus.characters
    test_from = max(int(total * (1 - test)), 1)
    # Even the shortest text gets a training split and a validation split.
    valid_from = max(min(int(total * (1 - valid - test)), test_from - 1), 1) if valid else test_from
    boundary = _boundary(config)
    if boundary is not None:
        test_from = _next_boundary(corpus, test_from, boundary) if test else total
        valid_from = _next_boundary(corpus, valid_from, boundary) if valid else test_from
    return EndSplitter(valid_from, test_from)


def _valid_fraction(corpus: Corpus, config: TextConfig) -> float:
    if config.valid_fraction is not None:
        return config.valid_fraction
    max_tokens = corpus.bytes if config.level == "byte" else corpus.characters
    return min(DEFAULT_VALID_FRACTION, MAX_VALID_TOKENS / max(max_tokens, 1))


def _boundary(config: TextConfig) -> re.Pattern[str] | None:
    """Return what a split may begin after, so that no line and no word is divided.

    A word that contains whitespace, as a pattern allows, may still be divided.
    """
    if config.line_by_line:
        return re.compile("\n")
    return re.compile(r"\s") if config.level == "word" else None


def _next_boundary(corpus: Corpus, position: int, boundary: re.Pattern[str]) -> int:
    """Return the next position after a boundary; else the last one before; else the end of the text."""
    ends = [block.characters_before for block in corpus.blocks[1:]] + [corpus.characters]
    blocks = list(zip(corpus.readable_blocks(), ends, strict=True))
    for block, end in blocks:
        if end >= position:
            first = block.bounds.characters_before
            found = boundary.search(block.read(), max(position - 1 - first, 0))
            if found and first + found.end() < corpus.characters:
                return first + found.end()
    for block, _ in reversed(blocks):
        first = block.bounds.characters_before
        if first < position - 1:
            before = [match.end() for match in boundary.finditer(block.read(), 0, position - 1 - first)]
            if before:
                return first + before[-1]
    return corpus.characters


class ConcatenatedIds:
    """Several arrays of ids that are read as one array (N,) without being copied.

    Supports len(), [start:stop], and [positions] with an index array of any shape.
    """

    def __init__(self, arrays: Sequence[Ids]) -> None:
        self.arrays = [array for array in arrays if len(array)] or list(arrays[:1])
        self._starts = [0, *accumulate(map(len, self.arrays))]

    def __len__(self) -> int:
        return self._starts[-1]

    def __getitem__(self, index: slice | npt.NDArray[Any]) -> Ids:
        if isinstance(index, slice):
            return self._slice(*index.indices(len(self)))
        if index.size and not -len(self) <= index.min() <= index.max() < len(self):
            raise IndexError(f"a position is outside of {len(self)} ids")
        positions = np.where(index < 0, index + len(self), index)
        found = np.empty(positions.shape, self.arrays[0].dtype)
        for array, (start, stop) in zip(self.arrays, pairwise(self._starts), strict=True):
            inside = (positions >= start) & (positions < stop)
            found[inside] = array[positions[inside] - start]
        return found

    def _slice(self, start: int, stop: int, step: int) -> Ids:
        assert step == 1, "ids are read in order"
        first = max(bisect_right(self._starts, start) - 1, 0)
        pieces = []
        for array, begin in zip(self.arrays[first:], self._starts[first:], strict=False):
            if begin >= stop:
                break
            pieces.append(array[max(start - begin, 0) : stop - begin])
        return np.concatenate(pieces) if pieces else self.arrays[0][:0]


@dataclass(frozen=True, kw_only=True)
class Split:
    """The token ids of a training, validation or test split, and the size of its text.

    Attributes:
        ids: Token ids (N,).
        counts: Characters, words and bytes of the text that the ids encode.
        oov_tokens: How many ids are `unk_id`.
        line_starts: Positions (L,) at which the hidden state is reset; None if it never is.
        unk_id: The id of out-of-vocabulary tokens, None if there is none.
        line_end: The id that ends a line, None if there is none.
    """

    ids: Ids | ConcatenatedIds
    counts: TextCounts
    oov_tokens: int
    line_starts: npt.NDArray[Any] | None
    unk_id: int | None = None
    line_end: int | None = None

    @property
    def tokens(self) -> int:
        return len(self.ids)

    def histogram(self, vocab_size: int) -> npt.NDArray[np.int64]:
        """Return how often each token of the vocabulary occurs (V,)."""
        counts = np.zeros(vocab_size, np.int64)
        for start in range(0, self.tokens, _HISTOGRAM_CHUNK):
            counts += np.bincount(self.ids[start : start + _HISTOGRAM_CHUNK], minlength=vocab_size)
        return counts

    def score(self, nll_nats: float, oov_nll_nats: float) -> Score:
        """Combine the negative log-likelihood of the whole split, and of its OOV tokens, with its sizes."""
        line_ends = int(np.count_nonzero(self.ids[0 : self.tokens] == self.line_end))
        counts = self.counts
        sizes = (self.tokens, counts.words, counts.characters, counts.bytes)
        return Score(nll_nats, *sizes, self.oov_tokens, oov_nll_nats, line_ends)


def concatenate_splits(splits: Sequence[Split]) -> Split:
    """Join splits end to end; they must come from equal tokenizers."""
    counts, starts, before = TextCounts(0, 0, 0), [], 0
    for split in splits:
        counts = counts.plus(split.counts)
        if split.line_starts is not None:
            starts.append(split.line_starts + np.uint64(before))
        before += split.tokens
    return Split(
        ids=ConcatenatedIds([array for split in splits for array in _arrays(split.ids)]),
        counts=counts,
        oov_tokens=sum(split.oov_tokens for split in splits),
        line_starts=np.concatenate(starts) if starts else None,
        unk_id=splits[0].unk_id,
        line_end=splits[0].line_end,
    )


def _arrays(ids: Ids | ConcatenatedIds) -> Sequence[Ids]:
    return ids.arrays if isinstance(ids, ConcatenatedIds) else [ids]


def line_bounds(
    ids: Ids | ConcatenatedIds, line_starts: npt.NDArray[Any], lines: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return where some lines, given by number, begin and how long they are, line ends included."""
    begins = line_starts[lines].astype(np.int64)
    following = line_starts[np.minimum(lines + 1, len(line_starts) - 1)].astype(np.int64)
    return begins, np.where(lines + 1 < len(line_starts), following, len(ids)) - begins
