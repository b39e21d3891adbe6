"""The real command line, run inside the test's process: quick, and everything but a terminal is real."""

import io
import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from rnncli.__main__ import main
from rnncli.runtime import BROKEN_PIPE, STOPPING


@dataclass(frozen=True)
class Ran:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        record = json.loads(self.out)
        assert isinstance(record, dict)
        return record


Command = Callable[..., Ran]


@pytest.fixture
def rnncli(monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Iterator[Command]:
    """rnncli("train", "a.txt", stdin=b"...") -> exit code, stdout, stderr."""
    log, numbers = logging.getLogger("rnncli"), [*STOPPING, *BROKEN_PIPE]
    handlers = {number: signal.getsignal(number) for number in numbers}

    def run(*arguments: object, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "argv", ["rnncli", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        capfdbinary.readouterr()
        code, level = 0, log.level
        try:
            main()
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else 0
        finally:  # a command sets up the log for its whole process
            log.handlers, log.propagate = [], True
            log.setLevel(level)
        sys.stdout.flush()
        sys.stderr.flush()
        out, err = capfdbinary.readouterr()
        return Ran(code, out.decode("utf-8"), err.decode("utf-8"))

    yield run
    torch.set_flush_denormal(False)  # a command sets it for its whole process
    for number, handler in handlers.items():
        signal.signal(number, handler)


TINY = ("--steps", "6", "--hidden-size", "12", "--embedding-size", "8", "--batch-size", "2", "--bptt", "16")


def nothing_is_left() -> bool:
    """No folder of models, no store and no scratch of one, hidden or not, where the test works."""
    stores = [*Path().glob("*.tok"), *Path().glob(".partial-*")]
    return not stores and not Path("models").exists()


def words(text: str) -> str:
    """What a box with a frame says, without its frame and its line breaks."""
    return " ".join(text.replace("│", " ").split())
