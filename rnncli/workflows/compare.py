"""Architecture search: candidates trained for a short time each, and the best of them to the end."""

import logging
import math
import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, perf_counter
from typing import cast

import numpy as np
import torch

from rnncli import runtime
from rnncli.analysis.figures import Curve, LineChart
from rnncli.data.config import Level
from rnncli.data.sources import STDIN, expand_sources
from rnncli.errors import ConfigError, OptionError, RnncliError, TrainingError
from rnncli.events import Event, Remark
from rnncli.metrics import Score
from rnncli.nn.config import ModelOptions
from rnncli.numpy_decoder.decoder import NumPyDecoder
from rnncli.options import OptionGroup, given_options
from rnncli.results import RankingRow
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.record import checked_name, free_name
from rnncli.training import architecture_search
from rnncli.training.architecture_search import Candidate, Trial, TrialResult, ranked, search
from rnncli.training.config import BudgetOptions, TrainingOptions, TrainOptions
from rnncli.workflows.plot import loss_curves
from rnncli.workflows.texts import Texts, datasets_at, scratch_folder, title
from rnncli.workflows.train import NewRun, train_events, watch_events
from rnncli.workflows.training_session import (
    RequestContext,
    StopRequest,
    TrainResult,
    Watch,
    is_out_of_memory,
    no_requests,
)

# Fraction of the time for the search; the rest is for training the best candidate.
_SEARCH_FRACTION = 0.5
# In less time, measuring and planning would leave no time to train the candidates.
_MIN_SECONDS = 20.0
_GENERATION_SECONDS = 0.2
# All candidates of a level are validated on the same tokens, whatever their speed.
_VALIDATIONS, _VALIDATION_TOKENS = 3, 20_000
# Fields that are named in the command that trains the winner, besides the options that were given.
_MODEL_FIELDS = ("cell", "hidden_size", "num_layers", "embedding_size", "ensemble_size", "dropout")
_TRAINING_FIELDS = (
    *("batch_size", "bptt", "learning_rate", "weight_decay"),
    *("activation_regularization", "temporal_regularization", "precision", "kernels", "threads"),
    *("validations", "validation_tokens", "seed"),
)


@dataclass(frozen=True)
class Comparison:
    """A request to compare architectures.

    Attributes:
        texts: The texts.
        options: Options that all candidates share: those of the texts, and the seed.
        seconds: Time of the search and of training the winner.
        device: Where to train.
        device_name: The device as it was given, for the command that trains the winner.
        name: Name of the winner's model; None: that of the text.
        requests: Turns signals into requests.
        samples: Whether to generate samples while the winner is trained.
    """

    texts: tuple[str, ...]
    options: TrainOptions
    seconds: float
    device: torch.device
    device_name: str = "auto"
    name: str | None = None
    requests: RequestContext = no_requests
    samples: bool = False


@dataclass(frozen=True)
class Ranking:
    """The candidates, best first, and the learning curves of those that were trained longest."""

    rows: tuple[RankingRow, ...]
    chart: LineChart


@dataclass(frozen=True)
class CompareResult:
    """The winner.

    Attributes:
        model: Folder of its model; None if a signal ended the search.
        command: Command that trains the same model.
        signal: Number of the signal that ended the search or the training, or 0.
    """

    model: str | None = None
    command: str | None = None
    signal: int = 0


def compare(comparison: Comparison, began: float) -> Generator[Event | Ranking, None, CompareResult]:
    """Search for the best architecture for half of the time, and train it for the rest.

    Args:
        comparison: What to compare.
        began: Instant at which the time began to count (time.monotonic).

    Raises:
        ConfigError: Something is not a text that can be read more than once, or the time is too short.
        MissingPackageError: optuna is not installed.
        TrainingError: No candidate could be trained.
    """
    architecture_search.check()
    if comparison.seconds < _MIN_SECONDS:
        raise OptionError(
            f"time is {comparison.seconds:g} s, too short to compare anything", hint="for example --time 20m"
        )
    with _Search.open(comparison) as candidates:
        yield from candidates.run(comparison.seconds * _SEARCH_FRACTION - (monotonic() - began))
        trials = ranked(candidates.trials)
        yield candidates.ranking(trials)
        if candidates.signal:
            return CompareResult(signal=candidates.signal)
        if not trials:
            raise TrainingError("no architecture could be trained", hint="give more --time, or a longer text")
        winner = trials[0].candidate
        yield Remark(f"the best is {winner}: it is trained for the rest of the time")
        result = yield from candidates.train_winner(
            winner, max(comparison.seconds - (monotonic() - began), 1.0)
        )
        return CompareResult(result.path, candidates.command(winner, result), result.signal)


