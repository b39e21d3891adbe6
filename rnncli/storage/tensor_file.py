"""A safetensors file that carries facts and its own hash: one rename replaces all of it at once.

safetensors reads flipped bits without a word, and a hash kept in another file would disagree with
this one after a crash between two writes. So the hash covers every name, type, shape, byte and fact,
and stands in the file's own metadata.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from rnncli import atomic
from rnncli.errors import ModelError
from rnncli.storage.safe_load import DAMAGED, parse_json, read_file


def write_tensors(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """`facts` is a JSON object; raises StorageError and leaves the old file when it cannot write."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(facts, allow_nan=False)
    atomic.write_file(path, save(plain, {"facts": text, "sha256": _digest(plain, text)}))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and facts, if they are what was written and finite; raises ModelError."""
    content = read_file(path)
    metadata = _metadata(path, content)
    try:
        tensors = load(content)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ModelError(f"{path} is not a whole safetensors file: {error}", hint=DAMAGED) from error
    if _digest(tensors, metadata["facts"]) != metadata["sha256"]:
        raise ModelError(f"{path} is not what was written: its SHA-256 differs", hint=DAMAGED)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise ModelError(f"{path}: {name} holds numbers that are not finite", hint=DAMAGED)
    return tensors, _facts(path, metadata)


def check_tensors(path: Path, tensors: Mapping[str, Tensor], like: Mapping[str, Tensor]) -> None:
    """Names, types and shapes must be those of `like`; raises ModelError naming the first that is not."""
    for name in sorted(set(tensors) ^ set(like)):
        state = "is missing" if name in like else "does not belong there"
        raise ModelError(f"{path}: the tensor {name} {state}", hint=DAMAGED)
    for name in sorted(tensors):
        found, wanted = ((t.dtype, tuple(t.shape)) for t in (tensors[name], like[name]))
        if found != wanted:
            raise ModelError(f"{path}: {name} is {found}, not {wanted}", hint=DAMAGED)


def _metadata(path: Path, content: bytes) -> dict[str, str]:
    length = int.from_bytes(content[:8], "little")
    header = parse_json(content[8 : 8 + length], path)
    metadata = header.get("__metadata__")
    if not isinstance(metadata, dict) or not all(
        isinstance(metadata.get(key), str) for key in ("facts", "sha256")
    ):
        raise ModelError(f"{path} was not written by rnncli", hint=DAMAGED)
    return metadata


def _facts(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    return parse_json(metadata["facts"].encode(), path)


def _digest(tensors: dict[str, Tensor], facts: str) -> str:
    digest = hashlib.sha256(facts.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
