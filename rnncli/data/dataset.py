"""A tokenized text on disk: memory-mapped ids, their tokenizer, their parts, and where they came from.

NAME.tok/
    tokens.bin                            ids, little-endian, the smallest unsigned type
    lines.bin                             with --unit line: where lines begin in their part, uint64
    tokenizer.json or tokenizer.model
    store.json                            written last: a folder without it is not a store

| <------------ train ------------> | <- valid -> | <- test -> |      one array; a part may be empty
"""

import json
import os
import stat
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from rnncli import strict
from rnncli.data.config import Unit
from rnncli.data.counting import TextCounts, count
from rnncli.data.origin import Origin
from rnncli.data.split import Part, joined
from rnncli.data.tokenizers.base import (
    Ids,
    Tokenizer,
    decode,
    fingerprint,
    from_json,
    line_end,
    smallest_dtype,
)
from rnncli.data.tokenizers.subword import SubwordTokenizer
from rnncli.errors import CorpusError, RnncliError

FORMAT_VERSION = 1
PARTS = ("train", "valid", "test")
TOKENS, LINES, RECORD = "tokens.bin", "lines.bin", "store.json"
# Of a store of 100,000 files, and of a tokenizer of a million words.
MOST_RECORD_BYTES = MOST_TOKENIZER_BYTES = 2**26
LINE_DTYPE = np.dtype("<u8")
TOKENIZERS = ("tokenizer.model", "tokenizer.json")
_AT_ONCE = 2**24
_AGAIN = "tokenize the text again"


@dataclass(frozen=True)
class PartSize:
    """What store.json says of a part."""

    tokens: int
    characters: int
    words: int
    bytes: int
    oov_tokens: int
    lines: int

    def __post_init__(self) -> None:
        if not all(type(value) is int and value >= 0 for value in vars(self).values()):
            raise ValueError(f"a part is of size {vars(self)}")


@dataclass(frozen=True)
class TokenStore:
    """The parts of a tokenized text with everything needed to read them."""

    train: Part
    valid: Part
    test: Part
    tokenizer: Tokenizer
    origin: Origin

    @property
    def name(self) -> str:
        return self.origin.name

    @property
    def unit(self) -> Unit:
        return self.origin.text.unit

    @property
    def parts(self) -> dict[str, Part]:
        return {name: getattr(self, name) for name in PARTS}

    def measure(self, ids: Ids) -> TextCounts:
        """The size of the text that some ids stand for, as they decode."""
        return count(decode(self.tokenizer, ids))

    @classmethod
    def open(cls, path: Path) -> "TokenStore":
        """Map a store that was written; raises CorpusError when it is not one or is damaged."""
        try:
            record = strict.parsed(_content(path / RECORD, MOST_RECORD_BYTES), MOST_RECORD_BYTES)
            version = record["format_version"]
            if type(version) is not int or version != FORMAT_VERSION:
                raise CorpusError(
                    f"{path} has store format {version!r}; this rnncli reads {FORMAT_VERSION}",
                    hint=f"{_AGAIN} with this version",
                )
            tokenizer = load_tokenizer(path)
            if fingerprint(tokenizer) != record["tokenizer_fingerprint"]:
                raise CorpusError(f"{path} holds a tokenizer of another store", hint=_AGAIN)
            origin = Origin.parsed(record)
            sizes = {part: PartSize(**record["parts"][part]) for part in PARTS}
            return cls(**_map_parts(path, sizes, tokenizer, origin), tokenizer=tokenizer, origin=origin)
        except CorpusError:
            raise
        except (
            *(OSError, ValueError, KeyError, TypeError, AttributeError),
            *(RecursionError, MemoryError, RnncliError),
        ) as error:
            raise CorpusError(
                f"{path} is not a whole token store: {error}", hint="make it again with rnncli tokenize"
            ) from error

    @classmethod
    def joined(cls, stores: Sequence["TokenStore"]) -> "TokenStore":
        """Several stores as one stream, part by part; raises CorpusError where they do not fit together."""
        first = stores[0]
        for store in stores[1:]:
            if fingerprint(store.tokenizer) != fingerprint(first.tokenizer) or store.unit != first.unit:
                raise CorpusError(
                    f"{store.name} and {first.name} are not cut into the same tokens",
                    hint="tokenize each with --tokenizer, the folder of the first, and the same --unit",
                )
        if len(stores) == 1:
            return first
        parts = {name: joined([store.parts[name] for store in stores]) for name in PARTS}
        origin = Origin.joined([store.origin for store in stores])
        return cls(**parts, tokenizer=first.tokenizer, origin=origin)