@dataclass(frozen=True)
class _Measured:
    """What is known of a candidate after a trial."""

    tokens_per_second: float
    parameters: int
    characters_generated_per_second: float
    curve: Curve


class _Search:
    """Trials of candidates on texts that are tokenized once per level."""

    def __init__(self, comparison: Comparison, name: str, datasets: dict[str, Path]) -> None:
        self.trials: list[Trial] = []
        self.signal = 0
        self._comparison, self._name, self._datasets = comparison, name, datasets
        self._measured: dict[Candidate, _Measured] = {}
        self._remarks: list[Remark] = []

    @classmethod
    @contextmanager
    def open(cls, comparison: Comparison) -> "Iterator[_Search]":
        """Tokenize the texts; errors that would come up at the end are raised here."""
        texts, text = comparison.texts, comparison.options.text
        if datasets_at(texts):
            raise ConfigError(
                "compare tokenizes a text at several levels", hint="name the text instead of a token dataset"
            )
        if any(
            source == STDIN or not Path(source).is_file()
            for source in expand_sources(texts)
            if source == STDIN or os.path.lexists(source)  # what does not exist is refused by its reader
        ):
            raise ConfigError("compare reads a text more than once", hint="save it to a file, and name that")
        name = checked_name(comparison.name or free_name(title(texts)))
        ModelDir.check_name_is_free(name)
        # Windows keeps a dataset that is still memory-mapped; the system cleans it up.
        with (
            TemporaryDirectory(prefix="rnncli-", ignore_cleanup_errors=True) as folder,
            ExitStack() as stack,
        ):
            scratch = stack.enter_context(scratch_folder(Path(folder)))
            surveyed = Texts.survey(texts, comparison.options.read, text, Path(scratch))
            levels: list[Level] = [text.level or surveyed.level]
            if text.level is None and surveyed.level == "char":
                levels.append("subword")
            datasets: dict[str, Path] = {}
            for level in levels:
                datasets[level] = Path(folder, f"{level}.tok")
                datasets[level].mkdir()
                surveyed.build(surveyed.config(level), datasets[level])
            yield cls(comparison, name, datasets)

    def run(self, seconds: float) -> Generator[Remark]:
        """Try candidates for so many seconds; ends early if a signal asks for it."""
        seed = self._comparison.options.training.seed
        for trial in search([*self._datasets], seconds, self._try, clock=monotonic, seed=seed):
            yield from self._remarks
            self._remarks.clear()
            if self.signal:
                return
            self.trials.append(trial)
            bits, used = trial.result
            if math.isfinite(bits):
                yield Remark(f"{trial.candidate}: {bits:.4f} bits per character after {used:.0f} s")

    def ranking(self, trials: Sequence[Trial]) -> Ranking:
        """Return the ranking of ranked trials."""
        found = [(trial, self._measured[trial.candidate]) for trial in trials]
        rows = tuple(
            RankingRow(
                str(trial.candidate),
                trial.result.seconds,
                trial.result.bits_per_character,
                measured.tokens_per_second,
                measured.parameters,
                measured.characters_generated_per_second,
            )
            for trial, measured in found
        )
        longest = tuple(measured.curve for trial, measured in found if trial.rung == trials[0].rung)
        return Ranking(
            rows, LineChart("learning curves", "seconds", "bits per character", longest, log_x=True)
        )

    def train_winner(self, winner: Candidate, seconds: float) -> Generator[Event, None, TrainResult]:
        """Train the winner from the texts themselves, as a model that stays."""
        comparison, options = self._comparison, self._comparison.options
        level = cast(Level, winner.level)
        run = NewRun(
            texts=comparison.texts,
            options=replace(
                options,
                text=replace(options.text, level=level),
                model=_model_options(winner),
                budget=BudgetOptions(time=seconds),
            ),
            device=comparison.device,
            automatic=comparison.device_name == "auto",
            name=self._name,
        )
        watch = Watch(requests=comparison.requests, samples=comparison.samples)
        return (yield from train_events(run, watch, monotonic()))

    def command(self, winner: Candidate, result: TrainResult) -> str:
        """Return a command that trains the same model: it names all that the planner chose."""
        record, options = ModelDir(Path(result.path)).record(), self._comparison.options
        model = ModelOptions(
            **{name: getattr(record.model, name) for name in _MODEL_FIELDS},
            tied_embeddings=record.model.tied_embeddings or None,
        )
        training = TrainingOptions(**{name: getattr(record.training, name) for name in _TRAINING_FIELDS})
        budget = BudgetOptions(time=f"{record.training.seconds:.0f}s", steps=record.training.steps)
        text = replace(options.text, level=cast(Level, winner.level))
        words = ["rnncli", "train", *self._comparison.texts]
        for group in (budget, options.read, text, model, training):
            words += _as_flags(group)
        if self._comparison.device_name != "auto":
            words += ["--device", self._comparison.device_name]
        return runtime.command_line(words)

    def _try(self, candidate: Candidate, seconds: float) -> TrialResult:
        """Train a candidate, validated as all others are, and delete its model."""
        failed = TrialResult(math.inf, seconds)
        name = free_name(f"{self._name}-trial")
        run = NewRun(
            texts=(str(self._datasets[candidate.level]),),
            options=TrainOptions(
                model=replace(_model_options(candidate), ensemble_size=1),
                training=TrainingOptions(
                    seed=self._comparison.options.training.seed,
                    validations=_VALIDATIONS,
                    validation_tokens=_VALIDATION_TOKENS,
                ),
                budget=BudgetOptions(time=seconds),
            ),
            device=self._comparison.device,
            name=name,
        )
        request = StopRequest()

        @contextmanager
        def requests() -> Iterator[StopRequest]:
            nonlocal request
            with self._comparison.requests() as request:
                yield request

        try:
            with _quiet_log():
                result = watch_events(train_events(run, Watch(requests=requests), monotonic()), None)
            self.signal = request.signal  # also one that came while the trial was saved
            if result.score is None or result.signal:
                return failed
            self._measured[candidate] = _measure(candidate, result, result.score)
            return TrialResult(result.score.bits_per_character, result.seconds)
        except (RnncliError, MemoryError, RuntimeError) as error:
            if not isinstance(error, RnncliError) and not is_out_of_memory(error):
                raise
            self._remarks.append(Remark(f"{candidate}: {error}"))
            return failed
        finally:
            for model_dir in ModelDir.all():
                if model_dir.path.name == name:
                    model_dir.remove()


