"""Early stopping: what ends a run, or lowers its learning rate, when validations stop improving."""

from dataclasses import replace

import pytest

from rnncli.errors import ConfigError
from rnncli.events import Evaluated, Remark, Stepped
from rnncli.training.config import TrainConfig
from rnncli.training.early_stopping import may_lower_lr
from rnncli.training.state import TrainState
from rnncli.training.trainer import Trainer
from tests.conftest import Eager
from tests.training.scripted import BATCHES, CONFIG, CPU, MODEL, OPEN, Scripted


def test_patience_ends_a_run_before_its_budget() -> None:
    config = replace(CONFIG, patience=2)
    state = TrainState.new(MODEL, config, CPU)
    events = list(
        Trainer(state=state, batches=BATCHES, config=config, validate=Scripted(1.0, 0.9, 0.95, 0.93)).run()
    )
    assert state.step == 40
    assert isinstance(events[-1], Evaluated)
    assert state.best is not None
    assert state.best.step == 20


def test_an_open_ended_run_lowers_its_learning_rate_and_ends_when_that_does_not_help() -> None:
    state, validate = TrainState.new(MODEL, OPEN, CPU), Scripted(1.0, 0.9, 1.0, 1.0, 0.8, 0.9, 0.9, 0.9, 0.9)
    messages, factors = [], []
    for event in Trainer(state=state, batches=BATCHES, config=OPEN, validate=validate).run():
        if isinstance(event, Remark):
            messages.append(event.message)
            factors.append(state.lr_factor)
    assert messages == [
        "no improvement since step 200; continuing from there at 0.3 times the learning rate",
        "no improvement since step 500; continuing from there at 0.09 times the learning rate",
    ]
    assert factors == pytest.approx([0.3, 0.09])
    assert state.step == 900
    assert state.best is not None
    assert state.best.step == 500


def test_an_open_ended_run_reports_no_progress() -> None:
    state = TrainState.new(MODEL, OPEN, CPU)
    events = Trainer(
        state=state, batches=BATCHES, config=OPEN, validate=Scripted(*[1.0] * 9), clock=Eager()
    ).run()
    assert {event.progress for event in events if isinstance(event, Stepped)} == {None}


def test_a_run_needs_a_budget_or_patience() -> None:
    with pytest.raises(ConfigError, match="no budget is given"):
        TrainConfig()


def test_a_very_low_learning_rate_is_not_lowered_further() -> None:
    state = TrainState.new(MODEL, OPEN, CPU)
    state.lr_factor, state.lr_lowered_at_step = 0.005, 10
    assert not may_lower_lr(state, OPEN)
