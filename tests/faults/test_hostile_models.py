"""Model folders of strangers: whatever lies in one, a command ends soon, in little memory, with one error."""

import contextlib
import gc
import hashlib
import importlib
import io
import json
import os
import re
import resource
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, partial, reduce
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any, Never
from unittest import mock

import numpy as np
import numpy.typing as npt
import pytest
import typer.main
from safetensors.numpy import load, save

from rnncli.__main__ import main

# As in conftest.py, which brings torch, while this module is a Shell's too.
LONG = os.environ.get("RNNCLI_FAULTS") == "long"
LONGEST_SECONDS, MOST_BYTES = 10.0, 300 * 2**20
# A command that would fill the memory is refused more before it fills that of the machine.
_LIMIT_BYTES = 2 * 2**30
ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("RNNCLI_")},
    **{"OMP_NUM_THREADS": "1", "COLUMNS": "80", "PYTHONPATH": str(ROOT)},
}
# What any command may open: the interpreter, its libraries, and what the system says of itself.
_OWN = (
    *(
        f"{os.path.realpath(place)}/"
        for place in (sys.prefix, sys.base_prefix, ROOT / "rnncli", ROOT / "tests")
    ),
    *("/lib/", "/usr/lib/", "/usr/share/", "/proc/", "/sys/"),
    *("/dev/null", "/dev/urandom", "/etc/ld.so", "/etc/localtime"),
)

Array = npt.NDArray[Any]
Arrays = dict[str, Array]
Edit = Callable[[Path], object]
Codes = tuple[int, ...]
REFUSED, USED, EITHER = (1,), (0,), (0, 1)


@dataclass(frozen=True)
class Outcome:
    """What a command left behind; a negative `code` is a signal. `opened`: what Python's audit hook saw."""

    code: int
    seconds: float
    peak_bytes: int
    out: str
    err: str
    opened: list[str]


class Shell:
    """Commands, each in a process of its own: a fork of one that has imported the command line.

    The heavy one has imported torch too, which nothing but training needs.
    """

    def __init__(self) -> None:
        self._servers: dict[str, subprocess.Popen[str]] = {}

    def run(self, arguments: list[str], folder: Path) -> Outcome:
        kind = "heavy" if arguments[0] in ("train", "ngram") else "light"
        if kind not in self._servers:
            program = f"from tests.faults.test_hostile_models import serve; serve({kind!r})"
            self._servers[kind] = subprocess.Popen(
                [sys.executable, "-P", "-c", program],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=ENVIRONMENT,
                text=True,
            )
        server = self._servers[kind]
        assert server.stdin is not None
        assert server.stdout is not None
        server.stdin.write(json.dumps([arguments, str(folder)]) + "\n")
        server.stdin.flush()
        return Outcome(**json.loads(server.stdout.readline()))

    def close(self) -> None:
        for server in self._servers.values():
            server.communicate()


def serve(kind: str) -> None:
    """Answer the commands of a Shell, a line each."""
    imported = {
        "light": ["rnncli.cli.generating", "rnncli.cli.interactive", "rnncli.console.model_view"],
        "heavy": ["rnncli.cli.training_session", "rnncli.cli.device", "torch._dynamo", "numba"],
    }
    for name in imported[kind]:
        importlib.import_module(name)
    with contextlib.redirect_stderr(io.StringIO()):  # what is imported when it is needed
        _exit_code(["info", "none"])
        _exit_code(["generate", "--model", "none"])
    parsers = mock.patch("typer.main.get_command", cache(typer.main.get_command))  # each made once
    gc.freeze()  # what is there now need not be looked at in every fork
    with parsers:
        for line in sys.stdin:
            arguments, folder = json.loads(line)
            with TemporaryDirectory() as scratch:
                sys.stdout.write(json.dumps(_forked(arguments, folder, Path(scratch))) + "\n")
                sys.stdout.flush()


def _forked(arguments: list[str], folder: str, scratch: Path) -> dict[str, Any]:
    began = time.monotonic()
    child = os.fork()
    if not child:
        _be_the_command(arguments, folder, scratch)
    code, usage = _awaited(child, began)
    opened = scratch / "opened"
    return {
        "code": code,
        "seconds": time.monotonic() - began,
        "peak_bytes": usage.ru_maxrss * 1024,
        "out": (scratch / "1").read_text(encoding="utf-8", errors="backslashreplace"),
        "err": (scratch / "2").read_text(encoding="utf-8", errors="backslashreplace"),
        "opened": opened.read_text().split("\0") if opened.exists() else [],
    }


def _be_the_command(arguments: list[str], folder: str, scratch: Path) -> Never:
    opened: list[str] = []
    for number in (1, 2):
        os.dup2(os.open(scratch / str(number), os.O_WRONLY | os.O_CREAT), number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(folder)
    resource.setrlimit(resource.RLIMIT_DATA, (_LIMIT_BYTES, _LIMIT_BYTES))

    def hear(event: str, said: tuple[Any, ...]) -> None:
        if event == "open" and not isinstance(said[0], int):
            opened.append(led(os.fsdecode(said[0]), not said[2] & os.O_NOFOLLOW))

    sys.addaudithook(hear)
    code = 1
    try:
        code = _exit_code(arguments)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        text = "\0".join(dict.fromkeys(opened))
        (scratch / "opened").write_bytes(text.encode("utf-8", "backslashreplace"))
        os._exit(code)


def led(name: str, follow: bool) -> str:
    """The place that a name leads to, through a last link or not."""
    return os.path.realpath(name if follow else Path(name).parent) + ("" if follow else f"/{Path(name).name}")


def _exit_code(arguments: list[str]) -> int:
    sys.argv = ["rnncli", *arguments]
    try:
        main()
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0
    return 0


def _awaited(child: int, began: float) -> tuple[int, resource.struct_rusage]:
    """The exit code of a process that has LONGEST_SECONDS; negative, the signal that ended it."""
    while time.monotonic() < began + LONGEST_SECONDS:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status), usage
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    return os.waitstatus_to_exitcode(status), usage


def commands(model: str) -> dict[str, list[str]]:
    """What is tried on a model."""
    generate = ["generate", "--model", model, "--length", "5", "--seed", "1"]
    return {
        "info": ["info", model],
        "verify": ["verify", model],
        "generate": generate,
        "novel": [*generate, "--novel", "--lines", "1"],
        "resume": ["train", "--resume", model, "--steps", "+1", "--quiet"],
        "go on": ["train", "--resume", model, "--quiet"],
        "ngram": ["ngram", model, "--order", "2", "--quiet"],
    }


