"""How a run ends, and how it goes on after its end."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from rnncli.cli import training_session
from rnncli.storage.model_dir import ModelDir
from rnncli.training import loop
from tests.cli.conftest import TINY, Command, words


def test_a_finished_run_is_given_further_steps(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "x", *TINY)
    more = rnncli("train", "--resume", "x", "--steps", "+4", "--json")
    assert more.code == 0, more.err
    assert more.json["step"] == 10
    assert ModelDir.find("x").record().training.steps == 10


def test_a_run_uses_the_threads_that_it_was_given_and_goes_on_with_them(
    rnncli: Command, rhyme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used, taken = list[int](), loop.train_step

    def train_step(*arguments: Any, **settings: Any) -> Any:
        used.append(torch.get_num_threads())
        return taken(*arguments, **settings)

    monkeypatch.setattr(loop, "train_step", train_step)
    before = torch.get_num_threads()
    assert rnncli("train", rhyme, "--name", "x", "--threads", str(before + 1), *TINY).code == 0
    assert rnncli("train", "--resume", "x", "--steps", "+2").code == 0
    assert used == [before + 1] * 8
    assert torch.get_num_threads() == before
    assert f"threads {before + 1}" in words(rnncli("info", "x").out)


def test_a_finished_run_is_given_further_time(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "x", *TINY)
    used = ModelDir.find("x").record().seconds
    more = rnncli("train", "--resume", "x", "--time", "+2s", "--json")
    assert more.code == 0, more.err
    assert more.json["step"] > 6
    assert ModelDir.find("x").record().training.seconds == pytest.approx(used + 2.0)


def test_epochs_may_be_further_ones_too(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "x", *TINY[2:], "--epochs", "1")
    steps = ModelDir.find("x").record().step
    assert rnncli("train", "--resume", "x", "--epochs", "+1").code == 0
    assert ModelDir.find("x").record().step == 2 * steps


@pytest.mark.parametrize(("option", "amount"), [("--time", "+5m"), ("--steps", "+5"), ("--epochs", "+5")])
def test_a_new_run_has_nothing_to_add_to(rnncli: Command, rhyme: Path, option: str, amount: str) -> None:
    ran = rnncli("train", rhyme, option, amount)
    assert ran.code == 2
    assert "+ goes with --resume" in words(ran.err)


def test_patience_alone_ends_a_run(rnncli: Command, rhyme: Path) -> None:
    ran = rnncli(
        "train", rhyme, "--name", "x", *TINY[2:], "--patience", "1", "--json", "--learning-rate", "0.05"
    )
    assert ran.code == 0, ran.err
    assert "until 1 validations bring nothing better" in ran.err
    assert ran.json["plan"]["steps"] is None
    lines = [json.loads(line) for line in Path("models/x/metrics.jsonl").read_text().splitlines()]
    notes = [line["message"] for line in lines if line["report"] == "noted"]
    assert notes
    assert notes[0].startswith("nothing better since step")
    assert Path("models/x/README.md").exists()


def test_patience_without_a_budget_takes_no_number_of_validations(rnncli: Command, rhyme: Path) -> None:
    ran = rnncli("train", rhyme, "--patience", "3", "--validations", "5")
    assert ran.code == 1
    assert "no meaning without a budget" in ran.err


def test_the_norms_of_the_gradients_are_kept_by_layer(
    rnncli: Command, rhyme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_session, "_LEAST_LOG_SECONDS", 0.0)
    monkeypatch.setattr(loop, "REPORT_SECONDS", 0.0)
    assert rnncli("train", rhyme, "--name", "x", *TINY).code == 0
    lines = [json.loads(line) for line in Path("models/x/metrics.jsonl").read_text().splitlines()]
    stepped = [line for line in lines if line["report"] == "stepped"]
    assert stepped
    assert stepped[0]["gradient_norms"].keys() == {"embedding", "layers.0", "output"}
