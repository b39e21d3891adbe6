"""A safetensors file that carries facts about its arrays: one rename replaces all of it at once.

safetensors does not notice flipped bits. The manifest of the folder does: it has the SHA-256 of every file,
and a file is read only after it was checked there (storage/manifest.py). The arrays are NumPy arrays, so
that a model can be read without torch.
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
from rnncli.storage.safe_load import DAMAGED, open_file, parse_json

Array = npt.NDArray[Any]
# numpy's names of types and those of the format.
_KINDS = {
    **{f"float{bits}": f"F{bits}" for bits in (16, 32, 64)},
    **{f"{sign}int{bits}": f"{sign.upper() or 'I'}{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "bool": "BOOL",
}
_KEY, _METADATA = "rnncli", "__metadata__"
# Many layers of many members have many names: ten thousand and more of a hundred bytes each.
_LARGEST_HEADER = 16_000_000


def packed(arrays: Mapping[str, Array], facts: dict[str, Any]) -> bytes:
    """The content of a file; `facts` is a JSON object."""
    plain = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    # One key: of several, safetensors does not always write the same first, and equal files would differ.
    return _serialized(plain, {_KEY: json.dumps(facts, allow_nan=False)})


def read_arrays(
    path: Path, most_header_bytes: int = _LARGEST_HEADER
) -> tuple[dict[str, Array], dict[str, Any]]:
    """Return the arrays and facts of a whole file whose numbers are finite; raises ModelError."""
    facts = _facts(path, check_whole(path, most_header_bytes))
    with open_file(path) as file:
        content = file.read()
    try:
        arrays = load(content)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is not a whole safetensors file: {error}", hint=DAMAGED) from error
    for name, array in arrays.items():
        if np.issubdtype(array.dtype, np.floating) and not bool(np.isfinite(array).all()):
            raise ModelError(f"{path}: {name} holds numbers that are not finite", hint=DAMAGED)
    return arrays, facts


def check_whole(path: Path, most_header_bytes: int) -> dict[str, Any]:
    """The header, which alone is read here; raises ModelError unless the file is as long as it says."""
    with open_file(path) as file:
        length = int.from_bytes(file.read(8), "little")
        header = parse_json(file.read(min(length, most_header_bytes + 1)), path, most_header_bytes)
        try:
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name != _METADATA]
            whole = 8 + length + max(ends, default=0) == os.fstat(file.fileno()).st_size
        except (IndexError, KeyError, TypeError) as error:
            raise ModelError(f"{path} has no safetensors header: {error}", hint=DAMAGED) from error
    if not whole:
        raise ModelError(f"{path} is not as long as its header says", hint=DAMAGED)
    return header


def check_arrays(
    path: Path, arrays: Mapping[str, Array], like: Mapping[str, tuple[np.dtype[Any], tuple[int, ...]]]
) -> None:
    """Names, types and shapes must be those of `like`; raises ModelError naming the first that is not."""
    for name in sorted(set(arrays) ^ set(like)):
        state = "is missing" if name in like else "does not belong there"
        raise ModelError(f"{path}: the tensor {name} {state}", hint=DAMAGED)
    for name in sorted(arrays):
        found = arrays[name].dtype, arrays[name].shape
        if found != like[name]:
            raise ModelError(f"{path}: {name} is {_words(found)}, not {_words(like[name])}", hint=DAMAGED)


def _serialized(arrays: Mapping[str, Array], metadata: dict[str, str]) -> bytes:
    """What safetensors.numpy.save returns, from one copy of the arrays: that one holds two at a time."""
    header: dict[str, Any] = {_METADATA: metadata}
    names = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))  # every array is aligned
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
        raise ModelError(f"{path} was not written by rnncli", hint=DAMAGED)
    return parse_json(text.encode(errors="replace"), path)
