"""Tensors in a file of a model, changed; the manifest confirms whatever lies there."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load, save

from tests.faults.hostile.spoiling import Edit, changed, later, put

AnyArray = npt.NDArray[Any]
Arrays = dict[str, AnyArray]


def with_facts(arrays: Mapping[str, AnyArray], text: str) -> bytes:
    """A file of tensors and facts, laid out as rnncli writes it."""
    return save(dict(arrays), {"rnncli": text})


def facts_of(content: bytes) -> str:
    return str(header_of(content)["__metadata__"]["rnncli"])


def header_of(content: bytes) -> dict[str, Any]:
    record = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert isinstance(record, dict)
    return record


def headed(text: bytes, data: bytes = b"") -> bytes:
    return len(text).to_bytes(8, "little") + text + data


def tensors(name: str, change: Callable[[Arrays], object]) -> Edit:
    """Other tensors under the same facts."""

    def made(content: bytes) -> bytes:
        arrays = {key: array.copy() for key, array in load(content).items()}
        change(arrays)
        return with_facts(arrays, facts_of(content))

    return changed(name, made)


def facts(name: str, text: str) -> Edit:
    """Other facts about the same tensors."""
    return changed(name, lambda content: with_facts(load(content), text))


def header(name: str, change: Callable[[dict[str, Any]], object]) -> Edit:
    """Another header before the same bytes."""

    def made(content: bytes) -> bytes:
        record = header_of(content)
        change(record)
        return headed(json.dumps(record).encode(), content[8 + int.from_bytes(content[:8], "little") :])

    return changed(name, made)


def length(name: str) -> Edit:
    """A header that claims to be of 2^60 bytes."""
    return changed(name, lambda content: (2**60).to_bytes(8, "little") + content[8:])


def empty_tensors(name: str, number: int) -> Edit:
    """Nothing but a header of so many."""
    entry = '"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}'
    return later(lambda: put(name, headed(f"{{{','.join(entry % one for one in range(number))}}}".encode())))


def replaced(name: str, array: AnyArray) -> Callable[[Arrays], object]:
    return lambda arrays: arrays.update({name: array})


def filled(value: float, names: str = "") -> Callable[[Arrays], object]:
    """All real tensors, or those with such a name."""

    def change(arrays: Arrays) -> None:
        for name, array in arrays.items():
            if array.dtype.kind == "f" and names in name:
                array.fill(value)

    return change


def as_type(kind: str) -> Callable[[Arrays], object]:
    return lambda arrays: arrays.update({name: array.astype(kind) for name, array in arrays.items()})


def zeros(*shape: int, dtype: npt.DTypeLike = np.float32) -> AnyArray:
    return np.zeros(shape, dtype)
