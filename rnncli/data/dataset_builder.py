"""From a scanned corpus to a token dataset: train the tokenizer, tokenize every block, write the splits."""

import hashlib
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from rnncli import runtime
from rnncli.data.config import TextConfig
from rnncli.data.corpus import Corpus
from rnncli.data.dataset import (
    LINE_DTYPE,
    LINES_FILE,
    TOKENS_FILE,
    Origin,
    SplitSize,
    TokenDataset,
    write_record,
)
from rnncli.data.parallel import ordered_map
from rnncli.data.splits import SPLITS, SingleSplitter, SplitBlock, make_splitter
from rnncli.data.text_units import TextCounts, count_text
from rnncli.data.tokenizers.base import Ids, Tokenizer, smallest_dtype
from rnncli.data.tokenizers.matching import extend_tokenizer
from rnncli.data.tokenizers.training import train_tokenizer
from rnncli.errors import CorpusError

MIN_CHARACTERS = 10
# With fewer blocks than this for each, starting processes takes longer than they save.
BLOCKS_PER_WORKER = 3


def build_dataset(
    corpus: Corpus,
    config: TextConfig,
    folder: Path,
    *,
    valid: Corpus | None = None,
    tokenizer: Tokenizer | None = None,
    pretrained: Tokenizer | None = None,
    workers: int | None = None,
) -> TokenDataset:
    """Tokenize a corpus into an empty folder.

    Args:
        corpus: The text.
        config: How it is tokenized and divided.
        folder: An empty folder.
        valid: The validation split, if it is another text.
        tokenizer: The tokenizer to use; None trains one.
        pretrained: A tokenizer whose tokens the trained one keeps, for fine-tuning.
        workers: Number of processes, None for one per processor. The result does not depend on it.

    Raises:
        CorpusError: The text is too short, or it has changed since it was scanned.
        TokenizerError: The text or the options allow no tokenizer.
    """
    check_long_enough(corpus)
    if valid is not None and not valid.characters:
        raise CorpusError(f"{valid.name} is empty", hint="give --valid a text")
    splitter = make_splitter(corpus, config, separate_valid=valid is not None)
    blocks = [SplitBlock(block, splitter) for block in corpus.readable_blocks()]
    if tokenizer is None:
        tokenizer = train_tokenizer(
            corpus, valid, blocks, config, workers=_useful_workers(workers, config, len(blocks))
        )
        tokenizer = tokenizer if pretrained is None else extend_tokenizer(pretrained, tokenizer)
    if valid is not None:
        blocks += [SplitBlock(block, SingleSplitter("valid")) for block in valid.readable_blocks()]
    if config.line_by_line and tokenizer.level == "char" and tokenizer.oov_tokens("\n"):
        raise CorpusError(
            "the tokenizer has no line end, so no line could end",
            hint="train a new tokenizer with --line-by-line",
        )
    sizes = _write_ids(
        blocks,
        tokenizer,
        folder=folder,
        line_by_line=config.line_by_line,
        workers=_useful_workers(workers, config, len(blocks)),
    )
    for text in (corpus, valid):
        if text is not None:
            text.check_unchanged()
    if not (sizes["train"].tokens and sizes["valid"].tokens):
        what = "lines" if config.line_by_line or config.split_method == "lines" else "words"
        raise CorpusError(
            f"{corpus.name} has too few {what} for a training split and a validation split",
            hint="use more text, or --level char",
        )
    tokens_sha256 = join_files(folder, TOKENS_FILE)
    if config.line_by_line:
        join_files(folder, LINES_FILE)
    write_record(
        folder,
        origin=Origin.of(corpus, valid, config),
        tokenizer=tokenizer,
        sizes=sizes,
        tokens_sha256=tokens_sha256,
    )
    return TokenDataset.open(folder)


def check_long_enough(corpus: Corpus) -> None:
    """Raise CorpusError for a text that is too short for a training split and a validation split."""
    if corpus.characters < MIN_CHARACTERS:
        raise CorpusError(
            f"{corpus.name} has {corpus.characters} characters; a model needs {MIN_CHARACTERS} or more",
            hint="a good model needs a hundred thousand",
        )


