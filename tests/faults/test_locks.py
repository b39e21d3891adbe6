"""Two trainings into one folder: one wins, and the other says who holds it."""

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

from rnncli.files import locked
from rnncli.storage.model_dir import ModelDir
from tests.faults.conftest import SHAPE, ended, forked

HELD = r"error: models/x is being (written|created) by process (\d+) on \S+"


def test_of_two_that_begin_at_once_one_wins(
    text: Path, effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    times = effort(3, 50)
    for number in range(times):
        name = f"x{number}"
        one_wins(name, "train", str(text), "--name", name, "--steps", "100000000", *SHAPE)
        assert ModelDir.find(name).mismatches() == []
    figure(f"{times} times two trainings into one folder: one won each time, the other named it")


def test_of_two_that_resume_at_once_one_wins(
    model: Path, effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    times = effort(2, 50)
    for _ in range(times):
        one_wins("x", "train", "--resume", "x", "--steps", "+100000000")
        assert ModelDir(model).mismatches() == []
    figure(f"{times} times two resumes of one run: one won each time, the other named it")


def one_wins(name: str, *command: str) -> None:
    """Both would go on for ever: the first to end is the one that lost, and the other is stopped then."""
    outputs = {forked(*command, output=output): output for output in ("first", "second")}
    loser, status = os.wait()
    (winner,) = set(outputs) - {loser}
    folder = Path("models", name)
    while not (folder / "manifest.json").exists():  # the winner may still be preparing it
        time.sleep(0.01)
    os.kill(winner, signal.SIGTERM)
    said = Path(outputs[loser]).read_text()
    assert os.waitstatus_to_exitcode(status) == 1, said
    assert ended(winner) == 143, Path(outputs[winner]).read_text()
    found = re.search(HELD.replace("/x ", f"/{name} "), said)
    assert found is not None, said
    assert int(found[2]) == winner


def test_a_training_that_begins_late_hears_who_holds_the_folder(model: Path, text: Path) -> None:
    with locked(model):
        assert ended(forked("train", str(text), "--name", "x", "--steps", "1", *SHAPE)) == 1
    found = re.search(HELD, Path("output").read_text())
    assert found is not None
    assert int(found[2]) == os.getpid()
    assert ended(forked("train", str(text), "--name", "x", "--steps", "1", *SHAPE)) == 1
    assert "models/x exists already" in Path("output").read_text()


def test_an_ngram_waits_for_a_training(model: Path) -> None:
    with locked(model):
        assert ended(forked("ngram", "x")) == 1
    assert re.search(HELD, Path("output").read_text())
    assert ended(forked("ngram", "x")) == 0
