"""Commands under an imitated system, in forks of a process that has imported everything or by themselves."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.processor import ON_PROCESSOR

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="other systems are imitated on Linux")
TEXT = "the rain is more than the sun;\na lamp was lit, and what was lost\nis what we learned.\n" * 40
SHAPE = (
    *(
        "--hidden-size",
        "12",
        "--embedding-size",
        "8",
        "--batch-size",
        "2",
        "--bptt",
        "16",
        "--validations",
        "2",
    ),
    *("--precision", "fp32", "--kernels", "torch"),
)


def environment(system: str) -> dict[str, str]:
    """Variables with which Python imitates a system."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RNNCLI_")}
    return (
        inherited
        | ON_PROCESSOR
        | {
            "IMITATED_SYSTEM": system,
            "PYTHONPATH": f"{HERE / 'site'}{os.pathsep}{ROOT}",
            "OMP_NUM_THREADS": "1",
            "RNNCLI_DEBUG": "0",
        }
    )


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: bytes
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Running:
    """A command that has been started; `process` is its number."""

    machine: "Machine"
    process: int
    files: tuple[Path, Path, Path]

    def said(self) -> str:
        """What it has written to stderr by now."""
        return self.files[2].read_text(encoding="utf-8")

    def ended(self) -> Ran:
        code = self.machine.ask(wait=self.process)["code"]
        return Ran(code, self.files[1].read_bytes(), self.said())


class Machine:
    """A computer with another operating system: machine("train", "a.txt") runs a command in its folder."""

    def __init__(self, system: str, folder: Path) -> None:
        self.system, self.folder, self._commands = system, folder, 0
        self._scratch = folder.with_name(f"{folder.name}-streams")
        self._scratch.mkdir()
        self._server = subprocess.Popen(
            [sys.executable, str(HERE / "server.py")],
            env=environment(system),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **request: Any) -> dict[str, int]:
        assert self._server.stdin
        assert self._server.stdout
        print(json.dumps(request), file=self._server.stdin, flush=True)
        answer: dict[str, int] = json.loads(self._server.stdout.readline())
        return answer

    def start(self, *arguments: object, stdin: bytes = b"") -> Running:
        self._commands += 1
        files = tuple(self._scratch / f"{self._commands}-{name}" for name in ("in", "out", "err"))
        files[0].write_bytes(stdin)
        files[2].touch()
        words, names = [str(word) for word in arguments], [str(file) for file in files]
        process = self.ask(folder=str(self.folder), arguments=words, files=names)["process"]
        return Running(self, process, files)  # type: ignore[arg-type]

    def __call__(self, *arguments: object, stdin: bytes = b"") -> Ran:
        return self.start(*arguments, stdin=stdin).ended()

    def good(self, *arguments: object, stdin: bytes = b"") -> Ran:
        """The same of a command that must succeed."""
        ran = self(*arguments, stdin=stdin)
        assert ran.code == 0, ran.err
        return ran

    def alone(self, *arguments: str, stdin: bytes = b"") -> Ran:
        """A command in a process of its own, as a person starts it."""
        ran = subprocess.run(
            [sys.executable, "-m", "rnncli", *arguments],
            env=environment(self.system),
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            timeout=100,
        )
        return Ran(ran.returncode, ran.stdout, ran.stderr.decode("utf-8"))

    def python(self, code: str) -> str:
        """What a program prints that must succeed."""
        command = [sys.executable, "-c", code]
        ran = subprocess.run(
            command, env=environment(self.system), cwd=self.folder, capture_output=True, text=True
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def with_workers(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """A command in a process group of its own, as soon as it has started two worker processes."""
        process = subprocess.Popen(
            [sys.executable, "-m", "rnncli", *arguments],
            env=environment(self.system),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            process_group=0,
        )
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while len(children.read_text(encoding="utf-8").split()) < 2:
            assert process.poll() is None
            time.sleep(0.01)
        return process

    def into_closed_pipe(self, *arguments: str) -> Ran:
        """The same of a command whose output nobody reads."""
        reader, writer = os.pipe()
        os.close(reader)
        try:
            ran = subprocess.run(
                [sys.executable, "-m", "rnncli", *arguments],
                env=environment(self.system),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=writer,
                stderr=subprocess.PIPE,
                timeout=100,
            )
        finally:
            os.close(writer)
        return Ran(ran.returncode, b"", ran.stderr.decode("utf-8"))

    def close(self) -> None:
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.close()
        self._server.stdout.close()
        self._server.wait()


@contextmanager
def machine_with_model(system: str, folder: Path) -> Iterator[Machine]:
    """A computer whose folder has text.txt and a finished model of it, models/x."""
    machine = Machine(system, folder)
    try:
        (folder / "text.txt").write_bytes(TEXT.encode())
        machine.good(
            "train", "text.txt", "--name", "x", "--steps", "20", "--ngram", "3", "--level", "char", *SHAPE
        )
        yield machine
    finally:
        machine.close()
