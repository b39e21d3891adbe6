"""The budget of a run, without a run: progress, what is due, and the time that is left."""

import math

import pytest

from rnncli.training.budget import Budget, Position, steps_in_epochs
from rnncli.training.config import TrainConfig


def test_a_budget_takes_its_limits_from_the_configuration() -> None:
    config = TrainConfig(steps=10, seconds=5.0, validations=3, save_steps=2, save_seconds=7.0)
    assert Budget.of(config, reserve_seconds=1.0) == Budget(
        steps=10, seconds=5.0, validations=3, save_steps=2, save_seconds=7.0, reserve_seconds=1.0
    )


@pytest.mark.parametrize(("step", "progress"), [(0, 0.0), (25, 0.25), (100, 1.0), (150, 1.0)])
def test_progress_in_steps(step: int, progress: float) -> None:
    budget = Budget(steps=100)
    assert budget.progress(Position(step, seconds=1e9)) == progress
    assert budget.exhausted(Position(step, seconds=1e9)) == (progress == 1.0)


def test_progress_in_time_starts_at_the_first_step_and_ends_before_the_reserve() -> None:
    budget = Budget(seconds=100.0, reserve_seconds=30.0)
    progress = {seconds: budget.progress(Position(1, seconds, 20.0)) for seconds in (20.0, 45.0, 70.0, 99.0)}
    assert progress == {20.0: 0.0, 45.0: 0.5, 70.0: 1.0, 99.0: 1.0}


@pytest.mark.parametrize("reserve_seconds", [0.0, 5.0, 1e9])
@pytest.mark.parametrize("first_step_seconds", [0.0, 10.0, 1e9])
def test_a_time_that_is_too_short_allows_one_step_and_no_second_one(
    reserve_seconds: float, first_step_seconds: float
) -> None:
    budget = Budget(seconds=1e-3, reserve_seconds=reserve_seconds)
    assert budget.progress(Position(0, first_step_seconds, first_step_seconds)) == 0.0
    later = Position(1, first_step_seconds + 1.0, first_step_seconds)
    assert budget.exhausted(later)
    assert budget.seconds_left(later) == 0.0


def test_a_clock_that_goes_back_is_no_negative_progress() -> None:
    budget = Budget(seconds=100.0, validations=10)
    position = Position(5, seconds=8.0, first_step_seconds=10.0)
    assert budget.progress(position) == 0.0
    assert budget.validations_due(position, batches_per_epoch=7) == 0
    assert budget.seconds_left(position) is None


def test_the_first_limit_counts() -> None:
    budget = Budget(seconds=100.0, steps=10)
    assert budget.progress(Position(2, 50.0)) == 0.5
    assert budget.progress(Position(8, 50.0)) == 0.8


def test_an_open_ended_run_makes_no_progress() -> None:
    budget = Budget()
    assert budget.open_ended
    assert not Budget(steps=1).open_ended
    assert not Budget(seconds=1.0).open_ended
    assert budget.progress(Position(10**9, 1e9)) == 0.0
    assert budget.seconds_left(Position(10**9, 1e9)) is None


def test_the_time_left_is_that_at_the_pace_since_the_first_step() -> None:
    budget = Budget(steps=100)
    assert budget.seconds_left(Position(0, 50.0, 50.0)) is None
    assert budget.seconds_left(Position(25, 60.0, 50.0)) == pytest.approx(30.0)
    assert budget.seconds_left(Position(100, 90.0, 50.0)) == 0.0


def test_validations_are_due_evenly_and_the_last_at_the_end() -> None:
    budget = Budget(steps=60, validations=3)
    due = [budget.validations_due(Position(step, 0.0), batches_per_epoch=1) for step in (0, 19, 20, 40, 60)]
    assert due == [0, 0, 1, 2, 3]


@pytest.mark.parametrize(("batches_per_epoch", "interval"), [(1, 100), (300, 300), (10**6, 1_000)])
def test_an_open_ended_run_is_validated_about_once_per_epoch(batches_per_epoch: int, interval: int) -> None:
    for step in (0, interval - 1, interval, 5 * interval):
        due = Budget().validations_due(Position(step, 0.0), batches_per_epoch)
        assert due == step // interval


def test_saves_are_due_by_steps_or_else_by_time() -> None:
    by_steps = Budget(save_steps=5, save_seconds=1.0)
    assert [by_steps.save_due(Position(step, 0.0), 1e9) for step in (4, 5, 6)] == [False, True, False]
    by_time = Budget(save_seconds=60.0)
    assert [by_time.save_due(Position(1, 0.0), seconds) for seconds in (59.0, 60.0)] == [False, True]
    assert not Budget().save_due(Position(1, 0.0), math.inf)


@pytest.mark.parametrize(("epochs", "steps"), [(0.001, 1), (0.5, 10), (2.0, 40), (2.24, 45)])
def test_epochs_are_whole_steps_and_at_least_one(epochs: float, steps: int) -> None:
    assert steps_in_epochs(epochs, 20) == steps
