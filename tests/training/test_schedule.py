"""The rate over the budget."""

import pytest

from rnncli.training.config import TrainConfig
from rnncli.training.schedule import learning_rate

CONFIG = TrainConfig(steps=100, learning_rate=0.1, warmup=0.1)


def test_the_rate_rises_then_falls_to_near_zero() -> None:
    rates = [learning_rate(progress / 100, CONFIG) for progress in range(101)]
    peak = rates.index(max(rates))
    assert 5 <= peak <= 10
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert 0.0 < rates[-1] <= 0.1 * 0.011


def test_half_way_the_cosine_stands_at_half() -> None:
    assert learning_rate(0.5, CONFIG) == pytest.approx(0.1 * (0.01 + 0.99 * 0.5))


def test_the_first_step_already_learns() -> None:
    assert learning_rate(0.0, CONFIG) > 0.0


def test_without_warm_up_the_first_rate_is_the_highest() -> None:
    assert learning_rate(0.0, TrainConfig(steps=1, learning_rate=0.1, warmup=0.0)) == pytest.approx(0.1)
