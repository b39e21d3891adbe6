"""A safetensors file that carries facts and its own hash: one rename replaces all of it at once.

safetensors reads flipped bits without a word, and a hash kept in another file would disagree with
this one after a crash between two writes. So the hash covers every name, type, shape, byte and fact,
and stands in the file's own metadata. numpy arrays, so that a model can be read without torch.
"""

import hashlib
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
    text = json.dumps(facts, allow_nan=False)
    # One key: of several, safetensors does not always write the same first, and equal files would differ.
    return _serialized(plain, {_KEY: json.dumps({"facts": text, "sha256": _digest(plain, text)})})


def read_arrays(
    path: Path, most_header_bytes: int = _LARGEST_HEADER
) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays and facts, if they are what was written and finite; raises ModelError."""
    metadata = _metadata(path, check_whole(path, most_header_bytes))
    with open_file(path) as file:
        content = file.read()
    try:
        arrays = load(content)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} is not a whole safetensors file: {error}", hint=DAMAGED) from error
    if _digest(arrays, metadata["facts"]) != metadata["sha256"]:
        raise ModelError(f"{path} is not what was written: its SHA-256 differs", hint=DAMAGED)
    for name, array in arrays.items():
        if np.issubdtype(array.dtype, np.floating) and not bool(np.isfinite(array).all()):
            raise ModelError(f"{path}: {name} holds numbers that are not finite", hint=DAMAGED)
    return arrays, parse_json(metadata["facts"].encode(errors="replace"), path)


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


def _metadata(path: Path, header: dict[str, Any]) -> dict[str, str]:
    metadata = header.get(_METADATA)
    if isinstance(metadata, dict) and isinstance(metadata.get(_KEY), str):  # not before format 4
        metadata = parse_json(metadata[_KEY].encode(errors="replace"), path)
    if not isinstance(metadata, dict) or not all(
        isinstance(metadata.get(key), str) for key in ("facts", "sha256")
    ):
        raise ModelError(f"{path} was not written by rnncli", hint=DAMAGED)
    return metadata


def _digest(arrays: Mapping[str, Array], facts: str) -> str:
    """Types are named as torch names them, which the first files were written with."""
    digest = hashlib.sha256(facts.encode(errors="replace"))
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} torch.{array.dtype.name} {array.shape}".encode())
        digest.update(array.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
