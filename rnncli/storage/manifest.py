"""The manifest of a model directory: size and SHA-256 of every file, so that no change goes unnoticed.

A file and the manifest cannot be replaced in one step. Therefore the manifest first permits the old and the
new content, then the file is replaced, then the manifest permits the new content only. A kill between any
two of these steps leaves a valid directory:

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
from rnncli.files import MAX_JSON_BYTES, has_type
from rnncli.storage.untrusted import DAMAGED_HINT, open_file, parse_json, read_file

MANIFEST = "manifest.json"
# Logs only grow; the manifest describes what they held when it was written.
_GROWING = frozenset({"metrics.jsonl"})
_BLOCK_BYTES = 2**20


class FileEntry(NamedTuple):
    """Size in bytes and SHA-256 of a file, or of the beginning of a log."""

    size: int
    sha256: str

    @classmethod
    def of(cls, content: bytes) -> "FileEntry":
        return cls(len(content), hashlib.sha256(content).hexdigest())

    @classmethod
    def of_file(cls, path: Path, folder: Path) -> "FileEntry":
        """Hash a file; raise ModelError if it is not a regular file."""
        with open_file(path, folder) as file:
            return _entry(file, os.fstat(file.fileno()).st_size)


@dataclass(frozen=True)
class Manifest:
    """The permitted contents of each file by name (None: it may be missing). Other files are refused."""

    files: Mapping[str, tuple[FileEntry | None, ...]]

    @classmethod
    def of(cls, folder: Path) -> "Manifest":
        """Describe the files that are in a folder now."""
        found = dict[str, tuple[FileEntry | None, ...]]()
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if (
                path.is_file()
                and name not in (MANIFEST, files.LOCK)
                and not path.name.startswith(files.PARTIAL)
            ):
                found[name] = (FileEntry.of_file(path, folder),)
        return cls(found)

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read the manifest of a folder; raises ModelError where it is missing or damaged."""
        path = folder / MANIFEST
        record = parse_json(read_file(path, MAX_JSON_BYTES), path)
        try:
            files = {name: tuple(map(_parsed, entries)) for name, entries in record["files"].items()}
            if any(map(_leads_out, files)):
                raise ValueError("a name leads out of the folder")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelError(f"{path} is damaged: {error}", hint=DAMAGED_HINT) from error
        manifest = cls(files)
        if record.get("sha256") != manifest._sha256:
            raise ModelError(f"{path} does not match its checksum", hint=DAMAGED_HINT)
        return manifest

    def write(self, folder: Path) -> None:
        """Write manifest.json atomically; raise StorageError, which leaves the previous one, on failure."""
        content = json.dumps({"files": self.files, "sha256": self._sha256}, indent=1)
        files.write_file(folder / MANIFEST, content.encode() + b"\n")

    def permitting(self, changes: Mapping[str, FileEntry | None]) -> "Manifest":
        """Permit these contents besides those permitted before."""
        both = {name: (*self.files.get(name, (None,)), entry) for name, entry in changes.items()}
        return Manifest({**self.files, **{name: tuple(dict.fromkeys(one)) for name, one in both.items()}})

    def requiring(self, changes: Mapping[str, FileEntry | None]) -> "Manifest":
        """Permit only these contents for the files that they name."""
        files = {**self.files, **{name: (entry,) for name, entry in changes.items()}}
        return Manifest({name: entries for name, entries in files.items() if entries != (None,)})

    def check(self, folder: Path, name: str) -> bool:
        """Return whether a file exists, having verified it.

        Raises:
            ModelError: The file does not match the manifest, or is missing although the manifest requires it.
        """
        path, entries = folder / name, self.files.get(name, (None,))
        if not os.path.lexists(path):
            if None in entries:
                return False
            raise ModelError(f"{path} is missing", hint=DAMAGED_HINT)
        allowed = [entry for entry in entries if entry is not None]
        if not allowed:
            raise ModelError(f"{path} is not in the manifest", hint=DAMAGED_HINT)
        with open_file(path, folder) as file:
            size = os.fstat(file.fileno()).st_size
            for length in {entry.size for entry in allowed}:
                fits = length <= size if name in _GROWING else length == size
                file.seek(0)
                if fits and _entry(file, length) in allowed:
                    return True
        raise ModelError(f"{path} does not match its checksum", hint=DAMAGED_HINT)

    def mismatches(self, folder: Path) -> Iterator[str]:
        """Yield a sentence for each file that does not match."""
        for name in sorted(self.files):
            try:
                self.check(folder, name)
            except ModelError as error:
                yield str(error)

    @property
    def _sha256(self) -> str:
        return hashlib.sha256(json.dumps(self.files, sort_keys=True).encode()).hexdigest()


def _leads_out(name: str) -> bool:
    """Whether a name, which may be untrusted, leads out of its folder on any operating system."""
    path = PureWindowsPath(name)  # takes both kinds of slashes
    return bool(path.anchor) or ".." in path.parts or "\0" in name


def _parsed(entry: Any) -> FileEntry | None:
    if entry is None:
        return None
    size, sha256 = entry
    if not (has_type(size, int) and size >= 0 and has_type(sha256, str)):
        raise ValueError("a size or a checksum has the wrong type")
    return FileEntry(size, sha256)


def _entry(file: BinaryIO, length: int) -> FileEntry:
    """Hash the first `length` bytes."""
    digest, left = hashlib.sha256(), length
    while left and (block := file.read(min(left, _BLOCK_BYTES))):
        digest.update(block)
        left -= len(block)
    return FileEntry(length - left, digest.hexdigest())
