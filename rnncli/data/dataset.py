"""A token dataset: a tokenized text on disk with its tokenizer, its splits, and where it came from.

NAME.tok/
    tokens.bin                            token ids, little-endian, the smallest unsigned type; memory-mapped
    lines.bin                             with --line-by-line: where lines begin in their split, uint64
    tokenizer.json or tokenizer.model
    dataset.json                          written last: a folder without it is not a token dataset

| <------------ train ------------> | <- valid -> | <- test -> |      one array; a split may be empty
"""

import hashlib
import json
import os
from collections.abc import Container, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, cast

import numpy as np

from rnncli.data.compression import open_source
from rnncli.data.config import ReadOptions, TextConfig
from rnncli.data.corpus import Corpus, SourceInfo, stamp
from rnncli.data.splits import SPLITS, Split, concatenate_splits
from rnncli.data.text_units import TextCounts, count_text
from rnncli.data.tokenizers.base import Ids, Tokenizer, decode, fingerprint, line_end, smallest_dtype
from rnncli.data.tokenizers.serialization import (
    check_plain_file,
    load_tokenizer,
    read_plain_file,
    tokenizer_file,
)
from rnncli.errors import ConfigError, CorpusError, RnncliError
from rnncli.files import check_types, parse_json_object

FORMAT_VERSION = 1
TOKENS_FILE, LINES_FILE, RECORD_FILE = "tokens.bin", "lines.bin", "dataset.json"
# A record with 100,000 source files fits.
MAX_RECORD_BYTES = 2**26
LINE_DTYPE = np.dtype("<u8")
_CHECK_CHUNK = 2**24
_HINT = "tokenize the text again"


@dataclass(frozen=True)
class Origin:
    """Where a token dataset came from.

    Attributes:
        name: The text by name, for messages.
        inputs: Files, folders and patterns as they were given.
        valid_inputs: The same for a separate validation split.
        sources: The files that were read.
        reading: How bytes were decoded.
        text: How the text was tokenized and divided.
    """

    name: str
    inputs: tuple[str, ...]
    valid_inputs: tuple[str, ...]
    sources: tuple[SourceInfo, ...]
    reading: ReadOptions
    text: TextConfig

    @classmethod
    def of(cls, corpus: Corpus, valid: Corpus | None, config: TextConfig) -> Self:
        return cls(
            name=corpus.name,
            inputs=corpus.inputs,
            valid_inputs=valid.inputs if valid else (),
            sources=corpus.sources + (valid.sources if valid else ()),
            reading=corpus.reading,
            text=config,
        )

    @classmethod
    def from_record(cls, record: Mapping[str, object]) -> Self:
        """Undo `asdict`; raises KeyError, TypeError or ValueError for anything else."""
        check_types(cls, {name: record[name] for name in ("name", "inputs", "valid_inputs")})
        values = cast(Mapping[str, Any], record)  # from a file: checked here and by the classes below
        try:
            return cls(
                name=str(values["name"]),
                inputs=tuple(values["inputs"]),
                valid_inputs=tuple(values["valid_inputs"]),
                sources=tuple(map(_source_info, values["sources"])),
                reading=ReadOptions(**values["reading"]),
                text=TextConfig(**values["text"]),
            )
        except ConfigError as error:
            raise ValueError(str(error)) from error

    @classmethod
    def joined(cls, origins: Sequence[Self]) -> Self:
        """Combine the origins of several texts, which were made with the options of the first."""
        return cls(
            name=", ".join(origin.name for origin in origins),
            inputs=tuple(name for origin in origins for name in origin.inputs),
            valid_inputs=tuple(name for origin in origins for name in origin.valid_inputs),
            sources=tuple(source for origin in origins for source in origin.sources),
            reading=origins[0].reading,
            text=origins[0].text,
        )

    @property
    def sha256(self) -> str:
        """The hash of the source as it is on disk; of several sources, the hash of their hashes."""
        hashes = [source.sha256 for source in self.sources]
        return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()

    @property
    def encoding(self) -> str:
        return ", ".join(dict.fromkeys(source.encoding for source in self.sources))

    def same_text(self, other: "Origin") -> bool:
        """Return whether both were made from the same bytes with the same options."""
        return (self.sha256, self.reading, self.text, bool(self.valid_inputs)) == (
            other.sha256,
            other.reading,
            other.text,
            bool(other.valid_inputs),
        )

    def changed(self) -> str | None:
        """Return a file that is new or has changed, or None; a missing file counts as unchanged."""
        known = {source.path: source for source in self.sources}
        for path, source in known.items():
            if _differs(source):
                return path
        # Lists and patterns are not expanded again: those of an untrusted dataset could lead anywhere.
        inputs = (*self.inputs, *self.valid_inputs)
        return next((new for name in inputs if (new := _new_file(name, known)) is not None), None)


