"""What the planner chooses for line-by-line training, on a machine whose throughput is given."""

from dataclasses import replace
from typing import Any

import pytest

from rnncli.nn.config import ModelConfig
from rnncli.training.config import TrainConfig
from rnncli.training.cost_model import CorpusSize, LineSize, step_tokens
from rnncli.training.hardware import HardwareProfile
from rnncli.training.planner import Plan, make_plan
from tests.training.options import overrides_of

LAPTOP = HardwareProfile(30_000.0, "cpu")
BOOK = CorpusSize("book.txt", "utf-8", "char", 65, 1_000_000, 110_000)
NAMES = CorpusSize("names.txt", "utf-8", "char", 28, 205_000, 23_000, LineSize(29_000, 16))
PAGES = CorpusSize("pages.txt", "utf-8", "char", 90, 4_000_000, 400_000, LineSize(4_000, 30_000))
FEW = CorpusSize("few.txt", "utf-8", "char", 20, 100, 10, LineSize(9, 14))
USUAL = 2048


def planned(corpus: CorpusSize = NAMES, profile: HardwareProfile = LAPTOP, **settings: Any) -> Plan:
    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        return profile.tokens_per_second

    return make_plan(corpus, overrides_of(settings), profile, measure)


def test_a_step_has_a_whole_batch_of_tokens_of_a_stream_or_of_mean_lines() -> None:
    assert step_tokens(BOOK, 32, 64) == 2048
    assert step_tokens(NAMES, 32, 64) == pytest.approx(32 * 205_000 / 29_000)
    assert step_tokens(PAGES, 32, 64) == 2048, "a segment of a long line is no longer than bptt"


def test_short_lines_are_not_divided_and_fill_large_batches() -> None:
    plan = planned(NAMES)
    assert plan.training.bptt == 16, "the longest line"
    assert plan.training.batch_size > TrainConfig.batch_size
    assert USUAL / 2 < step_tokens(NAMES, plan.training.batch_size, 16) <= USUAL


def test_long_lines_are_divided_and_fill_smaller_batches() -> None:
    plan = planned(PAGES)
    assert plan.training.bptt == 256
    assert plan.training.batch_size == USUAL // 256


@pytest.mark.parametrize("corpus", [NAMES, PAGES, FEW], ids=lambda corpus: corpus.name)
def test_an_epoch_has_eight_batches_or_batches_of_one(corpus: CorpusSize) -> None:
    assert corpus.lines is not None
    chosen = planned(corpus).training.batch_size
    assert chosen == 1 or 8 * chosen <= corpus.lines.count


def test_a_single_line_can_be_planned() -> None:
    plan = planned(CorpusSize("one.txt", "utf-8", "char", 20, 12, 3, LineSize(1, 12)))
    assert (plan.training.batch_size, plan.training.bptt) == (1, 12)


def test_a_given_batch_shape_is_used() -> None:
    plan = planned(NAMES, batch_size=7, bptt=5)
    assert (plan.training.batch_size, plan.training.bptt) == (7, 5)
    half = planned(NAMES, bptt=4)
    assert half.training.bptt == 4
    assert step_tokens(NAMES, half.training.batch_size, 4) <= USUAL


def test_epochs_of_lines_become_steps() -> None:
    plan = planned(NAMES, epochs=3.0, batch_size=100)
    assert plan.training.steps == pytest.approx(3 * 290, abs=3)
    assert plan.planned.epochs == pytest.approx(3.0, rel=0.01)
    assert plan.planned.train_tokens == pytest.approx(3 * 205_000, rel=0.01)


def test_enough_epochs_of_lines_end_the_run_before_its_time() -> None:
    plan = planned(NAMES, seconds=3600.0)
    assert plan.training.steps is not None
    assert plan.planned.epochs == pytest.approx(20.0, rel=0.02)
    assert plan.planned.seconds < 3600.0


def test_the_throughput_is_measured_with_mean_lines_and_without_their_padding() -> None:
    lengths: list[int] = []

    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        lengths.append(training.bptt)
        return 16_000.0

    overrides = overrides_of({"steps": 100, "precision": "fp32"})
    lines = replace(NAMES, train_tokens=5 * 29_000)
    plan = make_plan(lines, overrides, LAPTOP, measure)
    assert lengths == [8], "lines of 5 take up a multiple of 8"
    assert plan.planned.tokens_per_second == pytest.approx(16_000 * 5 / 8)
    lengths.clear()
    assert make_plan(BOOK, overrides, LAPTOP, measure).planned.tokens_per_second == 16_000.0
    assert lengths == [TrainConfig.bptt]


def test_a_run_of_lines_with_a_budget_of_steps_does_not_depend_on_the_machine() -> None:
    slow, fast = (planned(NAMES, steps=500, profile=HardwareProfile(speed, "cpu")) for speed in (100.0, 1e6))
    assert (slow.model, slow.training) == (fast.model, fast.training)
