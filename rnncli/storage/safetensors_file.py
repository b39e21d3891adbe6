"""Safetensors files of NumPy arrays with JSON metadata.

One rename replaces arrays and metadata at once, and a model can be read without torch. The safetensors
library does not detect flipped bits; the manifest does (storage/manifest.py), against which every file is
verified first.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load

from rnncli.errors import ModelError
from rnncli.storage.untrusted import DAMAGED_HINT, open_file, parse_json

AnyArray = npt.NDArray[Any]
# NumPy's type names, and those of the format.
_KINDS = {
    **{f"float{bits}": f"F{bits}" for bits in (16, 32, 64)},
    **{f"{sign}int{bits}": f"{sign.upper() or 'I'}{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "bool": "BOOL",
}
_KEY, _METADATA = "rnncli", "__metadata__"
# Ensembles of deep networks have ten thousand tensor names and more, of about a hundred bytes each.
_MAX_HEADER_BYTES = 16_000_000


def serialize_arrays(arrays: Mapping[str, AnyArray], facts: dict[str, Any]) -> bytes:
    """Return the content of a file; `facts` becomes its JSON metadata."""
    plain = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    # A single key: with several, safetensors does not always write them in the same order.
    return _serialize(plain, {_KEY: json.dumps(facts, allow_nan=False)})


def read_arrays(
    path: Path, max_header_bytes: int = _MAX_HEADER_BYTES
) -> tuple[dict[str, AnyArray], dict[str, Any]]:
    """Return arrays and metadata of a complete file with finite numbers; raise ModelError otherwise."""
    facts = _facts(path, check_whole(path, max_header_bytes))
    with open_file(path) as file:
        content = file.read()
    try:
        arrays = load(content)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is not a complete safetensors file: {error}", hint=DAMAGED_HINT) from error
    for name, array in arrays.items():
        if np.issubdtype(array.dtype, np.floating) and not bool(np.isfinite(array).all()):
            raise ModelError(f"{path}: {name} holds numbers that are not finite", hint=DAMAGED_HINT)
    return arrays, facts


def check_whole(path: Path, max_header_bytes: int) -> dict[str, Any]:
    """Return the header without reading the rest; raise ModelError if it contradicts the file's size."""
    with open_file(path) as file:
        length = int.from_bytes(file.read(8), "little")
        header = parse_json(file.read(min(length, max_header_bytes + 1)), path, max_header_bytes)
        try:
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != _METADATA]
            whole = 8 + length + max(ends, default=0) == os.fstat(file.fileno()).st_size
        except (IndexError, KeyError, TypeError) as error:
            raise ModelError(f"{path} has no safetensors header: {error}", hint=DAMAGED_HINT) from error
    if not whole:
        raise ModelError(f"{path} is not as long as its header says", hint=DAMAGED_HINT)
    return header


def check_arrays(
    path: Path, arrays: Mapping[str, AnyArray], like: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]
) -> None:
    """Raise ModelError for the first array whose name, type or shape is not that of `like`."""
    for name in sorted(set(arrays) ^ set(like)):
        state = "is missing" if name in like else "is not part of the model"
        raise ModelError(f"{path}: the tensor {name} {state}", hint=DAMAGED_HINT)
    for name in sorted(arrays):
        found = arrays[name].dtype, arrays[name].shape
        if found != like[name]:
            raise ModelError(
                f"{path}: {name} is {_words(found)}, not {_words(like[name])}", hint=DAMAGED_HINT
            )


def _serialize(arrays: Mapping[str, AnyArray], metadata: dict[str, str]) -> bytes:
    """Return what safetensors.numpy.save returns, with one copy of the arrays in memory in place of two."""
    header: dict[str, Any] = {_METADATA: metadata}
    names = sorted(
        arrays, key=lambda name: (-arrays[name].itemsize, name)
    )  # larger items first: every array is aligned
    end = 0
    for name in names:
        begin, end = end, end + arrays[name].nbytes
        kind = _KINDS[arrays[name].dtype.name]
        header[name] = {"dtype": kind, "shape": list(arrays[name].shape), "data_offsets": [begin, end]}
    head = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    head += b" " * (-len(head) % 8)
    data = (arrays[name].reshape(-1).view(np.uint8).data for name in names)
    return b"".join([len(head).to_bytes(8, "little"), head, *data])


def _words(kind: tuple[np.dtype[Any], tuple[int, ...]]) -> str:
    return f"{kind[0].name} {kind[1]}"


def _facts(path: Path, header: dict[str, Any]) -> dict[str, Any]:
    metadata = header.get(_METADATA)
    text = metadata.get(_KEY) if isinstance(metadata, dict) else None
    if not isinstance(text, str):
        raise ModelError(f"{path} was not written by rnncli", hint=DAMAGED_HINT)
    return parse_json(text.encode(errors="replace"), path)
