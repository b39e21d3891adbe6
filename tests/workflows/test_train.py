"""Training and tokenizing from Python: the same functions as those of the commands."""

import signal
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

import rnncli
from rnncli.errors import ConfigError, OptionError
from rnncli.events import CorpusReport, Evaluated, Event, Planned, Saved
from rnncli.options import build
from rnncli.storage.model_dir import ModelDir
from rnncli.training.config import TrainOptions
from rnncli.workflows.resume import resume, resume_events
from rnncli.workflows.tokenize import tokenize
from rnncli.workflows.train import NewRun, train, train_events
from tests.cli.conftest import TINY, Command, nothing_is_left

OPTIONS = {"steps": 6, "hidden_size": 12, "embedding_size": 8, "batch_size": 2, "bptt": 16}
CPU = torch.device("cpu")


def weights(name: str) -> dict[str, np.ndarray]:
    return dict(ModelDir.find(name).require_weights().arrays)


def new_run(path: Path, name: str) -> NewRun:
    return NewRun((str(path),), build(TrainOptions, OPTIONS), CPU, name=name)


def test_it_trains_the_model_of_the_command(rnncli: Command, rhyme: Path) -> None:
    assert rnncli("train", rhyme, "--name", "command", *TINY).code == 0
    events = list[Event]()
    result = train(rhyme, name="python", on_event=events.append, device="cpu", **OPTIONS)
    assert (result.path, result.step, result.interrupted, result.signal) == ("models/python", 6, False, 0)
    assert [type(events[0]), type(events[1]), type(events[-1])] == [CorpusReport, Planned, Saved]
    assert result.planned == events[1]
    scored = [event.score for event in events if isinstance(event, Evaluated) and event.best]
    assert result.score == scored[-1]
    mine, others = weights("python"), weights("command")
    assert mine.keys() == others.keys()
    assert all(np.array_equal(mine[name], others[name]) for name in mine)


@pytest.mark.parametrize("resumed", [False, True])
def test_ctrl_c_in_a_python_program_saves_the_run_and_is_raised(rhyme: Path, resumed: bool) -> None:
    """It comes at any time, also inside a step, whose half is never saved."""

    def press(event: Event) -> None:
        if isinstance(event, Evaluated):
            signal.raise_signal(signal.SIGINT)

    def begin() -> None:
        if resumed:
            resume("x", steps=6, device="cpu", on_event=press)
        else:
            train(rhyme, name="x", device="cpu", on_event=press, validations=3, **OPTIONS)

    if resumed:
        train(rhyme, name="x", device="cpu", **{**OPTIONS, "steps": 1})
    with pytest.raises(KeyboardInterrupt):
        begin()
    assert ModelDir.find("x").record().status == "interrupted"
    assert ModelDir.find("x").mismatches() == []
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert resume("x", device="cpu").step == 6


def test_what_on_event_raises_stops_the_training_saved(rhyme: Path) -> None:
    def stop(event: Event) -> None:
        if isinstance(event, Evaluated):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(rhyme, name="x", on_event=stop, device="cpu", validations=3, **OPTIONS)
    folder = ModelDir.find("x")
    record = folder.record()
    assert record.status == "interrupted"
    assert 0 < record.step < 6
    assert folder.mismatches() == []
    assert train(rhyme, name="whole", device="cpu", validations=3, **OPTIONS).step == 6
    assert resume("x", device="cpu").step == 6
    mine, others = weights("x"), weights("whole")
    assert all(np.array_equal(mine[name], others[name]) for name in mine)


def test_a_generator_that_is_closed_leaves_a_run_that_can_be_resumed(rhyme: Path) -> None:
    events = train_events(new_run(rhyme, "x"))
    for event in events:
        if isinstance(event, Evaluated):
            break
    events.close()
    assert ModelDir.find("x").record().status == "interrupted"
    assert list(resume_events("x", build(TrainOptions, {}).budget, CPU))[-1] == Saved(
        "models/x", 6, ModelDir.find("x").record().seconds, interrupted=False
    )


def test_a_generator_that_is_closed_before_the_plan_leaves_nothing(rhyme: Path) -> None:
    events = train_events(new_run(rhyme, "x"))
    assert isinstance(next(islice(events, 1)), CorpusReport)
    events.close()
    assert not Path("models/x").exists()
    assert not list(Path("models").glob("*"))


def test_a_model_is_fine_tuned_by_name(rhyme: Path) -> None:
    train(rhyme, name="old", device="cpu", **OPTIONS)
    assert train([rhyme], name="new", from_model="old", steps=2, device="cpu").step == 2
    with pytest.raises(ConfigError, match="--hidden-size is settled by --from old"):
        train(rhyme, from_model="old", hidden_size=5, device="cpu")


def test_wrong_options_are_refused_before_anything_is_read(own_folder: Path) -> None:
    with pytest.raises(OptionError, match="no option 'hiden_size'"):
        train("none.txt", hiden_size=5)
    with pytest.raises(OptionError, match="hidden size is 0"):
        train("none.txt", hidden_size=0)
    with pytest.raises(ConfigError, match="both --steps and --epochs"):
        train("none.txt", steps=5, epochs=2)
    assert nothing_is_left()


def test_tokenizing_makes_the_dataset_of_the_command(rnncli: Command, rhyme: Path) -> None:
    made = tokenize(rhyme, "python.tok", level="word", report=True)
    assert made.dataset is not None
    assert made.report is not None
    assert not made.reused
    assert rnncli("tokenize", rhyme, "-o", "command.tok", "--level", "word").code == 0
    for name in ("tokens.bin", "tokenizer.json"):
        assert Path("python.tok", name).read_bytes() == Path("command.tok", name).read_bytes()
    assert tokenize(rhyme, "python.tok", level="word").reused
    only = tokenize(str(rhyme), report=True)
    assert only.dataset is only.path is None
    assert train("python.tok", name="x", device="cpu", **OPTIONS).step == 6


def test_they_are_public() -> None:
    assert (rnncli.train, rnncli.resume, rnncli.tokenize) == (train, resume, tokenize)