def _useful_workers(workers: int | None, config: TextConfig, blocks: int) -> int:
    """Return how many processes to use; at character and byte level, tokenizing is faster than a pipe."""
    if config.level in ("char", "byte"):
        return 1
    return min(workers or runtime.processors(), max(blocks // BLOCKS_PER_WORKER, 1))


def _write_ids(
    blocks: list[SplitBlock], tokenizer: Tokenizer, *, folder: Path, line_by_line: bool, workers: int
) -> dict[str, SplitSize]:
    """Tokenize all blocks and write the ids of each split to a file of its own."""
    with ExitStack() as stack:
        writers = {
            name: SplitWriter(stack, tokenizer, folder=folder, name=name, line_by_line=line_by_line)
            for name in SPLITS
        }
        for encoded in ordered_map(_Encode(tokenizer), blocks, workers):
            for name, (ids, counts) in encoded.items():
                writers[name].add(ids, counts)
        for writer in writers.values():
            writer.end()
    return {name: writer.size() for name, writer in writers.items()}


@dataclass(frozen=True)
class _Encode:
    """Tokenizes the splits of a block."""

    tokenizer: Tokenizer

    def __call__(self, block: SplitBlock) -> dict[str, tuple[Ids, TextCounts]]:
        texts = block.read()._asdict()
        return {name: (self.tokenizer.encode(text), count_text(text)) for name, text in texts.items() if text}


class SplitWriter:
    """Appends the ids and line starts of one split to files, and sums up its sizes."""

    def __init__(
        self, files: ExitStack, tokenizer: Tokenizer, *, folder: Path, name: str, line_by_line: bool
    ) -> None:
        self._tokens = 0
        self._counts = TextCounts(0, 0, 0)
        self._oov_tokens = self._lines = 0
        self._tokenizer = tokenizer
        self._dtype = smallest_dtype(tokenizer.vocab_size).newbyteorder("<")
        self._line_end = int(tokenizer.encode("\n")[-1]) if line_by_line else None
        self._line_complete = True
        self._ids = files.enter_context((folder / f"{TOKENS_FILE}.{name}").open("wb"))
        self._starts = (
            files.enter_context((folder / f"{LINES_FILE}.{name}").open("wb")) if line_by_line else None
        )

    def add(self, ids: Ids, counts: TextCounts) -> None:
        ids.astype(self._dtype, copy=False).tofile(self._ids)
        self._counts = self._counts.plus(counts)
        if self._tokenizer.unk_id is not None:
            self._oov_tokens += int(np.count_nonzero(ids == self._tokenizer.unk_id))
        if self._starts and len(ids):
            ends: npt.NDArray[np.intp] = np.flatnonzero(ids == self._line_end)
            starts = np.concatenate([[0] if self._line_complete else [], ends + 1])
            self._line_complete = bool(ids[-1] == self._line_end)
            starts = starts[: len(starts) - self._line_complete] + self._tokens
            starts.astype(LINE_DTYPE).tofile(self._starts)
            self._lines += len(starts)
        self._tokens += len(ids)

    def end(self) -> None:
        """Complete the last line, so that the model sees every line end."""
        if self._starts and not self._line_complete:
            self.add(self._tokenizer.encode("\n")[-1:], TextCounts(1, 0, 1))

    def size(self) -> SplitSize:
        return SplitSize(self._tokens, *self._counts, self._oov_tokens, self._lines)


def join_files(folder: Path, name: str) -> str:
    """Join NAME.train, NAME.valid and NAME.test into NAME, in place; return its SHA-256."""
    whole = folder / name
    runtime.rename(folder / f"{name}.{SPLITS[0]}", whole)
    with whole.open("ab") as joined:
        for split in SPLITS[1:]:
            path = folder / f"{name}.{split}"
            with path.open("rb") as file:
                shutil.copyfileobj(file, joined)
            runtime.unlink(path)
    with whole.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
