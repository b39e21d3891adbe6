"""JSON of strangers: one object, no surprises, and values of the types that a dataclass names."""

import json
from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

LARGEST_BYTES = 1_000_000
# Beyond it sums and products of the things that are counted here would not be numbers any more.
_LARGEST_NUMBER = 2.0**62


def parsed(content: bytes, most_bytes: int = LARGEST_BYTES) -> dict[str, Any]:
    """One object, no key twice, no NaN, not endless; raises ValueError."""
    if len(content) > most_bytes:
        raise ValueError(f"more than {most_bytes:,} bytes")
    try:
        record = json.loads(content, object_pairs_hook=_no_key_twice, parse_constant=_no_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(record, dict):
        raise ValueError("no JSON object")
    return record


def check_types(kind: type, record: Mapping[str, Any]) -> None:
    """Raises ValueError for the first value that is not of the type of its field in a dataclass."""
    for name, hint in get_type_hints(kind).items():
        if name in record and not is_of(record[name], hint):
            shown = repr(record[name])
            raise ValueError(f"{name} is {shown if len(shown) <= 300 else f'{shown[:300]}...'}")


def is_of(value: object, hint: Any) -> bool:
    """Numbers are finite and no larger than can be counted, text is text, a list may stand for a tuple."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(is_of(value, one) for one in arguments)
    if origin is Literal:
        return isinstance(value, str) and value in arguments
    if origin is tuple:
        return isinstance(value, list | tuple) and all(is_of(one, arguments[0]) for one in value)
    if hint is float:
        return isinstance(value, int | float) and type(value) is not bool and abs(value) < _LARGEST_NUMBER
    if hint is int:
        return isinstance(value, int) and type(value) is not bool and abs(value) < _LARGEST_NUMBER
    if hint is str:
        return isinstance(value, str) and not any("\ud800" <= one <= "\udfff" for one in value)
    return hint is Any or type(value) is hint


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("a key stands there twice")
    return record


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")
