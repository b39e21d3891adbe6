"""What is checked before a model folder is believed: it may be damaged, and it may be a stranger's."""

from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from rnncli import strict
from rnncli.errors import ModelError, RnncliError

DAMAGED = "the folder is damaged or was changed by hand; restore a copy or train again"

Config = TypeVar("Config")


@contextmanager
def open_file(path: Path, folder: Path | None = None) -> Iterator[BinaryIO]:
    """A plain file to read; raises ModelError when it is missing, unreadable or no plain file.

    Neither it nor, where a `folder` is named, any folder on the way from there to it may be a link.
    """
    try:
        places = (
            [path] if folder is None else [path, *path.parents[: len(path.relative_to(folder).parts) - 1]]
        )
        for place in places:
            if place.is_symlink():
                raise ModelError(f"{place} is a link and not a plain file", hint=DAMAGED)
        if not path.is_file():
            reason = "is not a plain file" if path.exists() else "is missing"
            raise ModelError(f"{path} {reason}", hint=DAMAGED)
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}", hint="check its permissions") from error


def check_size(path: Path, most_bytes: int) -> None:
    """Raises ModelError for a larger file, before any of it is read: a sparse one is quickly made."""
    if path.is_file() and path.stat().st_size > most_bytes:
        raise ModelError(f"{path} is larger than any of its kind", hint=DAMAGED)


def read_file(path: Path, most_bytes: int) -> bytes:
    """All of a plain file; raises ModelError as open_file and check_size."""
    check_size(path, most_bytes)
    with open_file(path) as file:
        return file.read(most_bytes)


def parse_json(content: bytes, path: Path, most_bytes: int = strict.LARGEST_BYTES) -> dict[str, Any]:
    """Strict JSON: one object, no key twice, no NaN, not endless; raises ModelError."""
    try:
        return strict.parsed(content, most_bytes)
    except ValueError as error:
        raise ModelError(f"{path} is damaged: {error}", hint=DAMAGED) from error


def read_config(kind: type[Config], record: object, where: str) -> Config:
    """A frozen config from JSON; an unknown key is an error that names the nearest known one."""
    known = list(getattr(kind, "__dataclass_fields__", {}))
    if not isinstance(record, dict):
        raise ModelError(f"{where} is not a JSON object", hint=DAMAGED)
    for key in record:
        if key not in known:
            near = get_close_matches(key, known, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
            raise ModelError(f"{where} has the unknown key {key!r}", hint=hint)
    try:
        strict.check_types(kind, record)
        return kind(**record)
    except (RnncliError, TypeError, ValueError) as error:
        raise ModelError(f"{where}: {error}", hint=DAMAGED) from error
