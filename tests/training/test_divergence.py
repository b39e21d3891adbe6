"""Divergence: bad steps are skipped, and a run that diverged rolls back to its best weights."""

import math
from dataclasses import replace

import pytest
import torch

from rnncli.events import Evaluated, Remark, Stepped
from rnncli.metrics import Score
from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.training import trainer
from rnncli.training.config import TrainConfig
from rnncli.training.state import TrainState
from rnncli.training.step import StepResult, train_step
from rnncli.training.trainer import Trainer
from tests.conftest import Eager
from tests.training.scripted import BATCHES, CONFIG, CPU, MODEL, OPEN, Scripted


def poisoned(steps: set[int]) -> object:
    """Return a train_step that begins with an infinite hidden state at these steps."""

    def step(state: TrainState, *arguments: object, **options: object) -> StepResult:
        if state.step in steps:
            state.hidden_state = state.hidden_state.map(lambda tensor: torch.full_like(tensor, torch.inf))
        return train_step(state, *arguments, **options)  # type: ignore[arg-type]

    return step


def test_a_few_bad_steps_are_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "train_step", poisoned({5, 7, 20, 21, 22}))
    state = TrainState.new(MODEL, CONFIG, CPU)
    events = list(Trainer(state=state, batches=BATCHES, config=CONFIG, validate=Scripted(*[1.0] * 6)).run())
    assert state.skipped_steps == 5
    assert state.lr_factor == 1.0
    assert not any(isinstance(event, Remark) for event in events)
    evaluated = [event for event in events if isinstance(event, Evaluated)]
    assert all(math.isfinite(event.train_nats_per_token) for event in evaluated), "skipped steps do not count"


def test_many_bad_steps_in_a_row_cause_a_rollback_and_half_the_learning_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trainer, "train_step", poisoned(set(range(23, 28))))
    state, validate = TrainState.new(MODEL, CONFIG, CPU), Scripted(1.2, 1.1, 1.0, 0.9, 0.8, 0.7)
    events = []
    for event in Trainer(state=state, batches=BATCHES, config=CONFIG, validate=validate, clock=Eager()).run():
        events.append(event)
        if isinstance(event, Remark):
            for name, tensor in state.model.state_dict().items():
                assert torch.equal(tensor, validate.seen[1][name]), name
            assert not any(tensor.any() for tensor in state.hidden_state.tensors())
    notes = [event.message for event in events if isinstance(event, Remark)]
    assert notes == [
        "training diverged at step 28; continuing from the weights of step 20 at 0.5 times the learning rate"
    ]
    rates = {event.step: event.learning_rate for event in events if isinstance(event, Stepped)}
    assert rates[29] < rates[30] < 0.5 * CONFIG.learning_rate, "a new warm-up, to a lower peak"
    assert state.lr_factor == 0.5


def test_divergence_before_the_first_validation_causes_a_rollback_to_the_initial_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trainer, "train_step", poisoned(set(range(2, 7))))
    state, first = TrainState.new(MODEL, CONFIG, CPU), TrainState.new(MODEL, CONFIG, CPU)
    for event in Trainer(state=state, batches=BATCHES, config=CONFIG, validate=Scripted(*[1.0] * 6)).run():
        if isinstance(event, Remark):
            assert "from the weights of step 0 " in event.message
            for name, tensor in state.model.state_dict().items():
                assert torch.equal(tensor, first.model.state_dict()[name]), name
            break
    else:
        pytest.fail("there was no rollback")


@pytest.mark.parametrize(("nats", "norm"), [(math.inf, 1.0), (math.nan, 1.0), (1.0, math.nan)])
def test_a_step_whose_loss_or_gradient_is_not_finite_updates_nothing(nats: float, norm: float) -> None:
    assert StepResult(1.0, torch.zeros(1), 1.0).updated
    assert not StepResult(nats, torch.zeros(1), norm).updated


@pytest.mark.parametrize(
    ("config", "scored", "factor"),
    [(CONFIG, (1.0, math.nan), 0.5), (replace(OPEN, patience=1), (1.0, 1.1), 0.3)],
    ids=["divergence", "early stopping"],
)
def test_the_rollback_is_done_before_the_validation_is_reported(
    config: TrainConfig, scored: tuple[float, ...], factor: float
) -> None:
    """A run that is saved then must not be resumed from ruined weights."""
    state, validate = TrainState.new(MODEL, config, CPU), Scripted(*scored)
    evaluated = (
        r
        for r in Trainer(state=state, batches=BATCHES, config=config, validate=validate).run()
        if isinstance(r, Evaluated)
    )
    next(evaluated)
    assert not next(evaluated).best
    assert state.lr_factor == factor
    for name, tensor in state.model.state_dict().items():
        assert torch.equal(tensor, validate.seen[0][name]), name


@pytest.mark.parametrize("worse", [math.nan, math.inf, 4.0])
def test_a_validation_far_worse_than_guessing_is_divergence(worse: float) -> None:
    state = TrainState.new(MODEL, CONFIG, CPU)
    events = Trainer(
        state=state, batches=BATCHES, config=CONFIG, validate=Scripted(1.0, worse, 0.9, 0.8, 0.7, 0.6)
    ).run()
    notes = [event.message for event in events if isinstance(event, Remark)]
    assert notes == [
        "training diverged at step 20; continuing from the weights of step 10 at 0.5 times the learning rate"
    ]


def test_a_learning_rate_that_is_far_too_high_is_lowered_until_the_model_learns() -> None:
    """A learning rate of 50 makes every weight huge; the loss stays finite all the time."""
    config = replace(CONFIG, steps=800, learning_rate=50.0, validations=40, warmup=0.0)
    state = TrainState.new(MODEL, config, CPU)

    def validate(model: RNNLanguageModel) -> Score:
        with torch.no_grad():
            batch = BATCHES[0]
            logits, _ = model(torch.from_numpy(batch.inputs), model.initial_state(4))
            targets = torch.from_numpy(batch.targets).flatten()
            nats = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets, reduction="sum")
        return Score(float(nats), batch.tokens, 1, 1, 1)

    events = list(Trainer(state=state, batches=BATCHES, config=config, validate=validate).run())
    assert any(isinstance(event, Remark) for event in events)
    assert state.lr_factor <= 0.25
    assert state.best is not None
    assert state.best.score is not None
    assert state.best.score.nats_per_token < math.log(4)
