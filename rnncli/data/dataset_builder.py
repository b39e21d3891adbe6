"""From a surveyed text to a token store: learn the tokenizer, cut every block, write the parts."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rnncli import runtime
from rnncli.data.config import TextConfig
from rnncli.data.corpus import Corpus, Passage
from rnncli.data.counting import TextCounts, count
from rnncli.data.dataset import LINE_DTYPE, LINES, PARTS, TOKENS, PartSize, TokenStore, write_record
from rnncli.data.origin import Origin
from rnncli.data.parallel import ordered_map
from rnncli.data.splits import EverythingIn, Split, choose_split
from rnncli.data.tokenizers.base import (
    ByteTokenizer,
    CharTokenizer,
    Ids,
    Tokenizer,
    WordTokenizer,
    smallest_dtype,
    words_of_lines,
)
from rnncli.data.tokenizers.matching import extended
from rnncli.data.tokenizers.subword import SubwordTokenizer
from rnncli.errors import CorpusError

FEWEST_CHARACTERS = 10
# What sentencepiece learns from: drawn evenly where there is more. Its time grows with this.
_SAMPLE_CHARACTERS = 4_000_000
# Above this many different words the rarest are forgotten: memory stays bounded, the frequent ones exact.
_MOST_WORD_TYPES = 4_000_000
# Where processes begin to pay for their start.
_BLOCKS_A_WORKER = 3


class Task(NamedTuple):
    """A block to read and how to divide it."""

    passage: Passage
    split: Split


def build(
    corpus: Corpus,
    config: TextConfig,
    folder: Path,
    *,
    valid: Corpus | None = None,
    tokenizer: Tokenizer | None = None,
    earlier: Tokenizer | None = None,
    workers: int | None = None,
) -> TokenStore:
    """Fill the empty `folder`; `valid` is the held-out part where it is a text of its own.

    Without `tokenizer` one is learned, which keeps all symbols of `earlier` where that is given. The
    result does not depend on `workers`, one a processor unless it is given. Raises CorpusError and
    TokenizerError.
    """
    refuse_short(corpus)
    if valid is not None and not valid.characters:
        raise CorpusError(f"{valid.name} is empty", hint="give --valid a text")
    split = choose_split(corpus, config, valid is not None)
    tasks = [Task(passage, split) for passage in corpus.passages()]
    if tokenizer is None:
        tokenizer = _learn(corpus, valid, tasks, config, _helpers(workers, config, len(tasks)))
        tokenizer = tokenizer if earlier is None else extended(earlier, tokenizer)
    if valid is not None:
        tasks += [Task(passage, EverythingIn("valid")) for passage in valid.passages()]
    if config.unit == "line" and tokenizer.level == "char" and tokenizer.unseen("\n"):
        raise CorpusError(
            "the tokenizer has no line end, so that no line could end",
            hint="learn a new one, with --unit line",
        )
    with ExitStack() as stack:
        writers = {name: _PartWriter(stack, folder, name, tokenizer, config.unit == "line") for name in PARTS}
        for cuts in ordered_map(_Encode(tokenizer), tasks, _helpers(workers, config, len(tasks))):
            for name, cut in cuts.items():
                writers[name].add(*cut)
        for writer in writers.values():
            writer.end()
    for text in (corpus, valid):
        if text is not None:
            text.refuse_changed()
    if not (writers["train"].tokens and writers["valid"].tokens):
        what = "lines" if config.unit == "line" or config.split == "lines" else "words"
        raise CorpusError(
            f"{corpus.name} has too few {what} for a training and a held-out part",
            hint="use more text, or --level char",
        )
    digest = _join_files(folder, TOKENS)
    if config.unit == "line":
        _join_files(folder, LINES)
    sizes = {name: writer.size() for name, writer in writers.items()}
    write_record(folder, Origin.of(corpus, valid, config), tokenizer, sizes, digest)
    return TokenStore.open(folder)


def refuse_short(corpus: Corpus) -> None:
    """Raises CorpusError for a text that has nothing to learn from and nothing to hold out."""
    if corpus.characters < FEWEST_CHARACTERS:
        raise CorpusError(
            f"{corpus.name} has {corpus.characters} characters; a model needs {FEWEST_CHARACTERS} or more",
            hint="a good model wants a hundred thousand",
        )


def even_sample(tasks: list[Task], characters: int, most: int) -> Iterator[str]:
    """Stretches of the training part, the same share of every block, `most` of `characters` in all."""
    share = min(1.0, most / max(characters, 1))
    for passage, split in tasks:
        text = split.parts(passage.block, passage.read()).train
        length = int(len(text) * share)
        start = (len(text) - length) // 2
        if start:
            start = text.find("\n", start, start + length) + 1 or start  # from a line's beginning
        yield text[start : start + length]


def _helpers(workers: int | None, config: TextConfig, tasks: int) -> int:
    """How many processes are worth starting: characters and bytes are quicker than any pipe."""
    if config.level in ("char", "byte"):
        return 1
    return min(workers or runtime.processors(), max(tasks // _BLOCKS_A_WORKER, 1))


def _learn(
    corpus: Corpus, valid: Corpus | None, tasks: list[Task], config: TextConfig, workers: int
) -> Tokenizer:
    """Words and pieces are learned from the training part alone: the held-out part stays unseen.

    Characters are those of the whole text: an inventory, as is usual in the field, not a statistic.
    """
    match config.level:
        case "char":
            line_end = "\n" if config.unit == "line" else ""
            return CharTokenizer.of(corpus.alphabet + (valid.alphabet if valid else "") + line_end)
        case "byte":
            return ByteTokenizer()
        case "word":
            counts: Counter[str] = Counter()
            for found in ordered_map(_CountWords(config.pattern), tasks, workers):
                counts.update(found)
                _forget_rarest(counts)
            return WordTokenizer.learn(counts, config.vocab_size, config.pattern)
        case "subword":
            sample = "".join(even_sample(tasks, corpus.characters, _SAMPLE_CHARACTERS))
            return SubwordTokenizer.learn(sample, config.vocab_size, config.subword_kind)


@dataclass(frozen=True)
class _CountWords:
    pattern: str | None

    def __call__(self, task: Task) -> Counter[str]:
        text = task.split.parts(task.passage.block, task.passage.read()).train
        return Counter(chain.from_iterable(words_of_lines(text, self.pattern)))


def _forget_rarest(counts: Counter[str]) -> None:
    least = 1
    while len(counts) > _MOST_WORD_TYPES:
        for word in [word for word, number in counts.items() if number <= least]:
            del counts[word]
        least += 1


@dataclass(frozen=True)
class _Encode:
    tokenizer: Tokenizer

    def __call__(self, task: Task) -> dict[str, tuple[Ids, TextCounts]]:
        texts = task.split.parts(task.passage.block, task.passage.read())._asdict()
        return {name: (self.tokenizer.encode(text), count(text)) for name, text in texts.items() if text}


class _PartWriter:
    """One part's ids and line starts, appended to files of their own, and their sums."""

    def __init__(
        self, files: ExitStack, folder: Path, name: str, tokenizer: Tokenizer, by_line: bool
    ) -> None:
        self.tokens = 0
        self._counts = TextCounts(0, 0, 0)
        self._oov_tokens = self._lines = 0
        self._tokenizer = tokenizer
        self._dtype = smallest_dtype(tokenizer.vocab_size).newbyteorder("<")
        self._line_end = int(tokenizer.encode("\n")[-1]) if by_line else None
        self._ended = True  # whether the last line is whole
        self._ids = files.enter_context((folder / f"{TOKENS}.{name}").open("wb"))
        self._starts = files.enter_context((folder / f"{LINES}.{name}").open("wb")) if by_line else None

    def add(self, ids: Ids, counts: TextCounts) -> None:
        ids.astype(self._dtype, copy=False).tofile(self._ids)
        self._counts = self._counts.plus(counts)
        if self._tokenizer.unknown_id is not None:
            self._oov_tokens += int(np.count_nonzero(ids == self._tokenizer.unknown_id))
        if self._starts and len(ids):
            ends: npt.NDArray[np.intp] = np.flatnonzero(ids == self._line_end)
            starts = np.concatenate([[0] if self._ended else [], ends + 1])
            self._ended = bool(ids[-1] == self._line_end)
            starts = starts[: len(starts) - self._ended] + self.tokens
            starts.astype(LINE_DTYPE).tofile(self._starts)
            self._lines += len(starts)
        self.tokens += len(ids)

    def end(self) -> None:
        """A last line without its end gets one, so that every sample has an end to be learned."""
        if self._starts and not self._ended:
            self.add(self._tokenizer.encode("\n")[-1:], TextCounts(1, 0, 1))

    def size(self) -> PartSize:
        return PartSize(self.tokens, *self._counts, self._oov_tokens, self._lines)


def _join_files(folder: Path, name: str) -> str:
    """NAME.train, NAME.valid and NAME.test -> NAME: the first renamed, the others appended; its SHA-256."""
    whole = folder / name
    runtime.rename(folder / f"{name}.{PARTS[0]}", whole)
    with whole.open("ab") as joined:
        for part in PARTS[1:]:
            piece = folder / f"{name}.{part}"
            with piece.open("rb") as file:
                shutil.copyfileobj(file, joined)
            runtime.unlink(piece)
    with whole.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
