"""Successive halving: who is tried, for how long, and who wins."""

import math
import sys
from collections import Counter
from collections.abc import Callable
from typing import get_args

import pytest

from rnncli.errors import ConfigError
from rnncli.nn.config import Cell
from rnncli.training.architecture_search import Candidate, Outcome, Trial, ranked, search

CELLS = get_args(Cell)


def bits(candidate: Candidate, seconds: float) -> float:
    """gru is best, wide is better than narrow, and time helps everybody alike."""
    return (
        3.0
        - 0.5 * (candidate.cell == "gru")
        - candidate.hidden_size / 10_000
        + 0.1 * candidate.num_layers
        - seconds / 10_000
    )


def trials(
    seconds: float,
    seed: int = 1,
    levels: tuple[str, ...] = ("char",),
    bits: Callable[[Candidate, float], float] = bits,
    late: float = 1.0,
) -> list[Trial]:
    """By a clock that only training moves, `late` times as far as it should."""
    now = [0.0]

    def train(candidate: Candidate, share: float) -> Outcome:
        now[0] += share * late
        return Outcome(bits(candidate, share), share)

    return list(search(levels, seconds, train, lambda: now[0], seed))


def shares(found: list[Trial]) -> dict[float, int]:
    return dict(Counter(round(trial.outcome.seconds, 6) for trial in found))


def test_every_cell_is_tried_and_the_best_third_for_three_times_as_long() -> None:
    found = trials(180.0, levels=("char", "subword"))
    assert shares(found) == {10.0: 9, 30.0: 3}
    first = [trial for trial in found if trial.rung == 0]
    assert {trial.candidate.cell for trial in first} == set(CELLS)
    assert len({trial.candidate for trial in first}) == 9
    best = sorted(first, key=lambda trial: trial.outcome.bits_per_character)[:3]
    assert {trial.candidate for trial in found[9:]} == {trial.candidate for trial in best}
    assert ranked(found)[0].candidate.cell == "gru"


def test_more_time_is_for_more_candidates() -> None:
    counts = sorted(shares(trials(3600.0)).items())
    assert [number for _, number in counts] == [27, 9, 3]
    assert [round(seconds / counts[0][0]) for seconds, _ in counts] == [1, 3, 9]
    assert sum(seconds * number for seconds, number in counts) == pytest.approx(3600.0)


def test_no_more_are_tried_than_there_are() -> None:
    counts = shares(trials(100 * 3600.0))
    assert max(counts.values()) <= len(CELLS) * 3 * 6
    assert sum(seconds * number for seconds, number in counts.items()) == pytest.approx(360_000.0, rel=0.01)


def test_candidates_that_take_longer_leave_less_for_others_and_the_end_is_kept() -> None:
    found = trials(180.0, late=1.5)
    assert sum(1.5 * trial.outcome.seconds for trial in found) < 180.0 * 1.3
    assert {trial.rung for trial in found} == {0, 1}


def test_later_candidates_are_drawn_where_good_ones_were() -> None:
    """By chance one cell in seven would be gru."""
    drawn = [trial.candidate.cell for seed in range(4) for trial in trials(3600.0, seed)[len(CELLS) : 27]]
    assert drawn.count("gru") > 1.5 * len(drawn) / len(CELLS)


def test_what_cannot_be_trained_is_not_tried_again_and_does_not_win() -> None:
    def only_rnn(candidate: Candidate, seconds: float) -> float:
        return math.inf if candidate.cell != "rnn" else bits(candidate, seconds)

    found = trials(180.0, bits=only_rnn)
    assert all(trial.candidate.cell == "rnn" for trial in found[9:])
    assert {trial.candidate.cell for trial in ranked(found)} == {"rnn"}


def test_of_a_candidate_the_last_trial_that_gave_anything_counts() -> None:
    one, two = Candidate("char", "gru", 1, 128), Candidate("char", "lstm", 1, 128)
    found = [
        Trial(one, 0, Outcome(2.0, 1.0)),
        Trial(two, 0, Outcome(1.9, 1.0)),
        Trial(one, 1, Outcome(1.95, 3.0)),
        Trial(two, 1, Outcome(math.inf, 3.0)),
    ]
    assert ranked(found) == [found[2], found[1]]


def test_the_same_seed_draws_the_same_and_may_be_any() -> None:
    for seed in (5, 2**63 - 1):
        assert trials(180.0, seed) == trials(180.0, seed)


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match="needs optuna") as raised:
        trials(10.0)
    assert "rnncli[tune]" in raised.value.hint