# How a model is changed.


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
    """Of the plain file that a name leads to; of anything else, that of nothing."""
    size = path.stat().st_size if path.is_file() else 0
    content = path.read_bytes() if 0 < size < 2**30 else b""
    return [size, hashlib.sha256(content).hexdigest()]


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


def store(place: str, text: str) -> Edit:
    return member("corpus.tok/store.json", place, text)


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


def signed(arrays: Mapping[str, Array], text: str) -> bytes:
    """A file of tensors and facts as rnncli writes it: with the SHA-256 that it looks for."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        digest.update(f"{name} torch.{arrays[name].dtype.name} {arrays[name].shape}".encode())
        digest.update(arrays[name].tobytes())
    return save(dict(arrays), {"rnncli": json.dumps({"facts": text, "sha256": digest.hexdigest()})})


def facts_of(content: bytes) -> str:
    return str(json.loads(header_of(content)["__metadata__"]["rnncli"])["facts"])


def header_of(content: bytes) -> dict[str, Any]:
    record = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    assert isinstance(record, dict)
    return record


def headed(text: bytes, data: bytes = b"") -> bytes:
    return len(text).to_bytes(8, "little") + text + data


def tensors(name: str, change: Callable[[Arrays], object]) -> Edit:
    """Other tensors, confirmed by the file's own hash."""

    def made(content: bytes) -> bytes:
        arrays = {key: array.copy() for key, array in load(content).items()}
        change(arrays)
        return signed(arrays, facts_of(content))

    return changed(name, made)


def facts(name: str, text: str) -> Edit:
    """Other facts beside the same tensors, confirmed likewise."""
    return changed(name, lambda content: signed(load(content), text))


def header(name: str, change: Callable[[dict[str, Any]], object]) -> Edit:
    """Another header before the same bytes, confirmed by nothing."""

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


def checkpoints(change: Callable[[str], Edit]) -> Edit:
    """Every checkpoint, so that there is none to go back to."""
    return lambda folder: [
        change(f"checkpoints/{path.name}")(folder) for path in sorted((folder / "checkpoints").iterdir())
    ]


def moments(change: Callable[[Arrays], object]) -> Edit:
    return checkpoints(lambda name: tensors(name, change))


def counter(name: str, text: str) -> Edit:
    """A fact of every checkpoint becomes some other JSON."""

    def change(content: bytes) -> bytes:
        record = {**json.loads(facts_of(content)), name: "its place"}
        return signed(load(content), json.dumps(record).replace('"its place"', text))

    return checkpoints(lambda file: changed(file, change))


def replaced(name: str, array: Array) -> Callable[[Arrays], object]:
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


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def zeros(*shape: int, dtype: npt.DTypeLike = np.float32) -> Array:
    return np.zeros(shape, dtype)


# What may lie at the name of a file.

# Loaded by pickle, this makes a folder where the test looks.
_PICKLE = b"cos\nmkdir\n(S'outside/loaded'\ntR."
_SECRET = "outside/secret.txt"


def a_link_to(target: str) -> Edit:
    return lambda path: path.symlink_to(target)


def a_link_out(path: Path) -> None:
    path.symlink_to(Path(_SECRET).absolute())


def a_hard_link_out(path: Path) -> None:
    path.hardlink_to(_SECRET)


def moved_out(name: str) -> Edit:
    """A folder of the model becomes a link to the same one elsewhere."""
    move = partial(shutil.copytree, dst=f"outside/{name}")
    return each(lambda folder: move(folder / name), instead(name, a_link_to(f"../../outside/{name}")))


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(path))  # its whole name may be too long for one


def a_device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        pytest.skip("device nodes cannot be made here")


def a_sparse_file(path: Path) -> None:
    path.touch()
    os.truncate(path, 100 * 2**30)


def a_pickle_in_a_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", _PICKLE)


KINDS: dict[str, Edit | None] = {
    "missing": None,
    "empty": lambda path: path.touch(),
    "a link to passwd": a_link_to("/etc/passwd"),
    "a link to zeros": a_link_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": a_link_to("none"),
    "a link out": a_link_out,
    "a fifo": os.mkfifo,
    "a socket": a_socket,
    "a folder": lambda path: path.mkdir(),
    "a device": a_device,
    "a sparse file": a_sparse_file,
    "a pickle": lambda path: path.write_bytes(_PICKLE),
    "a pickle in a zip": a_pickle_in_a_zip,
    "a hard link": a_hard_link_out,
}
MANIFEST, WEIGHTS, NGRAM, LINES = (
    "manifest.json",
    "model.safetensors",
    "ngram.safetensors",
    "lines.safetensors",
)
METRICS, TOKENS = "metrics.jsonl", "corpus.tok/tokens.bin"
# By file, the commands that cannot do without it, and those that may say that they do.
FILES: dict[str, tuple[list[str], list[str]]] = {
    MANIFEST: (["generate", "info", "verify"], []),
    "config.json": (["generate", "info"], []),
    "tokenizer.json": (["generate"], ["info"]),
    WEIGHTS: (["generate"], ["info"]),
    NGRAM: (["generate"], ["info"]),
    LINES: (["novel"], ["generate", "info"]),
    METRICS: ([], ["info", "generate"]),
    "corpus.tok/store.json": (["resume"], []),
    TOKENS: (["resume"], []),
    "corpus.tok/tokenizer.json": (["resume"], []),
    "checkpoints/step-6.safetensors": ([], ["resume"]),
}
# Of these a manifest may say that there are none.
_OPTIONAL = (NGRAM, LINES)


@dataclass(frozen=True)
class Hostile:
    """A way to spoil a model, and the right exit codes of commands; `reaches`: what they may open."""

    name: str
    make: Edit
    expected: Mapping[str, Codes]
    base: str = "x"
    called: str = "x"
    reaches: tuple[str, ...] = ()


BOTH = {"info": REFUSED, "generate": REFUSED}
SILENT = {"generate": REFUSED, "info": EITHER}
FREE, TOLD = {"generate": EITHER, "info": EITHER}, {"info": EITHER, "generate": EITHER}
FINE = {"generate": USED, "info": USED}
RESUME, STOP, WRITTEN = {"resume": EITHER}, {"resume": REFUSED}, {"ngram": EITHER, "resume": EITHER}