def _model_options(candidate: Candidate) -> ModelOptions:
    return ModelOptions(
        cell=candidate.cell, num_layers=candidate.num_layers, hidden_size=candidate.hidden_size
    )


def _as_flags(options: OptionGroup) -> list[str]:
    words: list[str] = []
    for option in given_options(options):
        value = getattr(options, option.field)
        if value is False:  # a flag that was turned off again, as a file of options can
            continue
        for one in value if isinstance(value, tuple) else (value,):
            words += [option.flag] if one is True else [option.flag, str(one)]
    return words


@contextmanager
def _quiet_log() -> Iterator[None]:
    """Drop the messages that a trial logs."""
    log = logging.getLogger("rnncli")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def _measure(candidate: Candidate, result: TrainResult, score: Score) -> _Measured:
    model_dir = ModelDir(Path(result.path))
    curve, model = loss_curves([model_dir]).curves[0], model_dir.record().model
    decoder = NumPyDecoder(model, model_dir.require_weights().arrays)
    return _Measured(
        result.planned.tokens_per_second,
        model.parameters,
        _tokens_generated_per_second(decoder) * score.characters / score.tokens,
        Curve(str(candidate), curve.x, curve.y),
    )


def _tokens_generated_per_second(decoder: NumPyDecoder) -> float:
    state, token, generated = decoder.initial_state(1), np.array([decoder.config.bos_id]), 0
    began = perf_counter()
    while perf_counter() - began < _GENERATION_SECONDS:
        logits, state = decoder.step(token, state)
        token, generated = logits.argmax(1), generated + 1
    return generated / (perf_counter() - began)
