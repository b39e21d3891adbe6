"""How a run ends, and how it goes on after its end."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from rnncli.nn.fused import support
from rnncli.storage.checkpoints import load_state
from rnncli.storage.model_dir import ModelDir
from rnncli.training import trainer
from rnncli.workflows import resume, training_session
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
    used, taken = list[int](), trainer.train_step

    def train_step(*arguments: Any, **settings: Any) -> Any:
        used.append(torch.get_num_threads())
        return taken(*arguments, **settings)

    monkeypatch.setattr(trainer, "train_step", train_step)
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


def test_further_time_counts_from_the_start_of_its_command(
    rnncli: Command, rhyme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read and measured before the first step is a part of it."""
    rnncli("train", rhyme, "--name", "x", *TINY)
    used = ModelDir.find("x").record().seconds
    slow, run = resume.load_state, trainer.Trainer.run

    def load_state(*arguments: Any) -> Any:
        time.sleep(0.3)
        return slow(*arguments)

    def run_late(self: trainer.Trainer) -> Any:
        assert self.state.seconds > used + 0.3
        return run(self)

    monkeypatch.setattr(resume, "load_state", load_state)
    monkeypatch.setattr(trainer.Trainer, "run", run_late)
    assert rnncli("train", "--resume", "x", "--time", "+2s").code == 0


def test_a_run_that_patience_ended_is_given_time_at_its_whole_rate(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "x", *TINY[2:], "--patience", "1", "--learning-rate", "0.05")
    refused = rnncli("train", "--resume", "x")
    assert refused.code == 1
    assert "x is finished" in refused.err
    assert rnncli("train", "--resume", "x", "--steps", "+30").code == 0
    record = ModelDir.find("x").record()
    run = load_state(ModelDir.find("x"), record.training, torch.device("cpu"))
    assert run.lr_factor == 1.0


def test_epochs_may_be_further_ones_too(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "x", *TINY[2:], "--epochs", "1")
    steps = ModelDir.find("x").record().step
    assert rnncli("train", "--resume", "x", "--epochs", "+1").code == 0
    assert ModelDir.find("x").record().step == 2 * steps


@pytest.mark.parametrize(("option", "amount"), [("--time", "+5m"), ("--steps", "+5"), ("--epochs", "+5")])
def test_a_new_run_has_nothing_to_add_to(rnncli: Command, rhyme: Path, option: str, amount: str) -> None:
    ran = rnncli("train", rhyme, option, amount)
    assert ran.code == 2
    assert "and no run is resumed" in words(ran.err)


def test_patience_alone_ends_a_run(rnncli: Command, rhyme: Path) -> None:
    ran = rnncli(
        "train", rhyme, "--name", "x", *TINY[2:], "--patience", "1", "--json", "--learning-rate", "0.05"
    )
    assert ran.code == 0, ran.err
    assert "until 1 validations without improvement" in ran.err
    assert ran.json["plan"]["steps"] is None
    lines = [json.loads(line) for line in Path("models/x/metrics.jsonl").read_text().splitlines()]
    notes = [line["message"] for line in lines if line["event"] == "remark"]
    assert notes
    assert notes[0].startswith("no improvement since step")
    assert Path("models/x/README.md").exists()


def test_patience_without_a_budget_takes_no_number_of_validations(rnncli: Command, rhyme: Path) -> None:
    ran = rnncli("train", rhyme, "--patience", "3", "--validations", "5")
    assert ran.code == 2
    assert "no meaning without a budget" in ran.err


def test_the_norms_of_the_gradients_are_kept_by_layer(
    rnncli: Command, rhyme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_session, "_MIN_LOG_SECONDS", 0.0)
    monkeypatch.setattr(trainer, "REPORT_SECONDS", 0.0)
    assert rnncli("train", rhyme, "--name", "x", *TINY).code == 0
    lines = [json.loads(line) for line in Path("models/x/metrics.jsonl").read_text().splitlines()]
    stepped = [line for line in lines if line["event"] == "stepped"]
    assert stepped
    assert stepped[0]["gradient_norms"].keys() == {"embedding", "layers.0", "output"}


def test_nothing_is_written_for_whoever_wants_to_see_nothing(
    rnncli: Command, rhyme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = list[object]()
    monkeypatch.setattr(training_session, "_sample", lambda *given: written.append(given) or "")
    assert rnncli("train", rhyme, "--name", "x", *TINY, "--quiet").code == 0
    assert not written
    assert rnncli("train", rhyme, "--name", "y", *TINY).code == 0
    assert written


def test_a_run_with_kernels_that_are_gone_says_so_and_goes_on(
    rnncli: Command, rhyme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if support.why_no_kernels() is not None:
        pytest.skip("no fused kernels here")
    wide = ("--hidden-size", "64", *TINY[4:])
    assert rnncli("train", rhyme, "--name", "x", "--steps", "2", "--kernels", "fused", *wide).code == 0
    assert "fused kernels" in words(rnncli("info", "x").out)
    monkeypatch.setattr(support, "why_no_kernels", lambda: "this is another processor")
    more = rnncli("train", "--resume", "x", "--steps", "+2")
    assert more.code == 0, more.err
    assert (
        "bf16 with torch kernels from now on, not bf16 with fused kernels: this is another processor"
        in words(more.err)
    )
    assert "torch kernels" in words(rnncli("info", "x").out)