def _source_info(record: object) -> SourceInfo:
    if not isinstance(record, dict):
        raise TypeError(f"a source is {type(record).__name__}")
    check_types(SourceInfo, record)
    return SourceInfo(**record)


def _new_file(folder: str, known: Container[str]) -> str | None:
    """Return the first file below `folder` that is not known."""
    if "\0" in folder:  # no possible name of a folder; an untrusted record may hold it
        return None
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(root, name)
            if not name.startswith(".") and path.as_posix() not in known and path.is_file():
                return path.as_posix()
    return None


def _differs(source: SourceInfo) -> bool:
    """Return whether a file has changed; it is hashed only if its size or modification time has."""
    if source.modified_ns is None or stamp(source.path) in (None, (source.bytes, source.modified_ns)):
        return False
    try:
        if not Path(source.path).is_file():  # opening a FIFO would block
            return True
        with open_source(source.path) as file:
            file.finish()
            return file.sha256 != source.sha256
    except CorpusError:
        return False


@dataclass(frozen=True)
class SplitSize:
    """The size of a split as recorded in dataset.json."""

    tokens: int
    characters: int
    words: int
    bytes: int
    oov_tokens: int
    lines: int

    def __post_init__(self) -> None:
        if not all(type(value) is int and value >= 0 for value in vars(self).values()):
            raise ValueError(f"a split has the size {vars(self)}")


@dataclass(frozen=True)
class TokenDataset:
    """The splits of a tokenized text, its tokenizer and its origin."""

    train: Split
    valid: Split
    test: Split
    tokenizer: Tokenizer
    origin: Origin

    @property
    def name(self) -> str:
        return self.origin.name

    @property
    def line_by_line(self) -> bool:
        return self.origin.text.line_by_line

    @property
    def splits(self) -> dict[str, Split]:
        return {name: getattr(self, name) for name in SPLITS}

    def count_decoded(self, ids: Ids) -> TextCounts:
        """Return the size of the text that some ids decode to."""
        return count_text(decode(self.tokenizer, ids))

    @classmethod
    def open(cls, path: Path) -> "TokenDataset":
        """Open a token dataset and map its ids into memory; raises CorpusError if it is damaged."""
        try:
            content = read_plain_file(path / RECORD_FILE, MAX_RECORD_BYTES)
            record = parse_json_object(content, MAX_RECORD_BYTES)
            version = record["format_version"]
            if type(version) is not int or version != FORMAT_VERSION:
                raise CorpusError(
                    f"{path} has dataset format {version!r}; this rnncli reads {FORMAT_VERSION}",
                    hint=f"{_HINT} with this version",
                )
            tokenizer = load_tokenizer(path)
            if fingerprint(tokenizer) != record["tokenizer_fingerprint"]:
                raise CorpusError(f"{path} holds the tokenizer of another token dataset", hint=_HINT)
            origin = Origin.from_record(record)
            sizes = {split: SplitSize(**record["splits"][split]) for split in SPLITS}
            return cls(**_map_splits(path, sizes, tokenizer, origin), tokenizer=tokenizer, origin=origin)
        except CorpusError:
            raise
        except (
            *(OSError, ValueError, KeyError, TypeError, AttributeError),
            *(RecursionError, MemoryError, RnncliError),
        ) as error:
            raise CorpusError(
                f"{path} is not a complete token dataset: {error}", hint="make it again with rnncli tokenize"
            ) from error

    @classmethod
    def joined(cls, datasets: Sequence["TokenDataset"]) -> "TokenDataset":
        """Join token datasets split by split; raises CorpusError if their tokenizers or options differ."""
        first = datasets[0]
        for dataset in datasets[1:]:
            if (
                fingerprint(dataset.tokenizer) != fingerprint(first.tokenizer)
                or dataset.line_by_line != first.line_by_line
            ):
                raise CorpusError(
                    f"{dataset.name} and {first.name} are not tokenized alike",
                    hint="tokenize each with --tokenizer and the folder of the first; "
                    "use --line-by-line for all or none",
                )
        if len(datasets) == 1:
            return first
        splits = {name: concatenate_splits([dataset.splits[name] for dataset in datasets]) for name in SPLITS}
        origin = Origin.joined([dataset.origin for dataset in datasets])
        return cls(**splits, tokenizer=first.tokenizer, origin=origin)


