"""Campaigns of faults: a short form with every test run, the long one by `make faults`, and their figures."""

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rnncli.__main__ import main

TEXT = "the rain is more than the sun;\na lamp was lit, and what was lost\nis what we learned.\n" * 40
SHAPE = (
    *("--hidden-size", "12", "--embedding-size", "8", "--batch-size", "2", "--bptt", "16"),
    *("--precision", "fp32", "--kernels", "torch", "--dropout", "0.2"),
)
LONG = os.environ.get("RNNCLI_FAULTS") == "long"
_FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture
def effort() -> Callable[[int, int], int]:
    """effort(short, long): how often a campaign tries."""
    return lambda short, long: long if LONG else short


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """figure("40 folders, 40 refused"): printed at the end of the run, under the name of the test."""
    figures = request.config.stash.setdefault(_FIGURES, [])
    return lambda says: figures.append(f"{request.node.name}: {says}")


@pytest.hookimpl(hookwrapper=True)
def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> Iterator[None]:
    yield
    figures = config.stash.get(_FIGURES, [])
    if figures:
        terminalreporter.section("figures")
        for line in figures:
            terminalreporter.write_line(line)


@pytest.fixture
def text(own_folder: Path) -> Path:
    path = own_folder / "text.txt"
    path.write_text(TEXT)
    return path


def forked(*arguments: str, output: str = "output", before: Callable[[], None] | None = None) -> int:
    """A command in a process of its own that has imported everything already; its number."""
    process = os.fork()
    if process:
        return process
    code = 70
    try:
        with Path(output).open("wb", buffering=0) as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        sys.stdout = os.fdopen(1, "w", encoding="utf-8")
        sys.stderr = os.fdopen(2, "w", encoding="utf-8")
        sys.argv = ["rnncli", *arguments]
        if before is not None:
            before()
        main()
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def ended(process: int) -> int:
    """How it ended: its exit code, or the number of the signal that killed it, negative."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
