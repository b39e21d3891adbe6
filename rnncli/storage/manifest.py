"""What a model folder holds, by size and SHA-256, so that nothing in it changes without a word.

A file and the manifest cannot be replaced in one step. So the manifest allows what a file is and what it
becomes, then the file is replaced, then it allows nothing else. A kill between any two lines leaves a folder
that is as it should be:

    manifest: old           file: old
    manifest: old or new    file: old
    manifest: old or new    file: new
    manifest: new           file: new
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any, BinaryIO, NamedTuple

from rnncli import files
from rnncli.errors import ModelError
from rnncli.storage.safe_load import DAMAGED, open_file, parse_json, read_file
from rnncli.strict import LARGEST_BYTES, is_of

MANIFEST = "manifest.json"
# A log only grows: what it had when the manifest was written is what is known of it.
_GROWING = frozenset({"metrics.jsonl"})
_AT_ONCE = 2**20


class Entry(NamedTuple):
    """Of a file, or of the beginning of one that grows."""

    size: int
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> "Entry":
        return cls(len(content), hashlib.sha256(content).hexdigest())

    @classmethod
    def of_file(cls, path: Path, folder: Path) -> "Entry":
        """Raises ModelError where it is no plain file."""
        with open_file(path, folder) as file:
            return _entry(file, os.fstat(file.fileno()).st_size)


@dataclass(frozen=True)
class Manifest:
    """By name what a file may be; None: it may be missing. What is not named is not believed."""

    files: Mapping[str, tuple[Entry | None, ...]]

    @classmethod
    def of(cls, folder: Path) -> "Manifest":
        """What lies in a folder now."""
        found = dict[str, tuple[Entry | None, ...]]()
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if (
                path.is_file()
                and name not in (MANIFEST, files.LOCK)
                and not path.name.startswith(files.PARTIAL)
            ):
                found[name] = (Entry.of_file(path, folder),)
        return cls(found)

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read the manifest of a folder; raises ModelError where it is missing or damaged."""
        path = folder / MANIFEST
        record = parse_json(read_file(path, LARGEST_BYTES), path)
        try:
            files = {name: tuple(map(_parsed, entries)) for name, entries in record["files"].items()}
            if any(map(_leads_out, files)):
                raise ValueError("a name leads out of the folder")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{path} is damaged: {error}", hint=DAMAGED) from error
        manifest = cls(files)
        if record.get("sha256") != manifest._sha256:
            raise ModelError(f"{path} is not what was written: its SHA-256 differs", hint=DAMAGED)
        return manifest

    def write(self, folder: Path) -> None:
        """Raises StorageError, and leaves the one before."""
        content = json.dumps({"files": self.files, "sha256": self._sha256}, indent=1)
        files.write_file(folder / MANIFEST, content.encode() + b"\n")

    def allowing(self, changes: Mapping[str, Entry | None]) -> "Manifest":
        """What was allowed before, or these."""
        both = {name: (*self.files.get(name, (None,)), entry) for name, entry in changes.items()}
        return Manifest({**self.files, **{name: tuple(dict.fromkeys(one)) for name, one in both.items()}})

    def settled(self, changes: Mapping[str, Entry | None]) -> "Manifest":
        """These and nothing else."""
        files = {**self.files, **{name: (entry,) for name, entry in changes.items()}}
        return Manifest({name: entries for name, entries in files.items() if entries != (None,)})

    def check(self, folder: Path, name: str) -> bool:
        """Whether a file is there; raises ModelError unless it is, or is missing, as the manifest says."""
        path, entries = folder / name, self.files.get(name, (None,))
        if not os.path.lexists(path):
            if None in entries:
                return False
            raise ModelError(f"{path} is missing", hint=DAMAGED)
        allowed = [entry for entry in entries if entry is not None]
        if not allowed:
            raise ModelError(f"{path} does not belong there", hint=DAMAGED)
        with open_file(path, folder) as file:
            size = os.fstat(file.fileno()).st_size
            for length in {entry.size for entry in allowed}:
                fits = length <= size if name in _GROWING else length == size
                file.seek(0)
                if fits and _entry(file, length) in allowed:
                    return True
        raise ModelError(f"{path} is not what was written: its SHA-256 differs", hint=DAMAGED)

    def wrong(self, folder: Path) -> Iterator[str]:
        """What is not as it should be, a sentence a file."""
        for name in sorted(self.files):
            try:
                self.check(folder, name)
            except ModelError as error:
                yield str(error)

    @property
    def _sha256(self) -> str:
        return hashlib.sha256(json.dumps(self.files, sort_keys=True).encode()).hexdigest()


def _leads_out(name: str) -> bool:
    """Whether a name in a manifest, which may be untrusted, leads out of its folder on some system."""
    path = PureWindowsPath(name)  # takes both kinds of slashes
    return bool(path.anchor) or ".." in path.parts or "\0" in name


def _parsed(entry: Any) -> Entry | None:
    if entry is None:
        return None
    size, sha256 = entry
    if not (is_of(size, int) and size >= 0 and is_of(sha256, str)):
        raise ValueError("a size or a sum is of another type")
    return Entry(size, sha256)


def _entry(file: BinaryIO, length: int) -> Entry:
    """Of the first so many bytes."""
    digest, left = hashlib.sha256(), length
    while left and (block := file.read(min(left, _AT_ONCE))):
        digest.update(block)
        left -= len(block)
    return Entry(length - left, digest.hexdigest())
