"""Architecture search by successive halving: which candidates are tried, how long, and which is best."""

import math
import sys
from collections import Counter
from collections.abc import Callable

import pytest

from rnncli.errors import MissingPackageError
from rnncli.nn.cell_registry import CELLS
from rnncli.training.architecture_search import Candidate, Trial, TrialResult, ranked, search


def bits(candidate: Candidate, seconds: float) -> float:
    """A score in which gru is best, a large hidden size is better, and time helps all alike."""
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
    """Search with a clock that only training advances, `late` times as far as it should."""
    now = [0.0]

    def train(candidate: Candidate, seconds: float) -> TrialResult:
        now[0] += seconds * late
        return TrialResult(bits(candidate, seconds), seconds)

    return list(search(levels, seconds, train, clock=lambda: now[0], seed=seed))


def trials_by_seconds(found: list[Trial]) -> dict[float, int]:
    return dict(Counter(round(trial.result.seconds, 6) for trial in found))


def test_every_cell_is_tried_and_the_best_third_for_three_times_as_long() -> None:
    found = trials(180.0, levels=("char", "subword"))
    assert trials_by_seconds(found) == {10.0: 9, 30.0: 3}
    first = [trial for trial in found if trial.rung == 0]
    assert {trial.candidate.cell for trial in first} == set(CELLS)
    assert len({trial.candidate for trial in first}) == 9
    best = sorted(first, key=lambda trial: trial.result.bits_per_character)[:3]
    assert {trial.candidate for trial in found[9:]} == {trial.candidate for trial in best}
    assert ranked(found)[0].candidate.cell == "gru"


def test_more_time_is_for_more_candidates() -> None:
    counts = sorted(trials_by_seconds(trials(3600.0)).items())
    assert [number for _, number in counts] == [27, 9, 3]
    assert [round(seconds / counts[0][0]) for seconds, _ in counts] == [1, 3, 9]
    assert sum(seconds * number for seconds, number in counts) == pytest.approx(3600.0)


def test_no_more_candidates_are_tried_than_there_are() -> None:
    counts = trials_by_seconds(trials(100 * 3600.0))
    assert max(counts.values()) <= len(CELLS) * 3 * 6
    assert sum(seconds * number for seconds, number in counts.items()) == pytest.approx(360_000.0, rel=0.01)


def test_candidates_that_take_too_long_leave_less_time_for_the_others() -> None:
    found = trials(180.0, late=1.5)
    assert sum(1.5 * trial.result.seconds for trial in found) < 180.0 * 1.3
    assert {trial.rung for trial in found} == {0, 1}


def test_later_candidates_are_sampled_near_good_ones() -> None:
    """Uniform sampling would give one gru in seven."""
    sampled = [trial.candidate.cell for seed in range(4) for trial in trials(3600.0, seed)[len(CELLS) : 27]]
    assert sampled.count("gru") > 1.5 * len(sampled) / len(CELLS)


def test_a_candidate_that_cannot_be_trained_is_not_tried_again_and_not_ranked() -> None:
    def only_rnn(candidate: Candidate, seconds: float) -> float:
        return math.inf if candidate.cell != "rnn" else bits(candidate, seconds)

    found = trials(180.0, bits=only_rnn)
    assert all(trial.candidate.cell == "rnn" for trial in found[9:])
    assert {trial.candidate.cell for trial in ranked(found)} == {"rnn"}


def test_the_last_successful_trial_of_a_candidate_counts() -> None:
    one, two = Candidate("char", "gru", 1, 128), Candidate("char", "lstm", 1, 128)
    found = [
        Trial(one, 0, TrialResult(2.0, 1.0)),
        Trial(two, 0, TrialResult(1.9, 1.0)),
        Trial(one, 1, TrialResult(1.95, 3.0)),
        Trial(two, 1, TrialResult(math.inf, 3.0)),
    ]
    assert ranked(found) == [found[2], found[1]]


def test_the_same_seed_gives_the_same_search() -> None:
    for seed in (5, 2**63 - 1):
        assert trials(180.0, seed) == trials(180.0, seed)


def test_without_optuna_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingPackageError, match="needs optuna") as raised:
        trials(10.0)
    assert "rnncli[tune]" in raised.value.hint
