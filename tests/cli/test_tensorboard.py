"""train --tensorboard: the reports of metrics.jsonl as event files, also over a resume."""

import sys
from pathlib import Path

import pytest

from rnncli.storage.model_dir import ModelDir
from rnncli.training import trainer
from rnncli.workflows import training_session
from tests.cli.conftest import TINY, Command, nothing_is_left


def scalars(name: str) -> dict[str, list[tuple[int, float]]]:
    """By tag, step and value, as TensorBoard itself reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(f"models/{name}/tensorboard")
    found.Reload()
    return {
        tag: [(event.step, event.value) for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]
    }


def test_event_files_have_the_names_and_values_of_the_log(
    rnncli: Command, rhyme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_session, "_MIN_LOG_SECONDS", 0.0)
    monkeypatch.setattr(trainer, "REPORT_SECONDS", 0.0)
    given = (*TINY, "--validations", "3", "--tensorboard")
    assert rnncli("train", rhyme, "--name", "x", *given).code == 0
    found = scalars("x")
    logged = [line for line in ModelDir.find("x").metrics() if line["event"] == "evaluated"]
    assert [step for step, _ in found["score/nll_nats"]] == [line["step"] for line in logged]
    values = [value for _, value in found["train_nats_per_token"]]
    assert values == pytest.approx([line["train_nats_per_token"] for line in logged])
    assert [value for _, value in found["score/nll_nats"]] == pytest.approx(
        [one["score"]["nll_nats"] for one in logged]
    )
    steps = [line for line in ModelDir.find("x").metrics() if line["event"] == "stepped"]
    assert steps
    for name in ("epoch", "seconds"):  # reports of both kinds have them
        values = sorted(value for _, value in found[name])
        assert values == pytest.approx(sorted(line[name] for line in logged + steps))
    for name in ("learning_rate", "tokens_per_second", "gradient_norm", "nats_per_token"):
        assert [value for _, value in found[name]] == pytest.approx([line[name] for line in steps])
    for name in steps[0]["gradient_norms"]:
        values = [line["gradient_norms"][name] for line in steps]
        assert [value for _, value in found[f"gradient_norms/{name}"]] == pytest.approx(values)
    assert rnncli("verify", "x").code == 0


def test_a_resume_goes_on_with_them_unasked(rnncli: Command, rhyme: Path) -> None:
    assert rnncli("train", rhyme, "--name", "x", *TINY, "--tensorboard").code == 0
    assert rnncli("train", "--resume", "x", "--steps", "+6").code == 0
    assert scalars("x")["score/nll_nats"][-1][0] == 12
    assert rnncli("train", rhyme, "--name", "y", *TINY).code == 0
    assert not Path("models/y/tensorboard").exists()


def test_a_link_in_place_of_its_folder_is_refused(rnncli: Command, rhyme: Path) -> None:
    assert rnncli("train", rhyme, "--name", "x", *TINY).code == 0
    Path("elsewhere").mkdir()
    Path("models/x/tensorboard").symlink_to("../../elsewhere")
    ran = rnncli("train", "--resume", "x", "--steps", "+1")
    assert ran.code == 1
    assert "models/x/tensorboard is a link" in ran.err
    assert not list(Path("elsewhere").iterdir())
    record = ModelDir.find("x").record()
    assert (record.status, record.training.steps) == ("finished", 6), "what is refused changes nothing"


def test_without_tensorboard_it_says_what_to_install(
    rnncli: Command, rhyme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    ran = rnncli("train", rhyme, "--name", "x", *TINY, "--tensorboard")
    assert ran.code == 1
    assert "pip install 'rnncli[tensorboard]'" in ran.err
    assert nothing_is_left()
