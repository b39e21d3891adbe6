"""Where a tokenized text came from, and whether it still is what was read."""

import hashlib
import os
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rnncli import strict
from rnncli.data.config import ReadConfig, TextConfig
from rnncli.data.corpus import Corpus, Source, stamp
from rnncli.data.decoding import opened
from rnncli.errors import ConfigError, CorpusError


@dataclass(frozen=True)
class Origin:
    """Where a store came from: what was named, what was read, and the settings of both steps."""

    name: str
    given: tuple[str, ...]
    valid_given: tuple[str, ...]
    sources: tuple[Source, ...]
    reading: ReadConfig
    text: TextConfig

    @classmethod
    def of(cls, corpus: Corpus, valid: Corpus | None, config: TextConfig) -> Self:
        return cls(
            corpus.name,
            corpus.given,
            valid.given if valid else (),
            corpus.sources + (valid.sources if valid else ()),
            corpus.reading,
            config,
        )

    @classmethod
    def parsed(cls, record: dict[str, Any]) -> Self:
        """From what asdict made of one; raises KeyError, TypeError and ValueError for anything else."""
        strict.check_types(cls, {name: record[name] for name in ("name", "given", "valid_given")})
        try:
            return cls(
                name=str(record["name"]),
                given=tuple(record["given"]),
                valid_given=tuple(record["valid_given"]),
                sources=tuple(map(_source, record["sources"])),
                reading=ReadConfig(**record["reading"]),
                text=TextConfig(**record["text"]),
            )
        except ConfigError as error:
            raise ValueError(str(error)) from error

    @classmethod
    def joined(cls, origins: Sequence[Self]) -> Self:
        """Of several texts, which were made with the settings of the first."""
        return cls(
            name=", ".join(origin.name for origin in origins),
            given=tuple(name for origin in origins for name in origin.given),
            valid_given=tuple(name for origin in origins for name in origin.valid_given),
            sources=tuple(source for origin in origins for source in origin.sources),
            reading=origins[0].reading,
            text=origins[0].text,
        )

    @property
    def sha256(self) -> str:
        """Of the source as it lies on disk; of several, that of their hashes."""
        hashes = [source.sha256 for source in self.sources]
        return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()

    @property
    def encoding(self) -> str:
        return ", ".join(dict.fromkeys(source.encoding for source in self.sources))

    def same_text(self, other: "Origin") -> bool:
        """Made from the same bytes with the same settings."""
        return (self.sha256, self.reading, self.text, bool(self.valid_given)) == (
            other.sha256,
            other.reading,
            other.text,
            bool(other.valid_given),
        )

    def changed(self) -> str | None:
        """The name of something that is no longer what was read, or None; what is gone cannot change."""
        known = {source.path: source for source in self.sources}
        for path, source in known.items():
            if _differs(source):
                return path
        # Neither lists nor patterns again: a stranger's would lead anywhere, or wait.
        named = (*self.given, *self.valid_given)
        return next((new for name in named if (new := _new_file(name, known)) is not None), None)


def _source(record: dict[str, Any]) -> Source:
    strict.check_types(Source, record)
    return Source(**record)


def _new_file(folder: str, known: Container[str]) -> str | None:
    """The first file below it that was not there; a stranger's folder is left at its first file."""
    if "\0" in folder:  # no name of a folder, but a stranger's
        return None
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(root, name)
            if not name.startswith(".") and path.as_posix() not in known and path.is_file():
                return path.as_posix()
    return None


def _differs(source: Source) -> bool:
    """Hashed only where the size or the time says that it may differ."""
    if source.modified_ns is None or stamp(source.path) in (None, (source.bytes, source.modified_ns)):
        return False
    try:
        if not Path(source.path).is_file():  # a FIFO would wait for ever
            return True
        with opened(source.path) as file:
            file.finish()
            return file.sha256 != source.sha256
    except CorpusError:
        return False
