"""Successive halving: who is tried, for how long, and who wins."""

import sys
from collections import Counter

import pytest

from rnncli.errors import ConfigError
from rnncli.training.halving import Candidate, Trial, ranked, search


def bits(candidate: Candidate, seconds: float) -> float:
    """gru is best, wide is better than narrow, and time helps everybody alike."""
    return (
        3.0
        - 0.5 * (candidate.cell == "gru")
        - candidate.hidden_size / 10_000
        + 0.1 * candidate.num_layers
        - seconds / 10_000
    )


def test_every_cell_is_tried_and_the_best_third_for_three_times_as_long() -> None:
    trials = list(search(["char", "subword"], 180.0, bits, seed=1))
    counts = Counter(trial.seconds for trial in trials)
    assert counts == {10.0: 9, 30.0: 3}
    assert sum(trial.seconds for trial in trials) == pytest.approx(180.0)
    first = [trial for trial in trials if trial.seconds == 10.0]
    assert {trial.candidate.cell for trial in first} == {"lstm", "gru", "rnn", "mingru", "minlstm", "rglru"}
    assert len({trial.candidate for trial in first}) == 9
    best = sorted(first, key=lambda trial: trial.bits_per_character)[:3]
    assert {trial.candidate for trial in trials[9:]} == {trial.candidate for trial in best}
    assert ranked(trials)[0].candidate.cell == "gru"


def test_more_time_is_for_more_candidates() -> None:
    trials = list(search(["char"], 3600.0, bits, seed=1))
    counts = sorted(Counter(round(trial.seconds, 3) for trial in trials).items())
    assert [number for _, number in counts] == [27, 9, 3]
    assert [round(seconds / counts[0][0]) for seconds, _ in counts] == [1, 3, 9]
    assert sum(trial.seconds for trial in trials) == pytest.approx(3600.0)


def test_later_candidates_are_drawn_where_good_ones_were() -> None:
    """By chance one cell in six would be gru."""
    drawn = [
        trial.candidate.cell
        for seed in range(4)
        for trial in list(search(["char"], 3600.0, bits, seed))[6:27]
    ]
    assert drawn.count("gru") > 1.5 * len(drawn) / 6


def test_what_cannot_be_trained_is_not_tried_again() -> None:
    def train(candidate: Candidate, seconds: float) -> float:
        return float("inf") if candidate.cell != "rnn" else bits(candidate, seconds)

    trials = list(search(["char"], 180.0, train, seed=1))
    assert all(trial.candidate.cell == "rnn" for trial in trials[9:])
    assert ranked(trials)[0].candidate.cell == "rnn"


def test_of_a_candidate_the_longest_trial_counts() -> None:
    one, two = Candidate("char", "gru", 1, 128), Candidate("char", "lstm", 1, 128)
    trials = [Trial(one, 1.0, 2.0), Trial(two, 1.0, 1.9), Trial(one, 3.0, 1.95)]
    assert ranked(trials) == [trials[2], trials[1]]


def test_the_same_seed_draws_the_same() -> None:
    first, second = (list(search(["char"], 180.0, bits, seed=5)) for _ in range(2))
    assert first == second


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigError, match="needs optuna") as raised:
        next(search(["char"], 10.0, bits, seed=1))
    assert "rnncli[tune]" in raised.value.hint
