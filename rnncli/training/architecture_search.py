"""Which structure suits a text: many are trained for a little while, and the best of them for longer.

share of the time   1 1 1 1 1 1 1 1 1      each candidate once
                    3   3     3            the best third of them
                        9                  and so on, where there is time for more than nine

Successive halving (Jamieson and Talwalkar 2016, Non-stochastic best arm identification). Every cell has its
turn; the other candidates are drawn by optuna where good ones were (Bergstra et al. 2011, Algorithms for
hyper-parameter optimization).
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from typing import Any, NamedTuple

from rnncli.errors import ConfigError

_FACTOR, _FEWEST = 3, 9
# With a first share that is longer than this, more candidates are worth more than more time for each.
_FIRST_SECONDS = 20.0
_SINGLE, _DEEP = ("lstm", "gru", "rnn"), ("mingru", "minlstm", "rglru", "qrnn")
_WIDTHS = (128, 256, 384, 512, 640, 768)
_FIRST_WIDTH, _MOST_LAYERS = 384, 3
# What optuna is told of a candidate that could not be trained.
_WORST_BITS = 32.0


@dataclass(frozen=True)
class Candidate:
    """A structure: how a text is cut, and what reads it."""

    level: str
    cell: str
    num_layers: int
    hidden_size: int

    def __str__(self) -> str:
        layers = "1 layer" if self.num_layers == 1 else f"{self.num_layers} layers"
        return f"{self.level}, {self.cell}, {layers} of {self.hidden_size}"


class Outcome(NamedTuple):
    """What a training gave: held-out bits per character, infinite where there are none, and its seconds."""

    bits_per_character: float
    seconds: float


@dataclass(frozen=True)
class Trial:
    """A candidate that was trained in a rung: the later, the longer."""

    candidate: Candidate
    rung: int
    outcome: Outcome


def search(
    levels: Sequence[str],
    seconds: float,
    train: Callable[[Candidate, float], Outcome],
    clock: Callable[[], float],
    seed: int,
) -> Iterator[Trial]:
    """Trials as they come, for so many `seconds` by the clock; train(candidate, seconds) makes one.

    Each rung has an equal part of the time that is left, and each candidate an equal part of that.
    Raises ConfigError where optuna is missing.
    """
    number, rungs, grid = _FEWEST, 2, _grid(levels)
    while seconds / (rungs + 1) / (number * _FACTOR) > _FIRST_SECONDS and number * _FACTOR <= len(grid):
        number, rungs = number * _FACTOR, rungs + 1
    end, found = clock() + seconds, dict[Candidate, float]()
    for rung in range(rungs):
        rung_end = clock() + max(end - clock(), 0.0) / (rungs - rung)
        if rung == 0:
            chosen = _drawn(levels, grid, number, seed)
        else:
            known = [candidate for candidate in found if math.isfinite(found[candidate])]
            best = sorted(known, key=found.__getitem__)[: max(1, len(found) // _FACTOR)]
            chosen, found = _untold(best), {}
            number = len(best)
        for candidate, tell in chosen:
            share = (rung_end - clock()) / (number - len(found))
            if share <= 0.0:
                break
            outcome = train(candidate, share)
            found[candidate] = outcome.bits_per_character
            yield Trial(candidate, rung, outcome)
            tell(min(outcome.bits_per_character, _WORST_BITS))


def check() -> None:
    """Raises ConfigError where optuna is missing."""
    _optuna()


def _grid(levels: Sequence[str]) -> list[Candidate]:
    cells, depths = (*_SINGLE, *_DEEP), range(1, _MOST_LAYERS + 1)
    return [Candidate(*one) for one in product(levels, cells, depths, _WIDTHS)]


def _untold(candidates: Sequence[Candidate]) -> Iterator[tuple[Candidate, Callable[[float], object]]]:
    for candidate in candidates:
        yield candidate, lambda _: None


def _drawn(
    levels: Sequence[str], grid: Sequence[Candidate], number: int, seed: int
) -> Iterator[tuple[Candidate, Callable[[float], object]]]:
    """So many different candidates, each with what is to be told of it before the next is drawn."""
    optuna = _optuna()
    first = [Candidate(levels[0], cell, 1, _FIRST_WIDTH) for cell in _SINGLE]
    first += [Candidate(levels[0], cell, 2, _FIRST_WIDTH) for cell in _DEEP]
    sampler = optuna.samplers.TPESampler(n_startup_trials=len(first), seed=seed % 2**32)
    study = optuna.create_study(direction="minimize", sampler=sampler)
    for candidate in first:
        study.enqueue_trial(asdict(candidate))
    seen, rng = set[Candidate](), random.Random(seed)
    while len(seen) < min(number, len(grid)):
        trial = study.ask()
        candidate = Candidate(
            level=trial.suggest_categorical("level", list(levels)),
            cell=trial.suggest_categorical("cell", [*_SINGLE, *_DEEP]),
            num_layers=trial.suggest_int("num_layers", 1, _MOST_LAYERS),
            hidden_size=trial.suggest_categorical("hidden_size", list(_WIDTHS)),
        )
        if candidate in seen:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            study.enqueue_trial(asdict(rng.choice([one for one in grid if one not in seen])))
            continue
        seen.add(candidate)
        yield candidate, partial(study.tell, trial)


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """Each candidate's last trial that gave anything: those of later rungs first, the best of each first."""
    last = {trial.candidate: trial for trial in trials if math.isfinite(trial.outcome.bits_per_character)}
    return sorted(last.values(), key=lambda trial: (-trial.rung, trial.outcome.bits_per_character))


def _optuna() -> Any:
    try:
        import optuna  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigError(
            f"comparing structures needs optuna: {error}", hint="pip install 'rnncli[tune]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
