"""Campaigns of faults: a short form with every test run, the long one by `make faults`, and their figures."""

import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rnncli.__main__ import main
from rnncli.nn.fused import support

TEXT = "the rain is more than the sun;\na lamp was lit, and what was lost\nis what we learned.\n" * 40
SHAPE = (
    *("--hidden-size", "12", "--embedding-size", "8", "--batch-size", "2", "--bptt", "16"),
    *("--precision", "fp32", "--kernels", "torch", "--dropout", "0.2"),
)
# Every campaign forks, and many send signals: they are for Linux and macOS.
if not hasattr(os, "fork"):
    collect_ignore_glob = ["test_*.py", "hostile/test_*.py"]
support.why_no_kernels()  # what it loads, once for all that are forked here

LONG = os.environ.get("RNNCLI_FAULTS") == "long"


@pytest.fixture
def effort() -> Callable[[int, int], int]:
    """effort(short, long): how often a campaign tries."""
    return lambda short, long: long if LONG else short


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """figure("40 folders, 40 refused"): printed at the end of the run, under the name of the test."""
    return lambda says: request.node.user_properties.append(("figure", says))


@pytest.hookimpl(hookwrapper=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    yield
    figures = [
        f"{report.head_line}: {says}"
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        if report.when == "call"
        for kind, says in report.user_properties
        if kind == "figure"
    ]
    if figures:
        terminalreporter.section("figures")
        for line in figures:
            terminalreporter.write_line(line)


@pytest.fixture
def text(own_folder: Path) -> Path:
    path = own_folder / "text.txt"
    path.write_text(TEXT)
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text and a finished model of it, models/x: to be copied."""
    folder = tmp_path_factory.mktemp("trained")
    before = Path.cwd()
    os.chdir(folder)
    try:
        Path("text.txt").write_text(TEXT)
        given = ("--steps", "20", "--save-every", "5", "--validations", "2", "--ngram", "3", *SHAPE)
        assert ended(forked("train", "text.txt", "--name", "x", *given)) == 0, Path("output").read_text()
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def model(trained: Path, own_folder: Path) -> Path:
    """A finished model of 20 steps in the working folder."""
    shutil.copytree(trained, own_folder, dirs_exist_ok=True)
    return Path("models/x")


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
