"""Two trainings into one folder: one wins, and the other says who holds it."""

import re
from collections.abc import Callable
from pathlib import Path

from rnncli.storage.lock import held
from rnncli.storage.model_dir import ModelDir
from tests.faults.conftest import SHAPE, ended, forked

HELD = r"error: models/x is being (written|made) by process (\d+) on \S+"


def test_of_two_that_begin_at_once_one_wins(
    text: Path, effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    times = effort(3, 50)
    for number in range(times):
        name = f"x{number}"
        given = ("train", str(text), "--name", name, "--steps", "5", *SHAPE)
        first, second = forked(*given, output="first"), forked(*given, output="second")
        codes = {"first": ended(first), "second": ended(second)}
        assert sorted(codes.values()) == [0, 1], codes
        loser, winner = ("first", second) if codes["first"] else ("second", first)
        said = re.search(HELD.replace("/x ", f"/{name} "), Path(loser).read_text())
        assert said is not None, Path(loser).read_text()
        assert int(said[2]) == winner
        assert ModelDir.find(name).wrong() == []
    figure(f"{times} times two trainings into one folder: one won each time, the other named it")


def test_of_two_that_resume_at_once_one_wins(
    model: Path, effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    times = effort(2, 50)
    for _ in range(times):
        given = ("train", "--resume", "x", "--steps", "+400")
        first, second = forked(*given, output="first"), forked(*given, output="second")
        codes = {"first": ended(first), "second": ended(second)}
        assert sorted(codes.values()) == [0, 1], [
            codes,
            Path("first").read_text(),
            Path("second").read_text(),
        ]
        loser, winner = ("first", second) if codes["first"] else ("second", first)
        said = re.search(HELD, Path(loser).read_text())
        assert said is not None, Path(loser).read_text()
        assert int(said[2]) == winner
    figure(f"{times} times two resumes of one run: one won each time, the other named it")


def test_an_ngram_waits_for_a_training(model: Path) -> None:
    with held(model):
        assert ended(forked("ngram", "x")) == 1
    assert re.search(HELD, Path("output").read_text())
    assert ended(forked("ngram", "x")) == 0
