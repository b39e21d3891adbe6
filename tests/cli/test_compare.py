"""rnncli compare: structures tried on a text, the winner kept, and the command that makes it."""

import os
import shlex
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rnncli.errors import TrainingError
from rnncli.storage.model_dir import ModelDir
from rnncli.training import architecture_search, hyperparameters
from rnncli.workflows import compare, training_session
from rnncli.workflows.train import NewRun
from tests.cli.conftest import Command, words


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small structures, and no least time."""
    monkeypatch.setattr(architecture_search, "_HIDDEN_SIZES", (8, 12))
    monkeypatch.setattr(architecture_search, "_FIRST_HIDDEN_SIZE", 12)
    monkeypatch.setattr(compare, "_MIN_SECONDS", 0.1)
    monkeypatch.setattr(compare, "_GENERATION_SECONDS", 0.01)


def test_it_ranks_structures_and_keeps_the_winner_alone(rnncli: Command, rhyme: Path) -> None:
    ran = rnncli("compare", rhyme, "--time", "9s", "--name", "best", "--seed", "3", "--json")
    assert ran.code == 0, ran.err
    record = ran.json
    assert record["model"] == "models/best"
    ranking = record["ranking"]
    assert 3 <= len(ranking) <= 9, "as many as the time was for"
    assert len({row["architecture"] for row in ranking}) == len(ranking)
    assert ranking[0]["bits_per_character"] < 6.0
    assert {row["architecture"].split(", ")[1] for row in ranking} <= set(
        architecture_search._SINGLE + architecture_search._DEEP
    )
    for row in ranking:
        assert min(row["tokens_per_second"], row["parameters"], row["characters_generated_per_second"]) > 0
    assert [path.name for path in Path("models").iterdir()] == ["best"]
    model = ModelDir.find("best").record().model
    level, cell, layers = ranking[0]["architecture"].split(", ")
    assert (model.cell, f"{model.num_layers} layer") == (cell, layers.split(" of ")[0].removesuffix("s"))
    assert ModelDir.find("best").tokenizer().level == level
    assert rnncli("verify", "best").code == 0


def test_its_command_trains_the_same_structure(
    rnncli: Command, rhyme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hyperparameters, "_SHORT_TEXT_TOKENS", 100)  # so that the plan has a penalty to name
    assert (
        rnncli("compare", rhyme, "--time", "4s", "--name", "best", "--level", "char", "--line-by-line").code
        == 0
    )
    ran = rnncli("compare", rhyme, "--time", "4s", "--name", "again", "--level", "char", "--line-by-line")
    folder, command = ran.out.strip().split("\n")[-2:]
    assert folder == "models/again"
    program, *arguments = shlex.split(command)
    assert program == "rnncli"
    assert rnncli(*arguments, "--name", "by-hand").code == 0
    one, two = (ModelDir.find(name).record() for name in ("again", "by-hand"))
    assert one.model == two.model
    assert one.line_by_line
    assert two.line_by_line
    assert one.training.activation_regularization == 2.0
    # Whether the time is more than the text needs, each run sees for itself.
    if one.training.steps is not None:
        assert two.training.steps == one.training.steps
    assert replace(one.training, seconds=None, steps=1) == replace(two.training, seconds=None, steps=1)


def test_a_held_out_text_of_its_own_is_compared_on(rnncli: Command, rhyme: Path) -> None:
    Path("held.txt").write_text("the rain came down\n" * 30)
    given = ("--valid", "held.txt", "--level", "char", "--time", "4s", "--json")
    ran = rnncli("compare", rhyme, *given)
    assert ran.code == 0, ran.err
    assert "--valid held.txt" in ran.json["command"]
    assert ModelDir.find(None).corpus().valid.tokens == 30 * 19


def test_the_curves_may_be_a_file(rnncli: Command, rhyme: Path) -> None:
    ran = rnncli("compare", rhyme, "--time", "4s", "--level", "char", "-o", "curves.html")
    assert ran.code == 0, ran.err
    assert "<svg" in Path("curves.html").read_text()
    assert "architecture" in ran.out
    assert "at the end" not in ran.out, "no curves on the terminal"


def test_ctrl_c_ends_the_search_and_leaves_no_candidate(
    rnncli: Command, rhyme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, sessions = training_session._validate, list[training_session.Session]()

    def validate(session: training_session.Session, model: Any) -> Any:
        if all(session is not one for one in sessions):
            sessions.append(session)
            if len(sessions) == 2:
                os.kill(os.getpid(), signal.SIGINT)
        return real(session, model)

    monkeypatch.setattr(training_session, "_validate", validate)
    ran = rnncli("compare", rhyme, "--time", "5s", "--level", "char", "--json")
    assert ran.code == 130
    assert len(ran.json["ranking"]) == 1
    assert ran.json["model"] is None
    assert not Path("models").exists()


def test_ctrl_c_while_a_candidate_is_saved_ends_the_search(
    rnncli: Command, rhyme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, number = training_session._finish, 0

    def finish(*arguments: Any, **settings: Any) -> Any:
        nonlocal number
        number += 1
        if number == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*arguments, **settings)

    monkeypatch.setattr(training_session, "_finish", finish)
    ran = rnncli("compare", rhyme, "--time", "5s", "--level", "char", "--json")
    assert ran.code == 130
    assert number == 2
    assert ran.json["model"] is None
    assert not Path("models").exists()


def test_the_ranking_is_told_though_the_winner_cannot_be_trained(
    rnncli: Command, rhyme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = compare.train_events

    def train_events(run: NewRun, *arguments: Any) -> Any:
        if not str(run.name).endswith("-trial"):
            raise TrainingError("no more", hint="none")
        return real(run, *arguments)

    monkeypatch.setattr(compare, "train_events", train_events)
    ran = rnncli("compare", rhyme, "--time", "2s", "--level", "char", "--json")
    assert ran.code == 1
    assert ran.json["ranking"]
    assert ran.json["model"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("-",), 2, "reads a text more than once"),
        (("@list.txt",), 2, "reads a text more than once"),
        (("made.tok",), 2, "name the text instead of a token dataset"),
        (("rhyme.txt", "--name", "a/b"), 2, "is not a valid model name"),
        (("rhyme.txt", "--seed", "-1"), 2, "seed is -1"),
        (("rhyme.txt", "-o", "nowhere/x.png"), 1, "the folder does not exist"),
        (("rhyme.txt", "--time", "50ms"), 2, "time is '50ms'"),
        (("rhyme.txt", "-o", "x.gif"), 2, "its name ends with .png or .html"),
        (("none.txt",), 1, "none.txt"),
    ],
)
def test_what_cannot_be_compared_is_said(
    rnncli: Command, rhyme: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    Path("list.txt").write_text("-\n")
    assert rnncli("tokenize", rhyme, "-o", "made.tok").code == 0
    ran = rnncli("compare", *arguments, stdin=b"text")
    assert ran.code == code
    assert says in words(ran.err)
    assert not Path("models").exists()


def test_a_text_that_cannot_be_trained_on_is_one_error(rnncli: Command, rhyme: Path) -> None:
    Path("short.txt").write_text("ab")
    ran = rnncli("compare", "short.txt", "--time", "3s")
    assert ran.code == 1
    assert ran.err.count("error: ") == 1
    assert not Path("models").exists()


def test_without_optuna_nothing_is_read(
    rnncli: Command, rhyme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    ran = rnncli("compare", "none.txt")
    assert ran.code == 1
    assert "pip install 'rnncli[tune]'" in ran.err


def test_a_name_that_is_taken_is_refused_before_anything_is_tried(rnncli: Command, rhyme: Path) -> None:
    Path("models/x").mkdir(parents=True)
    ran = rnncli("compare", rhyme, "--name", "x")
    assert ran.code == 1
    assert "models/x exists already" in words(ran.err)
