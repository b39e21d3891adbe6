"""Architecture search: many architectures are trained briefly on a text, and the best of them longer.

The search is successive halving (Jamieson and Talwalkar 2016, Non-stochastic best arm identification), here
by thirds. Each line is a rung; the numbers are the relative times of its trials:

    1 1 1 1 1 1 1 1 1      every candidate once
    3   3     3            the best third of them
          9                and so on, if there is time for more than nine candidates

Every cell is tried. The other candidates are sampled by optuna near good ones (Bergstra et al. 2011,
Algorithms for hyper-parameter optimization).
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from typing import Any, NamedTuple

from rnncli.errors import MissingPackageError

# The best of so many go on to the next rung; the fewest candidates of the first rung.
_FACTOR, _MIN_CANDIDATES = 3, 9
# If a trial of the first rung would take longer than this, more candidates are tried instead.
_MAX_FIRST_SECONDS = 20.0
# The cells that are tried first with one layer, and with two.
_SINGLE, _DEEP = ("lstm", "gru", "rnn"), ("mingru", "minlstm", "rglru", "qrnn")
_HIDDEN_SIZES = (128, 256, 384, 512, 640, 768)
_FIRST_HIDDEN_SIZE, _MAX_LAYERS = 384, 3
# The score reported to optuna for a candidate that could not be trained, in bits per character.
_WORST_BITS = 32.0


@dataclass(frozen=True)
class Candidate:
    """An architecture, and the tokenization level of its text."""

    level: str
    cell: str
    num_layers: int
    hidden_size: int

    def __str__(self) -> str:
        layers = "1 layer" if self.num_layers == 1 else f"{self.num_layers} layers"
        return f"{self.level}, {self.cell}, {layers} of {self.hidden_size}"


class TrialResult(NamedTuple):
    """The result of a training.

    Attributes:
        bits_per_character: Of the validation split; infinite if the candidate could not be trained.
        seconds: How long the training took.
    """

    bits_per_character: float
    seconds: float


@dataclass(frozen=True)
class Trial:
    """A candidate that was trained in a rung; the later the rung, the longer."""

    candidate: Candidate
    rung: int
    result: TrialResult


def search(
    levels: Sequence[str],
    seconds: float,
    train: Callable[[Candidate, float], TrialResult],
    *,
    clock: Callable[[], float],
    seed: int,
) -> Iterator[Trial]:
    """Yield trials for so many seconds.

    Each rung gets an equal part of the time that is left, and each of its candidates an equal part of that.

    Args:
        levels: The tokenization levels to try; the first is the recommended one.
        seconds: Time of the whole search.
        train: Trains a candidate for so many seconds.
        clock: Returns a time in seconds.
        seed: Seed of the sampling.

    Raises:
        MissingPackageError: optuna is missing.
    """
    number, rungs, grid = _MIN_CANDIDATES, 2, _grid(levels)
    while seconds / (rungs + 1) / (number * _FACTOR) > _MAX_FIRST_SECONDS and number * _FACTOR <= len(grid):
        number, rungs = number * _FACTOR, rungs + 1
    end, bits = clock() + seconds, dict[Candidate, float]()
    for rung in range(rungs):
        rung_end = clock() + max(end - clock(), 0.0) / (rungs - rung)
        if rung == 0:
            candidates = _sampled(levels, grid, number, seed)
        else:
            trained = [candidate for candidate in bits if math.isfinite(bits[candidate])]
            best = sorted(trained, key=bits.__getitem__)[: max(1, len(bits) // _FACTOR)]
            candidates, bits = _without_feedback(best), {}
            number = len(best)
        for candidate, report in candidates:
            trial_seconds = (rung_end - clock()) / (number - len(bits))
            if trial_seconds <= 0.0:
                break
            result = train(candidate, trial_seconds)
            bits[candidate] = result.bits_per_character
            yield Trial(candidate, rung, result)
            report(min(result.bits_per_character, _WORST_BITS))


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """Return the last trial of each candidate that was trained: later rungs first, then the best first."""
    last = {trial.candidate: trial for trial in trials if math.isfinite(trial.result.bits_per_character)}
    return sorted(last.values(), key=lambda trial: (-trial.rung, trial.result.bits_per_character))


def check() -> None:
    """Raise MissingPackageError if optuna is missing."""
    _optuna()


# A candidate, and the function that takes its bits per character before the next one is sampled.
_Feedback = tuple[Candidate, Callable[[float], object]]


def _grid(levels: Sequence[str]) -> list[Candidate]:
    cells, depths = (*_SINGLE, *_DEEP), range(1, _MAX_LAYERS + 1)
    return [Candidate(*one) for one in product(levels, cells, depths, _HIDDEN_SIZES)]


def _without_feedback(candidates: Sequence[Candidate]) -> Iterator[_Feedback]:
    for candidate in candidates:
        yield candidate, lambda _: None


def _sampled(levels: Sequence[str], grid: Sequence[Candidate], number: int, seed: int) -> Iterator[_Feedback]:
    """Sample so many different candidates, every cell among them."""
    optuna = _optuna()
    first = [Candidate(levels[0], cell, 1, _FIRST_HIDDEN_SIZE) for cell in _SINGLE]
    first += [Candidate(levels[0], cell, 2, _FIRST_HIDDEN_SIZE) for cell in _DEEP]
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
            num_layers=trial.suggest_int("num_layers", 1, _MAX_LAYERS),
            hidden_size=trial.suggest_categorical("hidden_size", list(_HIDDEN_SIZES)),
        )
        if candidate in seen:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            study.enqueue_trial(asdict(rng.choice([one for one in grid if one not in seen])))
            continue
        seen.add(candidate)
        yield candidate, partial(study.tell, trial)


def _optuna() -> Any:
    try:
        import optuna  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise MissingPackageError(
            f"the architecture search needs optuna: {error}", hint="pip install 'rnncli[tune]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