def write_record(
    folder: Path, *, origin: Origin, tokenizer: Tokenizer, sizes: Mapping[str, SplitSize], tokens_sha256: str
) -> None:
    """Complete a folder that holds the ids: write the tokenizer and, last of all, dataset.json."""
    (folder / tokenizer_file(tokenizer)).write_bytes(tokenizer.to_bytes())
    record = {
        "format_version": FORMAT_VERSION,
        "sha256": origin.sha256,
        "tokens_sha256": tokens_sha256,
        "dtype": smallest_dtype(tokenizer.vocab_size).name,
        "tokenizer_fingerprint": fingerprint(tokenizer),
        "splits": {split: asdict(size) for split, size in sizes.items()},
        **asdict(origin),
    }
    content = json.dumps(record, indent=1).encode() + b"\n"
    if len(content) > MAX_RECORD_BYTES:
        raise CorpusError(f"{origin.name} has too many files", hint="join them into fewer, larger ones")
    (folder / RECORD_FILE).write_bytes(content)


def is_token_dataset(path: Path) -> bool:
    """Return whether a folder holds the file that is written last."""
    try:
        return (path / RECORD_FILE).is_file()
    except (OSError, ValueError):  # ValueError: no possible file name
        return False


def _map_splits(
    path: Path, sizes: dict[str, SplitSize], tokenizer: Tokenizer, origin: Origin
) -> dict[str, Split]:
    line_by_line = origin.text.line_by_line
    for name in (TOKENS_FILE, LINES_FILE) if line_by_line else (TOKENS_FILE,):
        check_plain_file(path / name)
    dtype = smallest_dtype(tokenizer.vocab_size).newbyteorder("<")
    tokens = np.memmap(path / TOKENS_FILE, dtype=dtype, mode="r")
    lines = np.memmap(path / LINES_FILE, dtype=LINE_DTYPE, mode="r") if line_by_line else None
    for array, name, field in ((tokens, TOKENS_FILE, "tokens"), (lines, LINES_FILE, "lines")):
        expected = sum(getattr(size, field) for size in sizes.values())
        if array is not None and len(array) != expected:
            raise CorpusError(f"{path}/{name} does not have the recorded length", hint=_HINT)
    if any(
        int(tokens[start : start + _CHECK_CHUNK].max()) >= tokenizer.vocab_size
        for start in range(0, len(tokens), _CHECK_CHUNK)
    ):
        raise CorpusError(f"{path}/{TOKENS_FILE} has ids outside the vocabulary", hint=_HINT)
    splits, token, line = {}, 0, 0
    for name, size in sizes.items():
        starts = None if lines is None else lines[line : line + size.lines]
        splits[name] = Split(
            ids=tokens[token : token + size.tokens],
            counts=TextCounts(size.characters, size.words, size.bytes),
            oov_tokens=size.oov_tokens,
            line_starts=starts,
            unk_id=tokenizer.unk_id,
            line_end=line_end(tokenizer),
        )
        if (
            starts is not None
            and len(starts)
            and not (starts[-1] < size.tokens and (starts[1:] > starts[:-1]).all())
        ):
            raise CorpusError(f"{path}/{LINES_FILE} is not in ascending order", hint=_HINT)
        token, line = token + size.tokens, line + size.lines
    return splits