def write_record(
    folder: Path, origin: Origin, tokenizer: Tokenizer, sizes: dict[str, PartSize], tokens_sha256: str
) -> None:
    """The tokenizer and, last of all, store.json beside ids that lie there already."""
    (folder / tokenizer_file(tokenizer)).write_bytes(tokenizer.to_bytes())
    record = {
        "format_version": FORMAT_VERSION,
        "sha256": origin.sha256,
        "tokens_sha256": tokens_sha256,
        "dtype": smallest_dtype(tokenizer.vocab_size).name,
        "tokenizer_fingerprint": fingerprint(tokenizer),
        "parts": {part: asdict(size) for part, size in sizes.items()},
        **asdict(origin),
    }
    content = json.dumps(record, indent=1).encode() + b"\n"
    if len(content) > MOST_RECORD_BYTES:
        raise CorpusError(f"{origin.name} is of too many files", hint="join them into fewer, larger ones")
    (folder / RECORD).write_bytes(content)


def is_store(path: Path) -> bool:
    """A folder counts as a store when its last-written file is there."""
    try:
        return (path / RECORD).is_file()
    except (OSError, ValueError):  # not even a possible name of a file
        return False


def tokenizer_file(tokenizer: Tokenizer) -> str:
    return TOKENIZERS[0 if tokenizer.level == "subword" else 1]


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer kept in a store; raises CorpusError and TokenizerError."""
    name = next((name for name in TOKENIZERS if os.path.lexists(folder / name)), TOKENIZERS[1])
    try:
        return parsed_tokenizer(name, _content(folder / name, MOST_TOKENIZER_BYTES))
    except (OSError, ValueError) as error:
        raise CorpusError(f"{folder} has no tokenizer: {error}", hint=_AGAIN) from error


def parsed_tokenizer(name: str, content: bytes) -> Tokenizer:
    """From the content of the file of that name; raises TokenizerError."""
    return SubwordTokenizer(content) if name == TOKENIZERS[0] else from_json(content)


def _content(path: Path, most_bytes: int) -> bytes:
    """Of a plain file that is no larger; raises OSError and ValueError."""
    _check_plain(path)
    if path.stat().st_size > most_bytes:
        raise ValueError(f"{path} is larger than any of its kind")
    return path.read_bytes()


def _check_plain(path: Path) -> None:
    """Raises OSError for nothing and ValueError for what is no file: a FIFO would keep one waiting."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f"{path} is not a plain file")


def _map_parts(
    path: Path, sizes: dict[str, PartSize], tokenizer: Tokenizer, origin: Origin
) -> dict[str, Part]:
    for name in (TOKENS, LINES) if origin.text.unit == "line" else (TOKENS,):
        _check_plain(path / name)
    dtype = smallest_dtype(tokenizer.vocab_size).newbyteorder("<")
    tokens = np.memmap(path / TOKENS, dtype=dtype, mode="r")
    lines = np.memmap(path / LINES, dtype=LINE_DTYPE, mode="r") if origin.text.unit == "line" else None
    for array, name, field in ((tokens, TOKENS, "tokens"), (lines, LINES, "lines")):
        expected = sum(getattr(size, field) for size in sizes.values())
        if array is not None and len(array) != expected:
            raise CorpusError(f"{path}/{name} is not as long as recorded", hint=_AGAIN)
    if any(
        int(tokens[start : start + _AT_ONCE].max()) >= tokenizer.vocab_size
        for start in range(0, len(tokens), _AT_ONCE)
    ):
        raise CorpusError(f"{path}/{TOKENS} has ids that its tokenizer does not know", hint=_AGAIN)
    parts, token, line = {}, 0, 0
    for name, size in sizes.items():
        parts[name] = Part(
            ids=tokens[token : token + size.tokens],
            counts=TextCounts(size.characters, size.words, size.bytes),
            oov_tokens=size.oov_tokens,
            line_starts=None if lines is None else lines[line : line + size.lines],
            unknown_id=tokenizer.unknown_id,
            line_end=line_end(tokenizer),
        )
        starts = parts[name].line_starts
        if (
            starts is not None
            and len(starts)
            and not (starts[-1] < size.tokens and (starts[1:] > starts[:-1]).all())
        ):
            raise CorpusError(f"{path}/{LINES} does not go forwards", hint=_AGAIN)
        token, line = token + size.tokens, line + size.lines
    return parts
