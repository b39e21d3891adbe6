"""A tokenized text on disk: one memory-mapped array of ids, its tokenizer, its counts, its parts.

NAME.tok/
    tokens.bin                            ids, little-endian, the smallest unsigned type
    tokenizer.json or tokenizer.model
    store.json                            written last: a folder without it is not a store

| <------------ train ------------> | <- valid -> |      one array, split at a character of the text
"""

import json
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from rnncli import atomic
from rnncli.errors import CorpusError, TokenizerError
from rnncli.text.config import TextConfig
from rnncli.text.reading import Text, TextCounts, count
from rnncli.text.subword import SubwordTokenizer
from rnncli.text.tokenizers import (
    ByteTokenizer,
    CharTokenizer,
    Ids,
    Tokenizer,
    WordTokenizer,
    decode,
    fingerprint,
    from_json,
    smallest_dtype,
)

FORMAT_VERSION = 1
# Enough for a held-out figure to two decimals; more would only slow validation down.
MOST_VALID_CHARACTERS = 5_000_000
_FEWEST_CHARACTERS = 10
_TOKENS, _RECORD = "tokens.bin", "store.json"


@dataclass(frozen=True)
class Part:
    """A contiguous run of a store's ids and the size of the text that they stand for."""

    start: int
    tokens: int
    characters: int
    words: int
    bytes: int

    @property
    def counts(self) -> TextCounts:
        return TextCounts(self.characters, self.words, self.bytes)


@dataclass(frozen=True)
class TokenStore:
    """ids (N,) with everything needed to read them; `tokens` may be a memory map."""

    tokens: Ids
    tokenizer: Tokenizer
    name: str
    sha256: str
    encoding: str
    train: Part
    valid: Part

    @classmethod
    def build(cls, text: Text, config: TextConfig) -> "TokenStore":
        """Learn the tokenizer, encode both parts; raises CorpusError and TokenizerError."""
        refuse_short(text)
        content = text.content
        cut = _cut(content, config)
        parts = content[:cut], content[cut:]
        tokenizer = _learn(content, parts[0], config)
        train, valid = (tokenizer.encode(part) for part in parts)
        if not len(train) or not len(valid):
            raise CorpusError(
                f"{text.name} has too few words for a training and a held-out part",
                hint="use more text, or --level char",
            )
        return cls(
            tokens=np.concatenate([train, valid]),
            tokenizer=tokenizer,
            name=text.name,
            sha256=text.sha256,
            encoding=text.encoding,
            train=Part(0, len(train), *count(parts[0])),
            valid=Part(len(train), len(valid), *count(parts[1])),
        )

    def ids(self, part: Part) -> Ids:
        return self.tokens[part.start : part.start + part.tokens]

    def measure(self, ids: Ids) -> TextCounts:
        """The size of the text that some ids stand for, as they decode."""
        return count(decode(self.tokenizer, ids))

    @property
    def oov_tokens(self) -> int:
        """How many tokens, of both parts, are <unk>."""
        unknown = self.tokenizer.unknown_id
        return 0 if unknown is None else int(np.count_nonzero(self.tokens == unknown))

    def write(self, path: Path) -> None:
        """Write the folder `path`, whole or not at all; raises StorageError."""
        record = {
            "format_version": FORMAT_VERSION,
            "name": self.name,
            "sha256": self.sha256,
            "encoding": self.encoding,
            "dtype": self.tokens.dtype.name,
            "tokenizer_fingerprint": fingerprint(self.tokenizer),
            "train": asdict(self.train),
            "valid": asdict(self.valid),
        }

        def fill(folder: Path) -> None:
            self.tokens.astype(self.tokens.dtype.newbyteorder("<"), copy=False).tofile(folder / _TOKENS)
            (folder / tokenizer_file(self.tokenizer)).write_bytes(self.tokenizer.to_bytes())
            (folder / _RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")

        atomic.write_folder(path, fill)

    @classmethod
    def open(cls, path: Path) -> "TokenStore":
        """Map a store that was written; raises CorpusError when it is not one or is damaged."""
        try:
            record = json.loads((path / _RECORD).read_bytes())
            if record["format_version"] != FORMAT_VERSION:
                raise CorpusError(
                    f"{path} has store format {record['format_version']}; this rnncli reads {FORMAT_VERSION}",
                    hint="tokenize the text again with this version",
                )
            tokenizer = load_tokenizer(path)
            dtype = smallest_dtype(tokenizer.vocab_size).newbyteorder("<")
            store = cls(
                tokens=np.memmap(path / _TOKENS, dtype=dtype, mode="r"),
                tokenizer=tokenizer,
                name=record["name"],
                sha256=record["sha256"],
                encoding=record["encoding"],
                train=Part(**record["train"]),
                valid=Part(**record["valid"]),
            )
            store._check(path, record)
        except (OSError, ValueError, KeyError, TypeError, RecursionError, TokenizerError) as error:
            raise CorpusError(
                f"{path} is not a whole token store: {error}", hint="make it again with rnncli tokenize"
            ) from error
        return store

    def _check(self, path: Path, record: dict[str, Any]) -> None:
        if fingerprint(self.tokenizer) != record["tokenizer_fingerprint"]:
            raise CorpusError(f"{path} holds a tokenizer of another store", hint="tokenize the text again")
        fits = self.tokens.dtype.name == record["dtype"] and self.valid.start == self.train.tokens
        if not fits or len(self.tokens) != self.train.tokens + self.valid.tokens:
            raise CorpusError(f"{path}/{_TOKENS} is not as long as recorded", hint="tokenize the text again")


def refuse_short(text: Text) -> None:
    """Raises CorpusError for a text that has nothing to learn from and nothing to hold out."""
    if len(text.content) < _FEWEST_CHARACTERS:
        raise CorpusError(
            f"{text.name} has {len(text.content)} characters; a model needs {_FEWEST_CHARACTERS} or more",
            hint="a good model wants a hundred thousand",
        )


def is_store(path: Path) -> bool:
    """A folder counts as a store when its last-written file is there."""
    try:
        return (path / _RECORD).is_file()
    except (OSError, ValueError):  # not even a possible name of a file
        return False


def tokenizer_file(tokenizer: Tokenizer) -> str:
    return "tokenizer.model" if tokenizer.level == "subword" else "tokenizer.json"


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer kept in a store or a model folder; raises OSError and TokenizerError."""
    model = folder / "tokenizer.model"
    if model.exists():
        return SubwordTokenizer(model.read_bytes())
    return from_json((folder / "tokenizer.json").read_bytes())


def _learn(content: str, training: str, config: TextConfig) -> Tokenizer:
    """Words and pieces are learned from the training part alone: the held-out part stays unseen."""
    match config.level:
        case "char":
            return CharTokenizer.learn(content)
        case "byte":
            return ByteTokenizer()
        case "word":
            return WordTokenizer.learn(training, config.vocab_size)
        case "subword":
            return SubwordTokenizer.learn(training, config.vocab_size, config.subword_kind)


def _cut(content: str, config: TextConfig) -> int:
    """Where the held-out part begins, in characters; never inside a word at word level."""
    cut = int(len(content) * (1 - config.valid_fraction))
    cut = min(max(cut, len(content) - MOST_VALID_CHARACTERS, 1), len(content) - 1)
    if config.level == "word":
        # The next place after a blank; else the last one before; else there is one word only.
        places = chain(range(cut, len(content)), range(cut - 1, 0, -1))
        return next((place for place in places if content[place - 1].isspace()), len(content))
    return cut