def of_all_kinds() -> Iterator[Hostile]:
    for name, (needing, others) in FILES.items():
        refused = {**dict.fromkeys(needing, REFUSED), **dict.fromkeys(others, EITHER)}
        for kind, make in KINDS.items():
            spared = make is None and name in _OPTIONAL
            expected = dict.fromkeys(refused, EITHER) if spared else refused
            yield Hostile(f"{name} is {kind}", instead(name, make), expected)
        if name != TOKENS:  # of which the half is in order, only another length
            half = changed(name, lambda content: content[: len(content) // 2])
            yield Hostile(f"{name} is cut in half", half, refused)
        if name not in (MANIFEST, METRICS):
            unconfirmed = partial(edit, name=name, make=lambda path: path.write_bytes(b"{}"), confirmed=False)
            yield Hostile(f"{name} is unknown to the manifest", unconfirmed, {"verify": REFUSED, **refused})


def of_a_former_format() -> Iterator[Hostile]:
    """A model of the format that had no manifest is believed without one, and is checked all the same."""
    former = each(config("format_version", "3"), instead(MANIFEST, None))
    for name in (
        "tokenizer.json",
        WEIGHTS,
        NGRAM,
        "corpus.tok/store.json",
        TOKENS,
        "corpus.tok/tokenizer.json",
    ):
        refused = dict.fromkeys(FILES[name][0], REFUSED)
        for kind in ("a link to passwd", "a link to zeros", "a fifo", "a device", "a sparse file"):
            make = each(instead(name, KINDS[kind]), former)
            yield Hostile(f"{name} is {kind} without a manifest", make, refused)
    for name in ("checkpoints", "corpus.tok"):
        yield Hostile(f"{name} is a link out without a manifest", each(moved_out(name), former), STOP)


def beside() -> Iterator[Hostile]:
    """What has a name that rnncli would give a file, in a model that has none such."""
    for kind, make in KINDS.items():
        if make is not None:
            yield Hostile(f"tokenizer.model beside is {kind}", instead("tokenizer.model", make), FREE)
    partials = [f".partial-{name}" for name in ("config.json", WEIGHTS, "README.md", MANIFEST, NGRAM)]
    for name in [*partials, "checkpoints/.partial-step-7.safetensors", "lock", METRICS]:
        for kind in ("a link out", "a hard link", "a fifo", "a folder", "a socket"):
            yield Hostile(f"{name} is {kind} where rnncli writes", instead(name, KINDS[kind]), WRITTEN)


def family(expected: Mapping[str, Codes], made: Mapping[str, Edit], base: str = "x") -> list[Hostile]:
    """Models by name that are all to be answered alike."""
    return [Hostile(name, make, expected, base) for name, make in made.items()]


_NOBODYS = [17, "0" * 64]
MANIFESTS = [
    *family(
        {"verify": EITHER, "info": EITHER, **RESUME},
        {
            f"a manifest {what}": partial(confirm, more=more)
            for what, more in dict[str, dict[str, object]](
                {
                    "leads out": {"../../outside/secret.txt": [_NOBODYS]},
                    "leads out of the text": {"corpus.tok/../../../outside/secret.txt": [_NOBODYS]},
                    "leads to passwd": {"/etc/passwd": [_NOBODYS]},
                    "leads to zeros": {"corpus.tok//dev/zero": [_NOBODYS]},
                    "has a NUL in a name": {"corpus.tok/\0": [_NOBODYS]},
                    "has half a character in a name": {"corpus.tok/\ud800": [_NOBODYS]},
                    "has control characters in a name": {"corpus.tok/\x1b[2J\n": [_NOBODYS]},
                    "has a name of 300 characters": {"corpus.tok/" + "x" * 300: [_NOBODYS]},
                    "has an empty name": {"": [_NOBODYS]},
                    "has a list as a size": {"config.json": [[[], "0" * 64]]},
                    "has text as the size of a log": {METRICS: [["long", "0" * 64]]},
                    "has a negative size of a log": {METRICS: [[-5, "0" * 64]]},
                    "has infinity as a size": {METRICS: [[float("inf"), "0" * 64]]},
                    "has a number as a file": {"config.json": 5},
                    "has text as a file": {"config.json": ["ab"]},
                    "has nothing as a file": {"config.json": []},
                    "has three members of an entry": {"config.json": [[1, "0" * 64, 2]]},
                    "has nested entries": {"config.json": json.loads(nested(400))},
                }
            ).items()
        },
    ),
    *family(
        {"verify": EITHER},
        {
            "a manifest allows a log of 20 MB all lengths": each(
                changed(METRICS, lambda text: text * 8_000),
                partial(confirm, more={METRICS: [[10_000_000 + size, "0" * 64] for size in range(5_000)]}),
            )
        },
    ),
    *family(
        BOTH,
        {
            "a manifest has no files": put(MANIFEST, b"{}"),
            "a manifest has a list of files": put(MANIFEST, b'{"files": [], "sha256": ""}'),
            "a manifest is endlessly nested": put(MANIFEST, b'{"files":' * 100_000),
            "a manifest has 50 MB": changed(MANIFEST, lambda text: text + b" " * 50_000_000),
        },
    ),
]
LARGEST = (
    '{"vocab_size": 4000000, "cell": "lstm", "hidden_size": 16384, "num_layers": 64, '
    '"embedding_size": 16384, "members": 64}'
)
HUGE = "1" + "0" * 400
UNSEEMLY = r'"\u001b[2J\u0007\n\ud800"'
CONFIGS = [
    *family(
        BOTH,
        {
            "config.json is not JSON": put("config.json", b"\xff\xfe{}"),
            "config.json is a list": put("config.json", b"[]"),
            "config.json is endlessly nested": put("config.json", b"[" * 100_000),
            "config.json has 50 MB": changed("config.json", lambda text: text + b" " * 50_000_000),
            "config.json has a long string": later(lambda: config("name", f'"{"x" * 50_000_000}"')),
            "config.json has a key twice": changed("config.json", lambda text: b'{"step": 1,' + text[1:]),
            "config.json has nan": config("seconds", "NaN"),
            "config.json has infinity": config("training.learning_rate", "-Infinity"),
            "config.json has 1e9999": config("seconds", "1e9999"),
            "config.json has a number of 5,000 digits": config("step", "1" + "0" * 5000),
            "config.json has an unknown key": config("hiden_size", "1"),
            "config.json has a key of 900 kB": config("x" * 900_000, "1"),
            "config.json has 50,000 keys": config("model", json.dumps(dict.fromkeys(range(50_000), 0))),
            "config.json is of a newer format": config("format_version", "99"),
            "config.json is of format true": config("format_version", "true"),
            "config.json is of no format": config("format_version", "null"),
            "config.json is of a nested format": config("format_version", nested(400)),
            "a version is nested": config("rnncli_version", nested(400)),
            "a fingerprint is nested": config("tokenizer_fingerprint", nested(400)),
            "a width is 10^9": config("model.hidden_size", "1000000000"),
            "a model has 10^4 layers": config("model.num_layers", "10000"),
            "a model is of the largest shape": config("model", LARGEST),
        },
    ),
    *family(
        TOLD,
        {
            "config.json has a number of 401 digits": config("seconds", HUGE),
            "a step is negative": config("step", "-5"),
            "seconds are negative": config("seconds", "-5e300"),
            "a name has control characters": config("name", UNSEEMLY),
            "a text's name has control characters": config("corpus", UNSEEMLY),
            "a level has control characters": config("level", UNSEEMLY),
            "a unit is another": config("unit", '"line"'),
        },
    ),
    *family(
        STOP,
        {
            "a model without weights is of the largest shape": each(
                config("model", LARGEST), instead(WEIGHTS, None)
            ),
            "lanes are too many": config("training.batch_size", "65536"),
            "stretches are longer than the text": config("training.bptt", "65536"),
        },
    ),
    *family({"resume": USED, **FINE}, {"a name leads out": config("name", '"../../outside/x"')}),
    *family(
        {"go on": REFUSED},
        {
            "a time has 401 digits": each(
                config("status", '"interrupted"'),
                config("training.steps", "null"),
                config("training.seconds", HUGE),
            )
        },
    ),
    # A record may name stores elsewhere: a resume opens them, and nothing that only writes or tells.
    *(
        Hostile(f"a store is {name}", config("stores", f'["{name}"]'), {**STOP, **FINE}, reaches=(opened,))
        for name, opened in (
            ("/etc", "/etc/store.json"),
            ("../../x", "../../x/store.json"),
            ("", "store.json"),
            (r"\u0000", ""),
        )
    ),
]
BIAS = "members.0.output_bias"


def score(**changes: str) -> Edit:
    """Other facts of the weights."""
    sums = {"nats": "10.0", "tokens": "5", "words": "1", "characters": "5", "bytes": "5", **changes}
    members = ", ".join(f'"{name}": {text}' for name, text in sums.items())
    return facts(WEIGHTS, f'{{"step": 1, "score": {{{members}}}}}')


def dtype(name: str) -> Edit:
    return header(WEIGHTS, lambda record: record[BIAS].update(dtype=name))


TENSORS = [
    *family(
        BOTH,
        {
            "a header is cut off": changed(WEIGHTS, lambda content: content[:100]),
            "a header's length is cut off": changed(WEIGHTS, lambda content: content[:5]),
            "a header has 2^60 bytes": length(WEIGHTS),
            "a header has no bytes": changed(WEIGHTS, lambda content: bytes(8) + content[8:]),
            "a header has 200,000 empty tensors": empty_tensors(WEIGHTS, 200_000),
            "a header has 10,000 empty tensors": empty_tensors(WEIGHTS, 10_000),
            "10,000 empty tensors are confirmed": later(
                lambda: put(WEIGHTS, signed({str(one): zeros(0) for one in range(10_000)}, '{"step": 1}'))
            ),
            "a header has no metadata": header(WEIGHTS, lambda record: record.pop("__metadata__")),
            "metadata are half a character": header(
                WEIGHTS, lambda record: record.update(__metadata__={"rnncli": "\ud800"})
            ),
            "facts are half a character": header(
                WEIGHTS,
                lambda record: record.update(
                    __metadata__={"rnncli": json.dumps({"facts": "\ud800", "sha256": "0" * 64})}
                ),
            ),
            "metadata are a number": header(WEIGHTS, lambda record: record.update(__metadata__=5)),
            "a tensor is too long": header(WEIGHTS, lambda record: record[BIAS].update(shape=[2**40])),
            "a shape overflows": header(WEIGHTS, lambda record: record[BIAS].update(shape=[2**62] * 2)),
            "tensors overlap": header(WEIGHTS, lambda record: record[BIAS].update(data_offsets=[0, 104])),
            **{f"a type is {name}": dtype(name) for name in ("BF16", "F8_E4M3", "F4", "C64", "BOOL", "none")},
            "bytes follow the tensors": changed(WEIGHTS, lambda content: content + b"more"),
            "a weight is another": changed(WEIGHTS, partial(flipped, place=-1)),
            "a tensor is missing": tensors(WEIGHTS, lambda arrays: arrays.pop(BIAS)),
            "a tensor is one too many": tensors(WEIGHTS, replaced("more", zeros(1))),
            "an empty tensor is one too many": tensors(WEIGHTS, replaced("more", zeros(0))),
            "a tensor has another shape": tensors(WEIGHTS, replaced(BIAS, zeros(2, 13))),
            "a tensor has another size": tensors(WEIGHTS, replaced(BIAS, zeros(27))),
            **{
                f"weights are of type {kind}": tensors(WEIGHTS, as_type(kind))
                for kind in ("float16", "float64", "int32", "complex64", "bool")
            },
            "weights are nan": tensors(WEIGHTS, filled(float("nan"))),
            "weights are infinite": tensors(WEIGHTS, filled(float("inf"))),
            "weights have no facts": facts(WEIGHTS, ""),
            "weights have nested facts": facts(WEIGHTS, nested(100_000)),
            "weights have no step": facts(WEIGHTS, "{}"),
            "weights have half a step": facts(WEIGHTS, '{"step": 0.5, "score": null}'),
            "a score is a list": facts(WEIGHTS, '{"step": 1, "score": []}'),
            "a score has an unknown key": score(loss="1.0"),
            "a score is text": score(nats='"low"'),
            "a score is nested": score(nats=nested(400)),
            "a score is of tokens that are text": score(tokens='"all"'),
        },
    ),
    *family(
        FREE,
        {
            "weights are as large as they can be": tensors(WEIGHTS, filled(3.4e38)),
            "weights are as small as they can be": tensors(WEIGHTS, filled(-3.4e38)),
        },
    ),
    *family(
        TOLD,
        {
            "a score is infinite": score(nats="1e9999"),
            "a score is of no tokens": score(tokens="0"),
            "a score is of negative tokens": score(nats="1e308", tokens="-1"),
            "a score is of a number of 401 digits": score(tokens=HUGE),
        },
    ),
]
WORDS = ["<unk>", "<eos>", *(f"word{number}" for number in range(24))]
HALVES = [chr(0xD800 + number) for number in range(24)]
chars, words = partial(table, level="char"), partial(table, level="word", pattern=None)
TOKENIZERS = [
    *family(
        SILENT,
        {
            "a tokenizer is of another model": put("tokenizer.json", b'{"level": "char", "symbols": "ab"}\n'),
            "a tokenizer is not text": tokenizer(b"\xff\xfe\x00"),
            "a tokenizer is endlessly nested": tokenizer(b"[" * 100_000),
            "a tokenizer is a list": tokenizer(b"[]"),
            "a tokenizer is of no level": table(level="verse"),
            "a tokenizer is of a level that is a list": table(level=[]),
            "a tokenizer has few symbols": chars(symbols="ab"),
            "a tokenizer has many symbols": chars(symbols="".join(map(chr, range(1000)))),
            "a tokenizer repeats a symbol": chars(symbols="aab"),
            "a tokenizer has bytes": table(level="byte"),
            "a tokenizer has a million words": later(lambda: words(words=[*WORDS, *map(str, range(10**6))])),
            "a tokenizer has numbers as words": words(words=[1, 2]),
            "a tokenizer has an object as words": words(words={}),
            "a tokenizer repeats a word": words(words=[*WORDS, "word0"]),
            "a pattern is none": words(words=WORDS, pattern="("),
            "a pattern is a number": words(words=WORDS, pattern=5),
            "an empty subword model stands beside": put("tokenizer.model", b""),
            "a broken subword model stands beside": put("tokenizer.model", b"\x0a\xff\xff\xff\x7f"),
        },
    ),
    *family(
        FREE,
        {
            "a tokenizer has half characters": chars(symbols="".join([*HALVES, "\ue000"])),
            "a tokenizer has half characters as words": words(words=[*WORDS[:2], *HALVES]),
            "a pattern warns": words(words=WORDS, pattern="[[a]"),
        },
    ),
    *family(
        SILENT,
        {
            **{f"a subword model is cut to {n}/8": pieces(partial(beginning, share=n)) for n in (0, 1, 4, 7)},
            "a subword model has few pieces": pieces(partial(without_pieces, kept=258)),
            "a subword model has no bytes": pieces(partial(without_pieces, kept=100)),
        },
        "pieces",
    ),
    *family(
        FREE,
        {
            f"byte {place} of a subword model is another": pieces(partial(flipped, place=place))
            for place in (0, 1, 2, 5, 40, 1500, 4000, -200, -100, -50, -20, -1)
        },
        "pieces",
    ),
]
NGRAMS = [
    *family(
        SILENT,
        {
            "an n-gram is of order 17": facts(NGRAM, '{"order": 17, "vocab_size": 26}'),
            "an n-gram is of order 0": facts(NGRAM, '{"order": 0, "vocab_size": 26}'),
            "an n-gram is of text": facts(NGRAM, '{"order": "3", "vocab_size": 26}'),
            "an n-gram is of another vocabulary": facts(NGRAM, '{"order": 3, "vocab_size": 27}'),
            "an n-gram has a header of 2^60 bytes": length(NGRAM),
            "an n-gram lacks an order": tensors(NGRAM, lambda arrays: arrays.pop("keys.2")),
            "an n-gram has negative keys": tensors(NGRAM, lambda arrays: arrays["keys.2"].put(0, -1)),
            "an n-gram leads nowhere": tensors(NGRAM, lambda arrays: arrays["keys.3"].put(-1, 2**62)),
            "an n-gram has keys of another type": tensors(NGRAM, replaced("keys.2", zeros(3))),
            "an n-gram is nan": tensors(NGRAM, filled(float("nan"))),
            "a mixture is certain": tensors(NGRAM, filled(1.0, "mixture.weights")),
            "a mixture has no edges": tensors(NGRAM, replaced("mixture.edges", zeros(0, dtype=float))),
            "a mixture has more dimensions": tensors(NGRAM, replaced("mixture.edges", zeros(7, 1))),
        },
    ),
    *family(
        FREE,
        {
            "an n-gram backs off endlessly": tensors(NGRAM, filled(3.4e38, "log_backoffs")),
            "an n-gram is all but impossible": tensors(NGRAM, filled(-3.4e38, "log_")),
            "a mixture is all but certain": tensors(NGRAM, filled(5e-324, "mixture.weights")),
        },
    ),
]
KNOWN_LINES = [
    Hostile(f"lines {what}", make, {"novel": codes})
    for what, make, codes in (
        ("are of another type", tensors(LINES, as_type("float32")), REFUSED),
        ("have two dimensions", tensors(LINES, replaced("numbers", zeros(2, 2, dtype=np.uint64))), REFUSED),
        ("have another tensor", tensors(LINES, replaced("more", zeros(1))), REFUSED),
        ("have no tensor", tensors(LINES, lambda arrays: arrays.clear()), REFUSED),
        ("have a header of 2^60 bytes", length(LINES), REFUSED),
        ("are none", tensors(LINES, replaced("numbers", zeros(0, dtype=np.uint64))), USED),
        ("are out of order", tensors(LINES, lambda arrays: arrays["numbers"][::-1].sort()), EITHER),
    )
]


def evaluated(**changes: str) -> bytes:
    """Two lines of a log."""
    line = {"report": '"evaluated"', "step": "1", "score": '{"nats": 1.0, "tokens": 5}', **changes}
    return ("{" + ", ".join(f'"{key}": {value}' for key, value in line.items()) + "}\n").encode() * 2


SPOILED_LOGS = {
    "no text": b"\xff\xfe\x00\n",
    "endless nesting": b"[" * 100_000 + b"\n",
    "an object as a step": evaluated(step="{}"),
    "half a character": evaluated(more=r'"\ud800"'),
}
LOGS = [
    *family(
        {"info": EITHER},
        {
            f"a log has {what}": put(METRICS, content)
            for what, content in {
                **SPOILED_LOGS,
                "nested objects": b'{"a":' * 100_000 + b"\n",
                "a number of 5,000 digits": b'{"step": 1' + b"0" * 5000 + b"}\n",
                "no step": b'{"report": "evaluated", "score": {"nats": 1.0, "tokens": 5}}\n',
                "no score": b'{"report": "evaluated", "step": 1}\n',
                "a list as a score": evaluated(score="[]"),
                "text as a score": evaluated(score='{"nats": "low", "tokens": 5}'),
                "no tokens": evaluated(score='{"nats": 1.0, "tokens": 0}'),
                "nan": evaluated(score='{"nats": NaN, "tokens": 5}'),
                "infinity": evaluated(score='{"nats": 1e9999, "tokens": 5}') + evaluated(),
                "a score of 401 digits": evaluated(score=f'{{"nats": {HUGE}, "tokens": 5}}'),
            }.items()
        },
    ),
    *family(
        RESUME,
        {f"training goes on from a log with {what}": put(METRICS, log) for what, log in SPOILED_LOGS.items()},
    ),
]
MOMENT = f"optimizer.exp_avg.{BIAS}"
CHECKPOINTS = [
    *family(
        STOP,
        {
            "there are no checkpoints": instead("checkpoints", None),
            "checkpoints are a link out": moved_out("checkpoints"),
            "checkpoints are cut off": checkpoints(lambda name: changed(name, lambda content: content[:-9])),
            "checkpoints are pickles": checkpoints(lambda name: put(name, _PICKLE)),
            "checkpoints are fifos": checkpoints(lambda name: instead(name, os.mkfifo)),
            "checkpoints are links": checkpoints(lambda name: instead(name, a_link_to("/etc/passwd"))),
            "checkpoints are sparse": checkpoints(lambda name: instead(name, a_sparse_file)),
            "a moment has another shape": moments(replaced(MOMENT, zeros(1))),
            "a moment has another type": moments(replaced(MOMENT, zeros(26, dtype=np.int64))),
            "a moment is missing": moments(lambda arrays: arrays.pop(MOMENT)),
            "a moment is one too many": moments(replaced("optimizer.more", zeros(1))),
            "a random state is none": moments(lambda arrays: arrays["rng"].put(range(5056), 255)),
            "a random state is short": moments(replaced("rng", zeros(8, dtype=np.uint8))),
            "a memory has another shape": moments(replaced("state.0.0", zeros(3, 12))),
        },
    ),
    *family(
        RESUME,
        {
            "moments are negative": moments(filled(-1.0, "exp_avg_sq")),
            "moments count from nowhere": moments(filled(-1.0, "optimizer.step")),
            "a checkpoint's weights are as large as they can be": moments(filled(3.4e38)),
            **{
                f"there is a checkpoint of step {step!a}": put(f"checkpoints/step-{step}.safetensors", b"")
                for step in (
                    "\N{SUPERSCRIPT TWO}",
                    "\N{ARABIC-INDIC DIGIT NINE}",
                    "9" * 200,
                    "\x1b[2J\n",
                    "-1",
                    "",
                )
            },
        },
    ),
    *(
        Hostile(f"a checkpoint's {name} is {text[:9]}", counter(name, text), {"resume": codes})
        for name, text, codes in (
            ("step", '"six"', REFUSED),
            ("step", "null", REFUSED),
            ("step", "0.5", REFUSED),
            ("step", "-7", EITHER),
            ("step", HUGE, REFUSED),
            ("seconds", '"six"', REFUSED),
            ("seconds", "1e9999", REFUSED),
            ("seconds", "-1e300", EITHER),
            ("rate_factor", "[]", REFUSED),
            ("rate_factor", "1e300", EITHER),
            ("warm_from", "{}", REFUSED),
            ("validations", '"six"', REFUSED),
            ("skipped_in_a_row", "null", REFUSED),
            ("best", "5", EITHER),
            ("best", '{"step": 8, "score": [1]}', REFUSED),
            ("best", '{"step": [], "score": null}', EITHER),
            ("best", '{"step": 6, "score": {"nats": "low"}}', EITHER),
        )
    ),
]
_PIPE = "models/x/pipe"
CORPORA = [
    *family(
        STOP,
        {
            "the text is missing": instead("corpus.tok", None),
            "the text is a link out": moved_out("corpus.tok"),
            "the text has a fifo as its tokenizer": instead("corpus.tok/tokenizer.model", os.mkfifo),
            "tokens are none of the model's": changed(TOKENS, lambda ids: b"\xff" * len(ids)),
            "tokens are cut off": changed(TOKENS, lambda ids: ids[:-1]),
        },
    ),
    *family(
        RESUME,
        {
            "lines begin nowhere": changed("corpus.tok/lines.bin", lambda starts: b"\xff" * len(starts)),
            "lines begin backwards": changed(
                "corpus.tok/lines.bin", lambda starts: np.frombuffer(starts, "<u8")[::-1].tobytes()
            ),
            "lines begin all at once": changed("corpus.tok/lines.bin", lambda starts: bytes(len(starts))),
        },
        "lines",
    ),
    *(
        Hostile(f"a store's {place} is {text[:20]}", store(place, text), {"resume": codes})
        for place, text, codes in (
            ("parts.train.tokens", "-1", REFUSED),
            ("parts.train.tokens", "1e9", REFUSED),
            ("parts.train.tokens", HUGE, REFUSED),
            ("parts.train.tokens", "0", REFUSED),
            ("parts.valid.characters", HUGE, EITHER),
            ("parts.valid", "null", REFUSED),
            ("parts", "[]", REFUSED),
            ("format_version", nested(400), REFUSED),
            ("given", "[5]", REFUSED),
            ("given", "5", REFUSED),
            ("given", r'["\u0000"]', EITHER),
            ("given", r'["@\u0000"]', EITHER),
            ("given", '["-", "-"]', EITHER),
            ("given", '["/**/**/**/**"]', EITHER),
            ("sources", "[5]", REFUSED),
            ("sources", "[]", EITHER),
            ("sources.0.path", "5", EITHER),
            ("sources.0.sha256", "5", REFUSED),
            ("sources.0.encoding", nested(400), EITHER),
            ("reading.encoding", "5", EITHER),
            ("text.level", "[]", REFUSED),
            ("text.unit", '"line"', REFUSED),
            ("text.valid_fraction", '"half"', REFUSED),
            ("name", r'"\u001b[2J\u0007\n"', EITHER),
            ("name", r'"\ud800"', EITHER),
        )
    ),
    *family(
        RESUME,
        {
            "a store's text is a fifo": each(
                instead("pipe", os.mkfifo),
                store("given", f'["{_PIPE}"]'),
                store("sources.0.path", f'"{_PIPE}"'),
            )
        },
    ),
    # A resume looks whether the text that was tokenized is still the same: as a text, and nothing else.
    Hostile(
        "a store's text is a secret",
        each(store("given", f'["{_SECRET}"]'), store("sources.0.path", f'"{_SECRET}"')),
        RESUME,
        reaches=(_SECRET,),
    ),
]
NAMES = [
    Hostile(
        f"a model is called {called[:20]!a}",
        instead("more\x1b[2J\n.txt", lambda path: path.touch()),
        {**resumed, **FINE},
        called=called,
    )
    for called, resumed in (
        ("\x1b[2J\x07\n", {"resume": USED}),
        ("caf\udce9", {"resume": USED}),
        ("\N{RIGHT-TO-LEFT OVERRIDE}x", {}),
        (" ", {}),
        ("x" * 250, {}),
    )
]
# Where these are allowed, a model may be trained.
TRAINING = (("resume", EITHER), ("resume", USED))
TABLES = [
    *(*MANIFESTS, *CONFIGS, *TENSORS, *TOKENIZERS, *NGRAMS),
    *(*KNOWN_LINES, *LOGS, *CHECKPOINTS, *CORPORA, *NAMES),
]
SLOW = [
    *(hostile for hostile in TABLES if next(iter(hostile.expected.items())) in TRAINING),
    *family(
        SILENT,
        {
            "a tokenizer has every symbol": later(lambda: chars(symbols="".join(map(chr, range(0x110000))))),
            "an n-gram is 200,000 empty tensors": empty_tensors(NGRAM, 200_000),
        },
    ),
    *family({"novel": REFUSED}, {"lines are 200,000 empty tensors": empty_tensors(LINES, 200_000)}),
    *family(
        {"info": USED},
        {"a log has 100,000 lines": changed(METRICS, lambda text: text * (100_000 // text.count(b"\n")))},
    ),
]
HOSTILE = [hostile for hostile in TABLES if hostile not in SLOW]
# What is alike, each kind at each name, or takes its time: the short form tries some.
for alike, every in (
    (list(of_all_kinds()), 7),
    (list(of_a_former_format()), 3),
    (list(beside()), 4),
    (SLOW, 3),
):
    HOSTILE += alike if LONG else alike[::every]


@dataclass
class Good:
    """Good models, each trained once, and what commands on a copy of one leave behind."""

    shell: Shell
    folder: Path
    outcomes: dict[tuple[str, str], Outcome] = field(default_factory=dict)
    seen: list[tuple[str, Outcome]] = field(default_factory=list)

    def models(self, base: str) -> Path:
        from tests.cli.conftest import TINY  # here: they bring torch, and this module is a Shell's too
        from tests.conftest import RHYME

        options = {
            "x": ["--ngram", "3"],
            "pieces": ["--level", "subword", "--vocab-size", "300"],
            "lines": ["--unit", "line"],
        }
        if not (self.folder / "models" / base).exists():
            (self.folder / "rhyme.txt").write_text(RHYME, encoding="utf-8")
            train = f"train rhyme.txt --name {base} --validations 2 --quiet".split()
            trained = self.shell.run([*train, *TINY, *options[base]], self.folder)
            assert trained.code == 0, trained.err
        return self.folder / "models" / base

    def outcome(self, base: str, name: str) -> Outcome:
        if (base, name) not in self.outcomes:
            folder = self.folder / f"{base} {name}"
            shutil.copytree(self.models(base), folder / "models" / base)
            outcome = self.shell.run(commands(base)[name], folder)
            assert outcome.code == (1 if name == "go on" else 0), outcome.err  # its budget is used up
            outcome.opened[:] = reached(outcome.opened, folder)
            self.outcomes[base, name] = outcome
        return self.outcomes[base, name]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Good]:
    shell = Shell()
    yield Good(shell, tmp_path_factory.mktemp("good"))
    shell.close()


def reached(opened: list[str], folder: Path) -> set[str]:
    """What a command that ran in `folder` has opened outside of models/ that is not its own."""
    here = f"{os.path.realpath(folder)}/"
    scratch = re.compile(re.escape(os.path.realpath(gettempdir())) + r"/[a-z0-9_]{8}")  # a try of tempfile's
    places = {place.removeprefix(here) for place in opened if place and not scratch.fullmatch(place)}
    return {place for place in places if not f"{place}/".startswith(("models/", *_OWN))}


def spoiled(hostile: Hostile, model: Path) -> None:
    """A copy of a good model under models/, spoiled; beside models/ is a folder that nothing may touch."""
    folder = Path("models", hostile.called)
    shutil.copytree(model, folder)
    Path("outside").mkdir()
    Path(_SECRET).write_text("nobody's business")
    hostile.make(folder)


def outside() -> dict[str, bytes | None]:
    return {str(path): path.read_bytes() if path.is_file() else None for path in Path("outside").rglob("*")}


def complaints(name: str, outcome: Outcome, codes: Codes, usual: Outcome) -> Iterator[str]:
    """What is wrong with how a command ended, a sentence each."""
    errors = [line for line in outcome.err.split("\n") if line.startswith("error: ")]
    hints = [line for line in outcome.err.split("\n") if line.startswith("hint: ")]
    if outcome.code not in codes:
        yield f"its code is {outcome.code}"
    listed = name == "verify" and not errors  # what is wrong, on stdout
    if len(errors) != len(hints) or (len(errors) != (outcome.code == 1) and not listed):
        yield f"it says {len(errors)} errors and {len(hints)} hints"
    if "Traceback" in outcome.err or "Warning" in outcome.err:
        yield "it shows its source"
    if re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", outcome.err):
        yield "it shows control characters"
    if outcome.seconds > LONGEST_SECONDS:
        yield f"it takes {outcome.seconds:.1f} s"
    if outcome.peak_bytes > usual.peak_bytes + MOST_BYTES:
        yield f"it takes {(outcome.peak_bytes - usual.peak_bytes) >> 20} MiB more than a good model"


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.name)
def test_a_hostile_model_is_refused_or_used_and_nothing_else_happens(hostile: Hostile, good: Good) -> None:
    spoiled(hostile, good.models(hostile.base))
    before, wrong = outside(), []
    for name, codes in attempts(hostile).items():
        outcome = good.shell.run(commands(hostile.called)[name], Path.cwd())
        good.seen.append((f"{hostile.name}, {name}", outcome))
        usual = good.outcome(hostile.base, name)
        found = list(complaints(name, outcome, codes, usual))
        found += [f"it opens {place}" for place in strangers(outcome.opened, usual.opened, hostile)]
        if outside() != before:
            found.append("it changes something outside of the folder")
        wrong += [f"{name}: {', '.join(found)}\n{outcome.err[-1500:]}"] if found else []
    assert not wrong, "\n".join(wrong)


def test_a_member_of_another_type_or_size_is_never_believed(
    good: Good, effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    shutil.copytree(good.models("x"), "models/x")
    content = Path("models/x/config.json").read_bytes()
    record = json.loads(content)
    places = {
        **record,
        **{
            f"{outer}.{name}": record[outer][name]
            for outer in ("model", "training")
            for name in record[outer]
        },
    }
    tries = [
        *((place, text, REFUSED) for place, value in places.items() for text in of_other_types(value)),
        *(
            (place, text, EITHER)
            for place, value in places.items()
            if value is None or isinstance(value, int | float)
            for text in ("-1", "-1e308", "1e9999", "1" + "0" * 18, HUGE)
        ),
    ][:: effort(8, 1)]
    wrong = []
    for place, text, codes in tries:
        put("config.json", content)(Path("models/x"))
        config(place, text)(Path("models/x"))
        outcome = good.shell.run(commands("x")["info"], Path.cwd())
        found = list(complaints("info", outcome, codes, good.outcome("x", "info")))
        wrong += [f"{place} as {text[:20]}: {', '.join(found)}\n{outcome.err[-300:]}"] if found else []
    figure(f"{len(tries)} members tried")
    assert not wrong, "\n".join(wrong)


def of_other_types(value: object) -> list[str]:
    """JSON that cannot stand for a value."""
    if isinstance(value, str):
        return ["5", "[]", "{}"]
    return ['"text"', "5", "{}"] if isinstance(value, list | dict) else ['"text"', "[]", "{}"]


def attempts(hostile: Hostile) -> Mapping[str, Codes]:
    """In the long form every command, in the short one the first, of those with one right code if any."""
    definite = {name: codes for name, codes in hostile.expected.items() if codes != EITHER}
    return hostile.expected if LONG else dict(list((definite or hostile.expected).items())[:1])


def strangers(opened: list[str], usual: list[str], hostile: Hostile) -> list[str]:
    reaches = {os.path.realpath(place) for place in hostile.reaches}
    places = reached([place for place in opened if place not in reaches], Path.cwd())
    return sorted(places.difference(usual))


def test_all_of_them_are_answered_about_as_soon_as_a_good_model(
    good: Good, figure: Callable[[str], None]
) -> None:
    if not good.seen:
        pytest.skip("no hostile model was tried")
    slowest, largest = (
        max(good.seen, key=lambda entry: getattr(entry[1], measure)) for measure in ("seconds", "peak_bytes")
    )
    refused = sum(outcome.code == 1 for _, outcome in good.seen)
    usual = good.outcome("x", "generate")
    figure(
        f"{len(good.seen)} commands on {len(HOSTILE)} models, {refused} refused; the slowest "
        f"{slowest[1].seconds:.2f} s ({slowest[0]}), a good model {usual.seconds:.2f} s; the largest "
        f"{largest[1].peak_bytes >> 20} MiB ({largest[0]})"
    )
    assert slowest[1].seconds < LONGEST_SECONDS


def test_nothing_outside_is_opened_as_strace_sees_it(
    good: Good, figure: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not LONG or shutil.which("strace") is None:
        pytest.skip("it takes minutes, and strace")
    wrong, usual = [], dict[tuple[str, str], list[str]]()
    for number, hostile in enumerate(HOSTILE):
        name = next(iter(hostile.expected))
        if (hostile.base, name) not in usual:
            folder = tmp_path / f"{hostile.base} {name}"
            shutil.copytree(good.models(hostile.base), folder / "models" / hostile.base)
            usual[hostile.base, name] = sorted(reached(traced(commands(hostile.base)[name], folder), folder))
        (tmp_path / str(number)).mkdir()
        monkeypatch.chdir(tmp_path / str(number))
        spoiled(hostile, good.models(hostile.base))
        opened = traced(commands(hostile.called)[name], Path.cwd())
        found = strangers(opened, usual[hostile.base, name], hostile)
        wrong += [f"{hostile.name}, {name}: {', '.join(found)}"] if found else []
    figure(f"{len(HOSTILE)} models traced")
    assert not wrong, "\n".join(wrong)


def traced(arguments: list[str], folder: Path) -> list[str]:
    """Whatever the real command line opens, or tries to, by the places that its names lead to."""
    with TemporaryDirectory() as scratch:
        log = Path(scratch, "log")
        strace = ["strace", "-f", "-y", "--seccomp-bpf", "-e", "trace=open,openat", "-o", str(log)]
        process = subprocess.Popen(
            [*strace, sys.executable, "-P", "-m", "rnncli", *map(os.fsencode, arguments)],
            cwd=folder,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=partial(resource.setrlimit, resource.RLIMIT_DATA, (_LIMIT_BYTES, _LIMIT_BYTES)),
        )
        try:
            process.wait(3 * LONGEST_SECONDS)  # tracing and importing take their time
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        text = log.read_text()
    name, flags, file = r'"((?:[^"\\]|\\.)*)"', r"(\S+?)", r"(?:-1|\d+<(.*)>)"
    calls = re.findall(rf"\bopen(?:at)?\((?:\S+<.*?>, )?{name}, {flags}[,)].* = {file}", text)
    assert calls, text
    return [
        unescaped(file) if file else led(str(folder / unescaped(name)), "O_NOFOLLOW" not in flags)
        for name, flags, file in calls
        if "O_DIRECTORY" not in flags and "O_TMPFILE" not in flags
    ]


def unescaped(name: str) -> str:
    content = name.encode().decode("unicode_escape").encode("latin-1")
    return content.decode("utf-8", "backslashreplace").replace("\0", "")


def test_rnncli_neither_reads_nor_writes_pickles_and_runs_no_text_as_a_program() -> None:
    forbidden = (
        r"pickle|torch\.(load|save)\b|np\.(load|save)\b|marshal|shelve|(?<!def )(?<![\w.])(eval|exec)\("
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line}"
        for path in (ROOT / "rnncli").rglob("*.py")
        for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1)
        if re.search(forbidden, line)
    ]
    assert not found, "\n".join(found)
