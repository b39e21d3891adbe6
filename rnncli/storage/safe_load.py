"""What is checked before a model folder is believed: it may be damaged, and it may be a stranger's."""

import json
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from rnncli.errors import ModelError, RnncliError

LARGEST_JSON_BYTES = 1_000_000
DAMAGED = "the folder is damaged or was changed by hand; restore a copy or train again"

Config = TypeVar("Config")


def read_file(path: Path) -> bytes:
    """A plain file's bytes; raises ModelError when it is missing, unreadable or no plain file."""
    try:
        if path.is_symlink() or not path.is_file():
            reason = "is not a plain file" if path.exists() or path.is_symlink() else "is missing"
            raise ModelError(f"{path} {reason}", hint=DAMAGED)
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}", hint="check its permissions") from error


def parse_json(content: bytes, path: Path) -> dict[str, Any]:
    """Strict JSON: one object, no key twice, no NaN, not endless; raises ModelError."""
    try:
        if len(content) > LARGEST_JSON_BYTES:
            raise ValueError(f"more than {LARGEST_JSON_BYTES:,} bytes")
        record = json.loads(content, object_pairs_hook=_no_key_twice, parse_constant=_no_constant)
        if not isinstance(record, dict):
            raise ValueError("no JSON object")
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path} is damaged: {error}", hint=DAMAGED) from error
    return record


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
        return kind(**record)
    except (RnncliError, TypeError, ValueError) as error:
        raise ModelError(f"{where}: {error}", hint=DAMAGED) from error


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("a key stands there twice")
    return record


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")
