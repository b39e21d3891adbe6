"""Commands of rnncli, each in a process of its own that has little time and memory."""

import contextlib
import gc
import importlib
import io
import json
import os
import resource
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Never
from unittest import mock

import typer.main

from rnncli.__main__ import main
from tests.processor import ON_PROCESSOR

# Nothing that is imported here may bring torch, which a Shell's light process goes without.

LONGEST_SECONDS = 10.0
# A command that would fill the memory is refused more before it fills that of the machine.
LIMIT_BYTES = 2 * 2**30
ROOT = Path(__file__).parents[3]
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("RNNCLI_")},
    **ON_PROCESSOR,
    **{"OMP_NUM_THREADS": "1", "COLUMNS": "80", "PYTHONPATH": str(ROOT)},
}


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
            program = f"from tests.faults.hostile.shell import serve; serve({kind!r})"
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
        "light": ["rnncli.workflows.generate", "rnncli.cli.interactive", "rnncli.console.tables"],
        "heavy": ["rnncli.workflows.training_session", "rnncli.workflows.devices", "torch._dynamo", "numba"],
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
    resource.setrlimit(resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES))

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
