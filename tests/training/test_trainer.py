"""The training loop: it learns, keeps its budget, pauses in a consistent state, and skips bad steps."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rnncli.data.batching import StreamBatches
from rnncli.events import CheckpointDue, Evaluated, Stepped
from rnncli.metrics import Score
from rnncli.nn.config import ModelConfig
from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.training.budget import Budget
from rnncli.training.config import TrainConfig
from rnncli.training.distributed import ProcessGroup
from rnncli.training.state import TrainState
from rnncli.training.step import gradient_norms_by_layer, train_step
from rnncli.training.trainer import Trainer
from tests.conftest import Eager

CPU = torch.device("cpu")
MODEL = ModelConfig(vocab_size=4, hidden_size=16, embedding_size=8, dropout=0.1)
CONFIG = TrainConfig(steps=60, batch_size=4, bptt=8, learning_rate=0.02, validations=3)
IDS = np.tile(np.array([0, 1, 2, 3, 3, 1], np.uint8), 100)


def batches(config: TrainConfig = CONFIG) -> StreamBatches:
    return StreamBatches(IDS, MODEL.bos_id, config.batch_size, config.bptt)


def no_score(model: RNNLanguageModel) -> Score:
    return Score(
        nll_nats=1e-6 * float(sum(p.detach().abs().sum() for p in model.parameters())),
        tokens=1,
        words=1,
        characters=1,
        bytes=1,
    )


class Ticking:
    """A clock that advances by `seconds` whenever it is read."""

    def __init__(self, seconds: float) -> None:
        self.instants = self._tick(seconds)

    def _tick(self, seconds: float) -> Iterator[float]:
        instant = 0.0
        while True:
            yield instant
            instant += seconds

    def __call__(self) -> float:
        return next(self.instants)


def weights(model: RNNLanguageModel) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_pattern_is_learned(cell: str) -> None:
    state = TrainState.new(replace(MODEL, cell=cell), CONFIG, CPU)
    events = [
        event
        for event in Trainer(state=state, batches=batches(), config=CONFIG, validate=no_score).run()
        if isinstance(event, Evaluated)
    ]
    assert events[0].train_nats_per_token > 0.2
    assert events[-1].train_nats_per_token < 0.1


def test_a_budget_of_steps_is_exact_and_ends_with_a_validation() -> None:
    state = TrainState.new(MODEL, CONFIG, CPU)
    *_, last = Trainer(state=state, batches=batches(), config=CONFIG, validate=no_score).run()
    assert state.step == 60
    assert isinstance(last, Evaluated)
    assert last.step == 60


def test_validations_are_spread_evenly() -> None:
    state = TrainState.new(MODEL, CONFIG, CPU)
    steps = [
        event.step
        for event in Trainer(state=state, batches=batches(), config=CONFIG, validate=no_score).run()
        if isinstance(event, Evaluated)
    ]
    assert steps == [20, 40, 60]


def test_a_budget_of_time_reserves_time_for_the_last_validation() -> None:
    config = replace(CONFIG, steps=None, seconds=100.0)
    state = TrainState.new(MODEL, config, CPU)
    *_, last = Trainer(
        state=state,
        batches=batches(),
        config=config,
        validate=no_score,
        validation_seconds=5.0,
        clock=Ticking(0.05),
    ).run()
    assert isinstance(last, Evaluated)
    assert 94.0 < state.seconds <= 100.5


class Moving(Ticking):
    """A clock that can also be advanced."""

    later = 0.0

    def __call__(self) -> float:
        return super().__call__() + self.later


@pytest.mark.parametrize("last_seconds", [20.0, 1.0])
def test_a_budget_of_time_reserves_as_much_as_the_consumer_took_before(last_seconds: float) -> None:
    """To save, above all. However quick the last save is, no step follows it."""
    config = replace(CONFIG, steps=None, seconds=100.0, validations=2)
    state, clock, steps = TrainState.new(MODEL, config, CPU), Moving(0.05), []
    for event in Trainer(state=state, batches=batches(), config=config, validate=no_score, clock=clock).run():
        if isinstance(event, Evaluated):
            steps.append(event.step)
            clock.later += 20.0 if len(steps) == 1 else last_seconds
    assert len(steps) == 2
    assert state.step == steps[-1]
    assert clock() == pytest.approx(80.0 + last_seconds, abs=2.0)


@dataclass(frozen=True)
class Leading(ProcessGroup):
    """The main process of several; it records what it broadcasts."""

    messages: list[Any] = field(default_factory=list)

    def broadcast(self, compute: Callable[[], Any]) -> Any:
        self.messages.append(compute())
        return self.messages[-1]

    broadcast_number = broadcast


@dataclass(frozen=True)
class Following(ProcessGroup):
    """Another process, which gets these messages; it neither validates nor decides by the clock."""

    rank: int = 1
    messages: Iterator[Any] = field(default_factory=lambda: iter(()))

    def shard(self, batch_size: int) -> slice:
        return slice(0, batch_size)

    def broadcast(self, compute: Callable[[], Any]) -> Any:
        return next(self.messages)

    broadcast_number = broadcast


@pytest.mark.parametrize("patience", [None, 1])
@pytest.mark.parametrize("validations", [1, 2, 3, 9])
def test_every_process_gets_all_broadcasts_wherever_the_run_is_ended(
    validations: int, patience: int | None
) -> None:
    """Also at the last validation, after which the others would end by themselves."""
    config = replace(CONFIG, patience=patience)
    leader = Leading()
    events = Trainer(
        state=TrainState.new(MODEL, config, CPU),
        batches=batches(),
        config=config,
        validate=no_score,
        group=leader,
    ).run()
    seen = 0
    for event in events:
        seen += isinstance(event, Evaluated)
        if seen == validations:
            events.close()
    follower = Following(messages=iter(leader.messages))
    list(
        Trainer(
            state=TrainState.new(MODEL, config, CPU),
            batches=batches(),
            config=config,
            validate=no_score,
            group=follower,
        ).run()
    )
    assert next(follower.messages, "nothing") == "nothing"


def test_a_process_that_loads_an_older_state_has_the_same_budget() -> None:
    """The main process has used more time since it saved: its validations are those of all."""
    config, leader = replace(CONFIG, steps=None, seconds=100.0, validations=10), Leading()
    states = [TrainState.new(MODEL, config, CPU) for _ in range(2)]
    for state, state.seconds in zip(states, (39.0, 61.0), strict=True):
        state.validations = 10
    list(
        Trainer(
            state=states[1],
            batches=batches(),
            config=config,
            validate=no_score,
            clock=Ticking(0.2),
            group=leader,
        ).run()
    )
    follower = Following(messages=iter(leader.messages))
    list(Trainer(state=states[0], batches=batches(), config=config, validate=no_score, group=follower).run())
    assert next(follower.messages, "nothing") == "nothing"
    assert states[0].step == states[1].step


def test_the_warm_up_begins_at_the_first_step_however_long_the_planning_took() -> None:
    config = replace(CONFIG, steps=None, seconds=100.0, warmup=0.1)
    state = TrainState.new(MODEL, config, CPU)
    state.seconds = 40.0
    events = Trainer(
        state=state, batches=batches(), config=config, validate=no_score, clock=Ticking(0.05)
    ).run()
    steps = [event for event in events if isinstance(event, Stepped)]
    assert steps[0].learning_rate < 0.1 * config.learning_rate
    assert max(event.learning_rate for event in steps) > 0.9 * config.learning_rate
    assert steps[-1].learning_rate < 0.05 * config.learning_rate


def test_the_limit_that_is_reached_first_ends_the_run() -> None:
    config = replace(CONFIG, steps=7, seconds=1e9)
    state = TrainState.new(MODEL, config, CPU)
    list(Trainer(state=state, batches=batches(), config=config, validate=no_score).run())
    assert state.step == 7


def test_the_shortest_time_still_allows_a_step_and_a_validation() -> None:
    config = replace(CONFIG, steps=None, seconds=1e-3)
    state = TrainState.new(MODEL, config, CPU)
    state.seconds = 10.0
    events = list(Trainer(state=state, batches=batches(), config=config, validate=no_score).run())
    assert state.step == 1
    assert isinstance(events[-1], Evaluated)


def test_the_best_weights_are_kept() -> None:
    scores = iter([2.0, 1.0, 1.5])
    seen: list[list[Tensor]] = []

    def validate(model: RNNLanguageModel) -> Score:
        seen.append(weights(model))
        return Score(next(scores), 1, 1, 1, 1)

    state = TrainState.new(MODEL, CONFIG, CPU)
    events = [
        event
        for event in Trainer(state=state, batches=batches(), config=CONFIG, validate=validate).run()
        if isinstance(event, Evaluated)
    ]
    assert [event.best for event in events] == [True, True, False]
    assert state.best is not None
    assert state.best.step == 40
    assert all(torch.equal(a, b) for a, b in zip(state.best.weights.values(), seen[1], strict=True))


def test_a_nan_score_is_never_the_best() -> None:
    state = TrainState.new(MODEL, CONFIG, CPU)
    events = Trainer(
        state=state, batches=batches(), config=CONFIG, validate=lambda model: Score(float("nan"), 1, 1, 1, 1)
    ).run()
    assert not any(event.best for event in events if isinstance(event, Evaluated))
    assert state.best is None


def test_the_same_seed_gives_the_same_weights() -> None:
    states = [TrainState.new(MODEL, CONFIG, CPU) for _ in range(2)]
    for state in states:
        list(Trainer(state=state, batches=batches(), config=CONFIG, validate=no_score).run())
    for a, b in zip(weights(states[0].model), weights(states[1].model), strict=True):
        assert torch.equal(a, b)


def test_a_step_whose_gradient_is_not_finite_is_skipped() -> None:
    state = TrainState.new(MODEL, CONFIG, CPU)
    train_step(state, batches()[0], CONFIG, 0.01)
    before = weights(state.model)
    state.hidden_state = state.hidden_state.map(lambda tensor: torch.full_like(tensor, torch.inf))
    train_step(state, batches()[1], CONFIG, 0.01)
    assert (state.step, state.skipped_steps) == (2, 1)
    assert all(torch.equal(a, b) for a, b in zip(before, weights(state.model), strict=True))
    assert not any(tensor.any() for tensor in state.hidden_state.tensors()), "the state is reset"
    train_step(state, batches()[2], CONFIG, 0.01)
    assert state.skipped_steps == 1


def test_the_hidden_state_is_carried_to_the_next_batch_and_detached() -> None:
    state = TrainState.new(MODEL, CONFIG, CPU)
    train_step(state, batches()[0], CONFIG, 0.01)
    carried = state.hidden_state
    assert any(tensor.any() for tensor in carried.tensors())
    assert not any(tensor.requires_grad for tensor in carried.tensors())
    with torch.no_grad():
        inputs = torch.from_numpy(batches()[1].inputs)
        fresh, _ = state.model(inputs, state.model.initial_state(4))
        after, _ = state.model(inputs, carried)
    assert not torch.allclose(fresh, after)


def test_gradients_are_clipped_to_the_maximum_norm() -> None:
    config = replace(CONFIG, gradient_clip=1e-3)
    state = TrainState.new(MODEL, config, CPU)
    norm = train_step(state, batches()[0], config, 0.01).gradient_norm
    clipped = torch.linalg.vector_norm(
        torch.stack([p.grad.norm() for p in state.model.parameters() if p.grad is not None])
    )
    assert norm > 1e-3
    assert float(clipped) == pytest.approx(1e-3, rel=1e-2)


def test_bfloat16_learns_the_same_pattern() -> None:
    config = replace(CONFIG, precision="bf16")
    state = TrainState.new(MODEL, config, CPU)
    events = [
        event
        for event in Trainer(state=state, batches=batches(), config=config, validate=no_score).run()
        if isinstance(event, Evaluated)
    ]
    assert events[-1].train_nats_per_token < 0.1
    assert all(parameter.dtype == torch.float32 for parameter in state.model.parameters())


def test_progress_is_reported() -> None:
    state = TrainState.new(MODEL, CONFIG, CPU)
    steps = [
        r
        for r in Trainer(
            state=state, batches=batches(), config=CONFIG, validate=no_score, clock=Ticking(0.06)
        ).run()
        if isinstance(r, Stepped)
    ]
    assert len(steps) > 10
    assert all(event.progress is not None and 0.0 < event.progress <= 1.0 for event in steps)
    assert all(event.gradient_norms.keys() == {"embedding", "layers.0", "output"} for event in steps)
    assert [event.step for event in steps] == sorted({event.step for event in steps})


def test_the_gradient_norms_of_the_layers_add_up_to_that_of_all_weights() -> None:
    state = TrainState.new(replace(MODEL, num_layers=2), CONFIG, CPU)
    step = train_step(state, batches()[0], CONFIG, 0.01)
    norms = gradient_norms_by_layer(state.model, step.gradient_norms)
    assert list(norms) == ["embedding", "layers.0", "layers.1", "output"]
    assert sum(norm**2 for norm in norms.values()) == pytest.approx(step.gradient_norm**2, rel=1e-5)


def test_a_larger_budget_warms_up_again() -> None:
    state = TrainState.new(MODEL, CONFIG, CPU)
    *_, last = (
        r
        for r in Trainer(
            state=state, batches=batches(), config=CONFIG, validate=no_score, clock=Ticking(0.2)
        ).run()
        if isinstance(r, Stepped)
    )
    assert last.learning_rate < 0.05 * CONFIG.learning_rate
    more = replace(CONFIG, steps=120, warmup=0.1)
    state.extend(Budget.of(more, reserve_seconds=0.0))
    rates = [
        event.learning_rate
        for event in Trainer(
            state=state, batches=batches(), config=more, validate=no_score, clock=Ticking(0.2)
        ).run()
        if isinstance(event, Stepped)
    ]
    assert state.step == 120
    assert rates[0] < 0.1 * CONFIG.learning_rate
    assert 0.3 * CONFIG.learning_rate < max(rates) < 0.4 * CONFIG.learning_rate, "the cosine at progress 0.6"
    assert rates[-1] < 0.05 * CONFIG.learning_rate


def test_the_time_before_the_first_step_does_not_count_in_the_time_left() -> None:
    """A thousand seconds of planning, then one at each reading of the clock: some hundred for sixty steps."""
    state = TrainState.new(MODEL, CONFIG, CPU)
    state.seconds = 1_000.0
    events = Trainer(state=state, batches=batches(), config=CONFIG, validate=no_score, clock=Eager()).run()
    left = [event.seconds_left for event in events if isinstance(event, Stepped)]
    assert left[0] is not None
    assert 60.0 < left[0] < 1_000.0
    assert left[-1] == 0.0


def test_further_time_warms_up_from_its_first_step() -> None:
    """The learning rate does not follow the time that is reserved for the last validation."""
    config = replace(CONFIG, steps=None, seconds=100.0, warmup=0.1)
    state = TrainState.new(MODEL, config, CPU)
    list(
        Trainer(
            state=state,
            batches=batches(),
            config=config,
            validate=no_score,
            validation_seconds=20.0,
            clock=Ticking(0.05),
        ).run()
    )
    more = replace(config, seconds=state.seconds + 100.0)
    state.extend(Budget.of(more, reserve_seconds=20.0))
    events = Trainer(
        state=state,
        batches=batches(),
        config=more,
        validate=no_score,
        validation_seconds=20.0,
        clock=Ticking(0.05),
    ).run()
    first = next(event for event in events if isinstance(event, Stepped))
    assert first.learning_rate < 0.05 * config.learning_rate


@pytest.mark.parametrize(("lr_lowered_at_step", "factor"), [(10, 1.0), (0, 0.25)])
def test_further_training_resets_the_factor_of_early_stopping_but_not_that_of_divergence(
    lr_lowered_at_step: int, factor: float
) -> None:
    state = TrainState.new(MODEL, CONFIG, CPU)
    state.lr_factor, state.lr_lowered_at_step = 0.25, lr_lowered_at_step
    state.extend(Budget.of(CONFIG, reserve_seconds=0.0))
    assert (state.lr_factor, state.lr_lowered_at_step) == (factor, 0)


def test_a_run_that_ended_before_its_first_step_warms_up_from_there() -> None:
    """All its time was spent before training."""
    config = replace(CONFIG, steps=None, seconds=100.0)
    state = TrainState.new(MODEL, config, CPU)
    state.seconds = 40.0
    state.extend(Budget.of(config, reserve_seconds=0.0))
    assert state.warmup_from == 0.0


@pytest.mark.parametrize(
    ("saving", "steps"),
    [
        ({"save_steps": 25}, [25, 50]),
        ({"save_steps": None, "save_seconds": 1e9}, []),
        ({"save_steps": 25, "save_seconds": 1e-9}, [25, 50]),
    ],
    ids=str,
)
def test_checkpoints_are_due_as_often_as_configured(saving: dict[str, Any], steps: list[int]) -> None:
    config = replace(CONFIG, **saving)
    events = Trainer(
        state=TrainState.new(MODEL, config, CPU),
        batches=batches(),
        config=config,
        validate=no_score,
        clock=Eager(),
    ).run()
    assert [event.step for event in events if isinstance(event, CheckpointDue)] == steps
