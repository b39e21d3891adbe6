"""The loop: it learns, it keeps its budget, it pauses whole, it survives a bad gradient."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rnncli.data.batching import Lanes
from rnncli.events import Evaluated, Savepoint, Stepped
from rnncli.nn.config import Cell, ModelConfig
from rnncli.nn.language_model import LanguageModel
from rnncli.results import Score
from rnncli.training.config import TrainConfig
from rnncli.training.distributed import Ranks
from rnncli.training.step import Run, norms_by_layer, train_step
from rnncli.training.trainer import resume_with, train
from tests.conftest import Eager

CPU = torch.device("cpu")
MODEL = ModelConfig(vocab_size=4, hidden_size=16, embedding_size=8, dropout=0.1)
CONFIG = TrainConfig(steps=60, batch_size=4, bptt=8, learning_rate=0.02, validations=3)
IDS = np.tile(np.array([0, 1, 2, 3, 3, 1], np.uint8), 100)


def lanes(config: TrainConfig = CONFIG) -> Lanes:
    return Lanes(IDS, MODEL.start, config.batch_size, config.bptt)


def no_score(model: LanguageModel) -> Score:
    return Score(
        nats=1e-6 * float(sum(p.detach().abs().sum() for p in model.parameters())),
        tokens=1,
        words=1,
        characters=1,
        bytes=1,
    )


class Ticking:
    """A clock on which every look takes `seconds`."""

    def __init__(self, seconds: float) -> None:
        self.instants = self._tick(seconds)

    def _tick(self, seconds: float) -> Iterator[float]:
        instant = 0.0
        while True:
            yield instant
            instant += seconds

    def __call__(self) -> float:
        return next(self.instants)


def weights(model: LanguageModel) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in model.parameters()]


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_a_pattern_is_learned(cell: Cell) -> None:
    run = Run.new(replace(MODEL, cell=cell), CONFIG, CPU)
    reports = [report for report in train(run, lanes(), CONFIG, no_score) if isinstance(report, Evaluated)]
    assert reports[0].train_nats_per_token > 0.2
    assert reports[-1].train_nats_per_token < 0.1


def test_a_budget_in_steps_is_kept_to_the_step_and_ends_with_a_validation() -> None:
    run = Run.new(MODEL, CONFIG, CPU)
    *_, last = train(run, lanes(), CONFIG, no_score)
    assert run.step == 60
    assert isinstance(last, Evaluated)
    assert last.step == 60


def test_validations_are_spread_evenly() -> None:
    run = Run.new(MODEL, CONFIG, CPU)
    steps = [report.step for report in train(run, lanes(), CONFIG, no_score) if isinstance(report, Evaluated)]
    assert steps == [20, 40, 60]


def test_a_budget_in_seconds_is_kept_with_room_for_the_last_validation() -> None:
    config = replace(CONFIG, steps=None, seconds=100.0)
    run = Run.new(MODEL, config, CPU)
    *_, last = train(run, lanes(), config, no_score, validation_seconds=5.0, clock=Ticking(0.05))
    assert isinstance(last, Evaluated)
    assert 94.0 < run.seconds <= 100.5


class Moving(Ticking):
    """One that also moves when it is told to."""

    later = 0.0

    def __call__(self) -> float:
        return super().__call__() + self.later


@pytest.mark.parametrize("last_seconds", [20.0, 1.0])
def test_the_end_of_a_time_has_room_for_what_was_done_with_the_report_before(last_seconds: float) -> None:
    """A save, above all. However quick the last one is, no step follows it."""
    config = replace(CONFIG, steps=None, seconds=100.0, validations=2)
    run, clock, steps = Run.new(MODEL, config, CPU), Moving(0.05), []
    for report in train(run, lanes(), config, no_score, clock=clock):
        if isinstance(report, Evaluated):
            steps.append(report.step)
            clock.later += 20.0 if len(steps) == 1 else last_seconds
    assert len(steps) == 2
    assert run.step == steps[-1]
    assert clock() == pytest.approx(80.0 + last_seconds, abs=2.0)


@dataclass(frozen=True)
class Leading(Ranks):
    """The first of several processes; all that it tells the others is kept."""

    messages: list[Any] = field(default_factory=list)

    def told(self, say: Callable[[], Any]) -> Any:
        self.messages.append(say())
        return self.messages[-1]

    number = told


@dataclass(frozen=True)
class Following(Ranks):
    """Another one, which hears these messages and no more; it neither validates nor reads the clock."""

    rank: int = 1
    messages: Iterator[Any] = field(default_factory=lambda: iter(()))

    def share(self, lanes: int) -> slice:
        return slice(0, lanes)

    def told(self, say: Callable[[], Any]) -> Any:
        return next(self.messages)

    number = told


@pytest.mark.parametrize("patience", [None, 1])
@pytest.mark.parametrize("validations", [1, 2, 3, 9])
def test_every_process_hears_all_that_the_first_says_wherever_it_is_ended(
    validations: int, patience: int | None
) -> None:
    """Also at the last validation, where the others would have ended by themselves."""
    config = replace(CONFIG, patience=patience)
    leader = Leading()
    reports = train(Run.new(MODEL, config, CPU), lanes(), config, no_score, ranks=leader)
    seen = 0
    for report in reports:
        seen += isinstance(report, Evaluated)
        if seen == validations:
            reports.close()
    follower = Following(messages=iter(leader.messages))
    list(train(Run.new(MODEL, config, CPU), lanes(), config, no_score, ranks=follower))
    assert next(follower.messages, "nothing") == "nothing"


def test_what_the_others_read_from_a_folder_is_no_other_budget() -> None:
    """The seconds of the first process have gone on since it wrote them: its validations are theirs."""
    config, leader = replace(CONFIG, steps=None, seconds=100.0, validations=10), Leading()
    runs = [Run.new(MODEL, config, CPU) for _ in range(2)]
    for run, run.seconds in zip(runs, (39.0, 61.0), strict=True):
        run.validations = 10
    list(train(runs[1], lanes(), config, no_score, clock=Ticking(0.2), ranks=leader))
    follower = Following(messages=iter(leader.messages))
    list(train(runs[0], lanes(), config, no_score, ranks=follower))
    assert next(follower.messages, "nothing") == "nothing"
    assert runs[0].step == runs[1].step


def test_the_rate_rises_from_the_first_step_however_long_the_planning_took() -> None:
    config = replace(CONFIG, steps=None, seconds=100.0, warmup=0.1)
    run = Run.new(MODEL, config, CPU)
    run.seconds = 40.0
    reports = train(run, lanes(), config, no_score, clock=Ticking(0.05))
    steps = [report for report in reports if isinstance(report, Stepped)]
    assert steps[0].learning_rate < 0.1 * config.learning_rate
    assert max(report.learning_rate for report in steps) > 0.9 * config.learning_rate
    assert steps[-1].learning_rate < 0.05 * config.learning_rate


def test_of_two_budgets_the_first_to_end_ends_the_run() -> None:
    config = replace(CONFIG, steps=7, seconds=1e9)
    run = Run.new(MODEL, config, CPU)
    list(train(run, lanes(), config, no_score))
    assert run.step == 7


def test_the_shortest_time_still_takes_a_step_and_validates() -> None:
    config = replace(CONFIG, steps=None, seconds=1e-3)
    run = Run.new(MODEL, config, CPU)
    run.seconds = 10.0
    reports = list(train(run, lanes(), config, no_score))
    assert run.step == 1
    assert isinstance(reports[-1], Evaluated)


def test_the_best_weights_are_kept_and_not_the_last() -> None:
    scores = iter([2.0, 1.0, 1.5])
    seen: list[list[Tensor]] = []

    def validate(model: LanguageModel) -> Score:
        seen.append(weights(model))
        return Score(next(scores), 1, 1, 1, 1)

    run = Run.new(MODEL, CONFIG, CPU)
    reports = [report for report in train(run, lanes(), CONFIG, validate) if isinstance(report, Evaluated)]
    assert [report.best for report in reports] == [True, True, False]
    assert run.best is not None
    assert run.best.step == 40
    assert all(torch.equal(a, b) for a, b in zip(run.best.weights.values(), seen[1], strict=True))


def test_a_score_that_is_not_a_number_is_never_the_best() -> None:
    run = Run.new(MODEL, CONFIG, CPU)
    reports = train(run, lanes(), CONFIG, lambda model: Score(float("nan"), 1, 1, 1, 1))
    assert not any(report.best for report in reports if isinstance(report, Evaluated))
    assert run.best is None


def test_the_same_seed_gives_the_same_weights() -> None:
    runs = [Run.new(MODEL, CONFIG, CPU) for _ in range(2)]
    for run in runs:
        list(train(run, lanes(), CONFIG, no_score))
    for a, b in zip(weights(runs[0].model), weights(runs[1].model), strict=True):
        assert torch.equal(a, b)


def test_a_step_whose_gradient_is_not_finite_leaves_the_weights_alone() -> None:
    run = Run.new(MODEL, CONFIG, CPU)
    train_step(run, lanes()[0], CONFIG, 0.01)
    before = weights(run.model)
    run.state = run.state.map(lambda tensor: torch.full_like(tensor, torch.inf))
    train_step(run, lanes()[1], CONFIG, 0.01)
    assert (run.step, run.skipped_steps) == (2, 1)
    assert all(torch.equal(a, b) for a, b in zip(before, weights(run.model), strict=True))
    assert not any(tensor.any() for tensor in run.state.tensors()), "the memory is clean again"
    train_step(run, lanes()[2], CONFIG, 0.01)
    assert run.skipped_steps == 1


def test_state_is_carried_from_window_to_window_and_cut_from_its_past() -> None:
    run = Run.new(MODEL, CONFIG, CPU)
    train_step(run, lanes()[0], CONFIG, 0.01)
    carried = run.state
    assert any(tensor.any() for tensor in carried.tensors())
    assert not any(tensor.requires_grad for tensor in carried.tensors())
    with torch.no_grad():
        window = torch.from_numpy(lanes()[1].inputs)
        fresh, _ = run.model(window, run.model.initial_state(4))
        after, _ = run.model(window, carried)
    assert not torch.allclose(fresh, after)


def test_gradients_are_clipped_to_their_longest_length() -> None:
    config = replace(CONFIG, gradient_clip=1e-3)
    run = Run.new(MODEL, config, CPU)
    norm = train_step(run, lanes()[0], config, 0.01).norm
    clipped = torch.linalg.vector_norm(
        torch.stack([p.grad.norm() for p in run.model.parameters() if p.grad is not None])
    )
    assert norm > 1e-3
    assert float(clipped) == pytest.approx(1e-3, rel=1e-2)


def test_bfloat16_learns_the_same_pattern() -> None:
    config = replace(CONFIG, precision="bf16")
    run = Run.new(MODEL, config, CPU)
    reports = [report for report in train(run, lanes(), config, no_score) if isinstance(report, Evaluated)]
    assert reports[-1].train_nats_per_token < 0.1
    assert all(parameter.dtype == torch.float32 for parameter in run.model.parameters())


def test_progress_is_reported_while_it_goes_on() -> None:
    run = Run.new(MODEL, CONFIG, CPU)
    steps = [r for r in train(run, lanes(), CONFIG, no_score, clock=Ticking(0.06)) if isinstance(r, Stepped)]
    assert len(steps) > 10
    assert all(report.progress is not None and 0.0 < report.progress <= 1.0 for report in steps)
    assert all(report.gradient_norms.keys() == {"embedding", "layers.0", "output"} for report in steps)
    assert [report.step for report in steps] == sorted({report.step for report in steps})


def test_the_norms_of_the_layers_are_parts_of_the_whole() -> None:
    run = Run.new(replace(MODEL, num_layers=2), CONFIG, CPU)
    step = train_step(run, lanes()[0], CONFIG, 0.01)
    norms = norms_by_layer(run.model, step.norms)
    assert list(norms) == ["embedding", "layers.0", "layers.1", "output"]
    assert sum(norm**2 for norm in norms.values()) == pytest.approx(step.norm**2, rel=1e-5)


def test_a_larger_budget_lets_the_rate_rise_again() -> None:
    run = Run.new(MODEL, CONFIG, CPU)
    *_, last = (
        r for r in train(run, lanes(), CONFIG, no_score, clock=Ticking(0.2)) if isinstance(r, Stepped)
    )
    assert last.learning_rate < 0.05 * CONFIG.learning_rate
    more = replace(CONFIG, steps=120, warmup=0.1)
    resume_with(run, more, 0.0)
    rates = [
        report.learning_rate
        for report in train(run, lanes(), more, no_score, clock=Ticking(0.2))
        if isinstance(report, Stepped)
    ]
    assert run.step == 120
    assert rates[0] < 0.1 * CONFIG.learning_rate
    assert 0.3 * CONFIG.learning_rate < max(rates) < 0.4 * CONFIG.learning_rate, "of the cosine at 0.6"
    assert rates[-1] < 0.05 * CONFIG.learning_rate


def test_what_was_prepared_before_the_first_step_is_no_measure_of_what_is_left() -> None:
    """A thousand seconds of planning, then a second every look: a few hundred for sixty steps."""
    run = Run.new(MODEL, CONFIG, CPU)
    run.seconds = 1_000.0
    reports = train(run, lanes(), CONFIG, no_score, clock=Eager())
    left = [report.seconds_left for report in reports if isinstance(report, Stepped)]
    assert left[0] is not None
    assert 60.0 < left[0] < 1_000.0
    assert left[-1] == 0.0


def test_further_time_lets_the_rate_rise_from_its_first_step_on() -> None:
    """What is kept for the last validation is none of the time that the rate follows."""
    config = replace(CONFIG, steps=None, seconds=100.0, warmup=0.1)
    run = Run.new(MODEL, config, CPU)
    list(train(run, lanes(), config, no_score, validation_seconds=20.0, clock=Ticking(0.05)))
    more = replace(config, seconds=run.seconds + 100.0)
    resume_with(run, more, 20.0)
    reports = train(run, lanes(), more, no_score, validation_seconds=20.0, clock=Ticking(0.05))
    first = next(report for report in reports if isinstance(report, Stepped))
    assert first.learning_rate < 0.05 * config.learning_rate


@pytest.mark.parametrize(("lowered_at_step", "factor"), [(10, 1.0), (0, 0.25)])
def test_further_training_has_the_rate_that_patience_lowered_but_not_that_of_divergence(
    lowered_at_step: int, factor: float
) -> None:
    run = Run.new(MODEL, CONFIG, CPU)
    run.rate_factor, run.lowered_at_step = 0.25, lowered_at_step
    resume_with(run, CONFIG, 0.0)
    assert (run.rate_factor, run.lowered_at_step) == (factor, 0)


def test_a_run_that_ended_before_its_first_step_warms_up_from_there() -> None:
    """Its seconds were all preparation."""
    config = replace(CONFIG, steps=None, seconds=100.0)
    run = Run.new(MODEL, config, CPU)
    run.seconds = 40.0
    resume_with(run, config, 0.0)
    assert run.warm_from == 0.0


@pytest.mark.parametrize(
    ("saving", "steps"),
    [
        ({"save_steps": 25}, [25, 50]),
        ({"save_steps": None, "save_seconds": 1e9}, []),
        ({"save_steps": 25, "save_seconds": 1e-9}, [25, 50]),
    ],
    ids=str,
)
def test_a_run_is_saved_as_often_as_was_said_and_no_more(saving: dict[str, Any], steps: list[int]) -> None:
    config = replace(CONFIG, **saving)
    reports = train(Run.new(MODEL, config, CPU), lanes(), config, no_score, clock=Eager())
    assert [report.step for report in reports if isinstance(report, Savepoint)] == steps
