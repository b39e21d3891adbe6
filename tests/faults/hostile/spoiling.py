"""How a model is changed, with whatever confirms what lies in it."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from functools import reduce
from pathlib import Path
from typing import Any

Edit = Callable[[Path], object]

MANIFEST, WEIGHTS, NGRAM, LINES = (
    "manifest.json",
    "model.safetensors",
    "ngram.safetensors",
    "lines.safetensors",
)
METRICS, TOKENS = "metrics.jsonl", "corpus.tok/tokens.bin"
HUGE = "1" + "0" * 400


def edit(folder: Path, name: str, make: Edit | None, confirmed: bool = True) -> None:
    """The one place where a model is changed: what lies at `name` goes, and `make` puts something there.

    A stranger can make a manifest too: it confirms whatever lies there now.
    """
    path = folder / name
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    if make is not None:
        make(path)
    if confirmed and name != MANIFEST:
        confirm(folder)


def confirm(folder: Path, more: Mapping[str, object] | None = None) -> None:
    """A manifest of all that lies in a folder; `more` are entries of what does not."""
    files: dict[str, object] = {}
    for root, _, names in os.walk(folder, followlinks=True):
        for path in sorted(Path(root, name) for name in names):
            name = path.relative_to(folder).as_posix()
            if name not in (MANIFEST, "lock") and ".partial-" not in name:
                files[name] = [_entry(path)]
    files |= more or {}
    digest = hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()
    path = folder / MANIFEST
    path.unlink()
    path.write_text(json.dumps({"files": files, "sha256": digest}))


def _entry(path: Path) -> list[object]:
    """Of the plain file that a name leads to, without its hash where that takes minutes; else of nothing."""
    if not path.is_file():
        return [0, hashlib.sha256().hexdigest()]
    size = path.stat().st_size
    with path.open("rb") as file:
        return [size, hashlib.file_digest(file, "sha256").hexdigest() if size < 2**30 else "0" * 64]


def instead(name: str, make: Edit | None) -> Edit:
    return lambda folder: edit(folder, name, make)


def put(name: str, content: bytes) -> Edit:
    return instead(name, lambda path: path.write_bytes(content))


def changed(name: str, change: Callable[[bytes], bytes]) -> Edit:
    return lambda folder: put(name, change((folder / name).read_bytes()))(folder)


def each(*edits: Edit) -> Edit:
    return lambda folder: [change(folder) for change in edits]


def later(made: Callable[[], Edit]) -> Edit:
    """Not made before it is needed, for what is large."""
    return lambda folder: made()(folder)


def member(name: str, place: str, text: str) -> Edit:
    """A member of a JSON file, "model.hidden_size" or "sources.0.path", becomes some other JSON."""
    *way, last = [int(step) if step.isdigit() else step for step in place.split(".")]

    def change(content: bytes) -> bytes:
        record = json.loads(content)
        reduce(lambda inner, step: inner[step], way, record)[last] = "its place"
        return json.dumps(record).replace('"its place"', text).encode()

    return changed(name, change)


def config(place: str, text: str) -> Edit:
    return member("config.json", place, text)


def dataset(place: str, text: str) -> Edit:
    return member("corpus.tok/dataset.json", place, text)


def tokenizer(content: bytes, name: str = "tokenizer.json") -> Edit:
    """Another tokenizer, which the record confirms."""
    digest = hashlib.sha256(content).hexdigest()
    return each(put(name, content), config("tokenizer_fingerprint", f'"{digest}"'))


def table(**record: Any) -> Edit:
    return tokenizer(json.dumps(record).encode() + b"\n")


def pieces(change: Callable[[bytes], bytes]) -> Edit:
    """Another model of subwords, likewise."""
    name = "tokenizer.model"
    return lambda folder: tokenizer(change((folder / name).read_bytes()), name)(folder)


def flipped(content: bytes, place: int) -> bytes:
    spoiled = bytearray(content)
    spoiled[place] ^= 0x41
    return bytes(spoiled)


def beginning(content: bytes, share: int) -> bytes:
    """So many eighths."""
    return content[: len(content) * share // 8]


def protobuf(content: bytes) -> list[bytes]:
    """The fields of a subword model, all of them length-delimited; its pieces come first."""
    found, start = list[bytes](), 0
    while start < len(content):
        size, begin, shift = 0, start + 1, 0
        while True:
            size |= (content[begin] & 0x7F) << shift
            begin, shift = begin + 1, shift + 7
            if content[begin - 1] < 0x80:
                break
        found.append(content[start : begin + size])
        start = begin + size
    return found


def without_pieces(content: bytes, kept: int) -> bytes:
    """A subword model with its first pieces and all that is no piece."""
    found = protobuf(content)
    pieces = [entry for entry in found if entry[0] == 0x0A]
    return b"".join(pieces[:kept] + found[len(pieces) :])


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth
