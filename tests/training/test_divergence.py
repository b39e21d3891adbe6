"""Trouble: windows that are passed over, divergence, and the end of what patience allows."""

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from rnncli.data.batching import Lanes
from rnncli.errors import ConfigError
from rnncli.events import Evaluated, Noted, Stepped
from rnncli.nn.config import ModelConfig
from rnncli.nn.language_model import LanguageModel
from rnncli.results import Score
from rnncli.training import divergence, trainer
from rnncli.training.config import TrainConfig
from rnncli.training.step import Run, Step, train_step
from rnncli.training.trainer import train
from tests.conftest import Eager

CPU = torch.device("cpu")
MODEL = ModelConfig(vocab_size=4, hidden_size=16, embedding_size=8, dropout=0.1)
CONFIG = TrainConfig(steps=60, batch_size=4, bptt=8, learning_rate=0.02, validations=6)
IDS = np.tile(np.array([0, 1, 2, 3, 3, 1], np.uint8), 100)
LANES = Lanes(IDS, MODEL.start, 4, 8)
OPEN = replace(CONFIG, steps=None, patience=2)


def scores(*nats: float) -> Iterator[Score]:
    for value in nats:
        yield Score(value, 1, 1, 1, 1)


class Scripted:
    """Validations with these scores; the weights that each of them saw are kept."""

    def __init__(self, *nats: float) -> None:
        self.scores = scores(*nats)
        self.seen: list[dict[str, torch.Tensor]] = []

    def __call__(self, model: LanguageModel) -> Score:
        self.seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return next(self.scores)


def poisoned(steps: set[int]) -> object:
    """train_step, but the memory it begins with is infinite at these steps."""

    def step(run: Run, *rest: object) -> Step:
        if run.step in steps:
            run.state = run.state.map(lambda tensor: torch.full_like(tensor, torch.inf))
        return train_step(run, *rest)  # type: ignore[arg-type]

    return step


def test_a_few_bad_windows_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trainer, "train_step", poisoned({5, 7, 20, 21, 22}))
    run = Run.new(MODEL, CONFIG, CPU)
    reports = list(train(run, LANES, CONFIG, Scripted(*[1.0] * 6)))
    assert run.skipped_steps == 5
    assert run.rate_factor == 1.0
    assert not any(isinstance(report, Noted) for report in reports)
    evaluated = [report for report in reports if isinstance(report, Evaluated)]
    assert all(math.isfinite(report.train_nats_per_token) for report in evaluated), "of what was learned from"


def test_many_bad_windows_in_a_row_lead_back_to_the_best_weights_at_half_the_rate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trainer, "train_step", poisoned(set(range(23, 28))))
    run, validate = Run.new(MODEL, CONFIG, CPU), Scripted(1.2, 1.1, 1.0, 0.9, 0.8, 0.7)
    reports = []
    for report in train(run, LANES, CONFIG, validate, clock=Eager()):
        reports.append(report)
        if isinstance(report, Noted):
            for name, tensor in run.model.state_dict().items():
                assert torch.equal(tensor, validate.seen[1][name]), name
            assert not any(tensor.any() for tensor in run.state.tensors())
    notes = [report.message for report in reports if isinstance(report, Noted)]
    assert notes == [
        "training diverged at step 28: it goes on from the weights of step 20, at 0.5 of the learning rate"
    ]
    rates = {report.step: report.learning_rate for report in reports if isinstance(report, Stepped)}
    assert rates[29] < rates[30] < 0.5 * CONFIG.learning_rate, "it rises again, to less"
    assert run.rate_factor == 0.5


def test_divergence_before_the_first_validation_leads_back_to_the_first_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trainer, "train_step", poisoned(set(range(2, 7))))
    run, first = Run.new(MODEL, CONFIG, CPU), Run.new(MODEL, CONFIG, CPU)
    for report in train(run, LANES, CONFIG, Scripted(*[1.0] * 6)):
        if isinstance(report, Noted):
            assert "from the weights of step 0," in report.message
            for name, tensor in run.model.state_dict().items():
                assert torch.equal(tensor, first.model.state_dict()[name]), name
            break
    else:
        pytest.fail("nobody noticed")


@pytest.mark.parametrize(("nats", "norm"), [(math.inf, 1.0), (math.nan, 1.0), (1.0, math.nan)])
def test_nothing_is_learned_where_loss_or_gradient_are_no_numbers(nats: float, norm: float) -> None:
    assert Step(1.0, torch.zeros(1), 1.0).learned
    assert not Step(nats, torch.zeros(1), norm).learned


@pytest.mark.parametrize(
    ("config", "scored", "factor"),
    [(CONFIG, (1.0, math.nan), 0.5), (replace(OPEN, patience=1), (1.0, 1.1), 0.3)],
    ids=["diverged", "nothing better"],
)
def test_where_a_validation_is_saved_the_run_has_gone_back_already(
    config: TrainConfig, scored: tuple[float, ...], factor: float
) -> None:
    """Whoever goes on from there must not go on from ruined weights."""
    run, validate = Run.new(MODEL, config, CPU), Scripted(*scored)
    evaluated = (r for r in train(run, LANES, config, validate) if isinstance(r, Evaluated))
    next(evaluated)
    assert not next(evaluated).best
    assert run.rate_factor == factor
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(tensor, validate.seen[0][name]), name


@pytest.mark.parametrize("worse", [math.nan, math.inf, 4.0])
def test_a_validation_far_worse_than_guessing_is_divergence(worse: float) -> None:
    run = Run.new(MODEL, CONFIG, CPU)
    reports = train(run, LANES, CONFIG, Scripted(1.0, worse, 0.9, 0.8, 0.7, 0.6))
    notes = [report.message for report in reports if isinstance(report, Noted)]
    assert notes == [
        "training diverged at step 20: it goes on from the weights of step 10, at 0.5 of the learning rate"
    ]


def test_a_rate_far_too_high_is_lowered_until_something_is_learned() -> None:
    """A rate of 50 sends every weight away; the loss is finite all the time."""
    config = replace(CONFIG, steps=800, learning_rate=50.0, validations=40, warmup=0.0)
    run = Run.new(MODEL, config, CPU)

    def validate(model: LanguageModel) -> Score:
        with torch.no_grad():
            window = LANES[0]
            logits, _ = model(torch.from_numpy(window.inputs), model.initial_state(4))
            targets = torch.from_numpy(window.targets).flatten()
            nats = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets, reduction="sum")
        return Score(float(nats), window.tokens, 1, 1, 1)

    reports = list(train(run, LANES, config, validate))
    assert any(isinstance(report, Noted) for report in reports)
    assert run.rate_factor <= 0.25
    assert run.best is not None
    assert run.best.score is not None
    assert run.best.score.nats_per_token < math.log(4)


def test_patience_ends_a_run_before_its_budget() -> None:
    config = replace(CONFIG, patience=2)
    run = Run.new(MODEL, config, CPU)
    reports = list(train(run, LANES, config, Scripted(1.0, 0.9, 0.95, 0.93)))
    assert run.step == 40
    assert isinstance(reports[-1], Evaluated)
    assert run.best is not None
    assert run.best.step == 20


def test_without_a_budget_the_rate_falls_when_nothing_gets_better_and_then_the_run_ends() -> None:
    run, validate = Run.new(MODEL, OPEN, CPU), Scripted(1.0, 0.9, 1.0, 1.0, 0.8, 0.9, 0.9, 0.9, 0.9)
    messages, factors = [], []
    for report in train(run, LANES, OPEN, validate):
        if isinstance(report, Noted):
            messages.append(report.message)
            factors.append(run.rate_factor)
    assert messages == [
        "nothing better since step 200: it goes on from there, at 0.3 of the learning rate",
        "nothing better since step 500: it goes on from there, at 0.09 of the learning rate",
    ]
    assert factors == pytest.approx([0.3, 0.09])
    assert run.step == 900
    assert run.best is not None
    assert run.best.step == 500


def test_without_a_budget_there_is_no_progress_to_show() -> None:
    run = Run.new(MODEL, OPEN, CPU)
    reports = train(run, LANES, OPEN, Scripted(*[1.0] * 9), clock=Eager())
    assert {report.progress for report in reports if isinstance(report, Stepped)} == {None}


def test_a_run_needs_an_end() -> None:
    with pytest.raises(ConfigError, match="needs an end"):
        TrainConfig()


def test_the_lowest_rate_ends_it_too() -> None:
    run = Run.new(MODEL, OPEN, CPU)
    run.rate_factor, run.lowered_at_step = 0.005, 10
    assert divergence.lowered_in_vain(run)
