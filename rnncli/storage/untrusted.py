"""Checks before a file of a model directory is read: it may be damaged, and it may be untrusted."""

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from rnncli import files
from rnncli.errors import ModelError, RnncliError

DAMAGED_HINT = "the folder is damaged or was changed by hand; restore a copy or train again"

Config = TypeVar("Config")


@contextmanager
def open_file(path: Path, folder: Path | None = None) -> Iterator[BinaryIO]:
    """Open a regular file to read. Neither it nor any folder between `folder` and the file may be a link.

    Raises:
        ModelError: The file is missing, unreadable or not a regular file.
    """
    try:
        checked_paths = (
            [path] if folder is None else [path, *path.parents[: len(path.relative_to(folder).parts) - 1]]
        )
        for checked in checked_paths:
            if checked.is_symlink():
                raise ModelError(f"{checked} is a link, not a regular file", hint=DAMAGED_HINT)
        if not path.is_file():
            reason = "is not a regular file" if path.exists() else "is missing"
            raise ModelError(f"{path} {reason}", hint=DAMAGED_HINT)
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}", hint="check its permissions") from error


def check_size(path: Path, max_bytes: int) -> None:
    """Raise ModelError for a file above `max_bytes`, before any of it is read."""
    if path.is_file() and path.stat().st_size > max_bytes:
        raise ModelError(f"{path} is larger than such a file can be", hint=DAMAGED_HINT)


def read_file(path: Path, max_bytes: int) -> bytes:
    """Return the content of a regular file; raise ModelError as open_file and check_size do."""
    check_size(path, max_bytes)
    with open_file(path) as file:
        return file.read(max_bytes)


def parse_json(content: bytes, path: Path, max_bytes: int = files.MAX_JSON_BYTES) -> dict[str, Any]:
    """Parse one JSON object strictly (files.parse_json_object); raise ModelError for anything else."""
    try:
        return files.parse_json_object(content, max_bytes)
    except ValueError as error:
        raise ModelError(f"{path} is damaged: {error}", hint=DAMAGED_HINT) from error


def read_config(kind: type[Config], record: object, where: str) -> Config:
    """Build a frozen dataclass from JSON; the error for an unknown key names the nearest known one."""
    known = list(getattr(kind, "__dataclass_fields__", {}))
    if not isinstance(record, dict):
        raise ModelError(f"{where} is not a JSON object", hint=DAMAGED_HINT)
    for key in record:
        if key not in known:
            near = get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise ModelError(f"{where} has the unknown key {key!r}", hint=hint)
    try:
        files.check_types(kind, record)
        return kind(**record)
    except (RnncliError, TypeError, ValueError) as error:
        raise ModelError(f"{where}: {error}", hint=DAMAGED_HINT) from error
