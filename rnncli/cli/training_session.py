"""A training as `rnncli train` carries it out: steps, what is shown, what is kept, and its end."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from time import monotonic

import torch

from rnncli import runtime
from rnncli.cli import writing
from rnncli.cli.stopping import noted_requests
from rnncli.console.training_view import SilentView, View
from rnncli.data.batching import Lanes, Windows
from rnncli.data.dataset import TokenStore
from rnncli.data.lines import Lines
from rnncli.errors import StorageError, TrainingError
from rnncli.evaluation.evaluation import estimate
from rnncli.events import Evaluated, Noted, Planned, Sampled, Saved, Savepoint, Stepped
from rnncli.generation.prediction import Predictor
from rnncli.nn.config import ModelConfig
from rnncli.nn.language_model import LanguageModel
from rnncli.numpy_decoder.decoder import Stepper
from rnncli.results import Score
from rnncli.storage.checkpoint import as_arrays
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.record import Status
from rnncli.storage.runs import load_model, load_run, save_run
from rnncli.storage.tensorboard import event_log
from rnncli.training.config import TrainConfig
from rnncli.training.distributed import ALONE, Ranks
from rnncli.training.step import Best, Run, precision_context, threads_of, weights_of
from rnncli.training.trainer import train
from rnncli.workflows.ngram import add_ngram

_log = logging.getLogger(__name__)
# Often enough for a curve, seldom enough for a small file.
_LOG_SHARE, _LEAST_LOG_SECONDS, _MOST_LOG_SECONDS = 0.01, 0.5, 5.0


@dataclass(frozen=True)
class Session:
    """A run and everything it needs around it.

    `began` is when the first of its seconds would have begun; `saved` says whether its folder knows already
    how it goes on.
    """

    folder: ModelDir
    run: Run
    store: TokenStore
    training: TrainConfig
    planned: Planned
    validation_seconds: float
    ngram_seconds: float
    began: float
    saved: bool


@dataclass(frozen=True)
class Outcome:
    """What came of a session; `signal` is the number of the one that ended it, or 0.

    `heard` is that one, or one that came while the end was being saved.
    """

    saved: Saved
    score: Score | None
    signal: int
    heard: int = 0


def carry_out(session: Session, view: View, ranks: Ranks = ALONE, tensorboard: bool = False) -> Outcome:
    """Train to the end of the budget or to the first Ctrl-C; what is shown is also kept.

    Once it was kept for TensorBoard too, it is so whenever the run goes on.
    """
    folder, run, store, training = session.folder, session.run, session.store, session.training
    windows = windows_of(store, run.model.config, training)

    def validate(model: LanguageModel) -> Score:
        # What steps have used would not fit a validation, nor that a save: their memory must not add up.
        runtime.return_freed_memory()
        with precision_context(training, model.device):
            score = estimate(model, store.valid, training.validation_tokens, store.measure)
        runtime.return_freed_memory()
        return score

    view.show(session.planned)
    logged, kept, best_unsaved = run.seconds, False, False
    with (
        _memory_said(folder),
        event_log(folder.path, run.step, tensorboard) as append_event,
        threads_of(training),
        noted_requests() as requests,
    ):
        for dropped in session.planned.dropped:
            with _storage_errors_logged():
                folder.append_metrics(Noted(f"not used: {dropped}"))
        if not session.saved:
            folder.update(training=training)
            save_run(folder, run, "training", new_best=True)
        ranks.told(lambda: (folder, training, session.validation_seconds, session.ngram_seconds))
        run.seconds = monotonic() - session.began
        reports = train(
            run,
            windows,
            training,
            validate,
            session.validation_seconds,
            ranks=ranks,
            reserve_seconds=session.ngram_seconds,
        )
        for told in reports:
            if not isinstance(told, Savepoint):
                view.show(told)
            kept = False
            if isinstance(told, Evaluated):
                best_unsaved |= told.best
                kept = _keep(session, told, best_unsaved)
                best_unsaved &= not kept
                with _storage_errors_logged():
                    append_event(told)
                if not isinstance(view, SilentView):
                    view.show(Sampled(run.step, _sample(run.model, store, training.seed)))
            elif isinstance(told, Noted) or (
                isinstance(told, Stepped) and told.seconds - logged >= _log_seconds(told.seconds)
            ):
                logged = run.seconds
                with _storage_errors_logged():
                    folder.append_metrics(told)
                    append_event(told)
            if isinstance(told, Savepoint) or requests.save:
                requests.save = False
                with _storage_errors_logged():
                    save_run(folder, run, "training", new_best=False)
            if requests.signal:
                reports.close()
        outcome = _finish(session, view, requests.signal, kept)
        return replace(outcome, heard=requests.signal)


def follow(device: torch.device, ranks: Ranks) -> None:
    """What every process but the first does: train its share of what that one has prepared."""

    def prepared() -> tuple[ModelDir, TrainConfig, float, float]:
        raise AssertionError("rank 0 prepares")

    def validate(model: LanguageModel) -> Score:
        raise AssertionError("rank 0 validates")

    try:
        folder, training, validation_seconds, reserve_seconds = ranks.told(prepared)
    except RuntimeError as error:  # nobody is there to talk to any more
        raise TrainingError("the first process has ended", hint="what it says comes first") from error
    store, run = folder.corpus(), load_run(folder, training, device)
    windows = windows_of(store, run.model.config, training)
    with threads_of(training), noted_requests():  # rank 0 gets the same signal, and ends it for all
        for _ in train(
            run,
            windows,
            training,
            validate,
            validation_seconds,
            ranks=ranks,
            reserve_seconds=reserve_seconds,
        ):
            pass


def _log_seconds(seconds: float) -> float:
    """Between two steps that are logged: often at first, when much changes, and then now and then."""
    return min(max(_LOG_SHARE * seconds, _LEAST_LOG_SECONDS), _MOST_LOG_SECONDS)


def _keep(session: Session, evaluated: Evaluated, new_best: bool) -> bool:
    """Whether all of it could be saved."""
    run, folder = session.run, session.folder
    with _storage_errors_logged():
        folder.append_metrics(evaluated)
        save_run(folder, run, "training", new_best)
        return True
    return False


def _sample(model: LanguageModel, store: TokenStore, seed: int) -> str:
    stepper = Stepper(model.config, as_arrays(model.state_dict()))
    return writing.sample(Predictor(stepper, None), store.tokenizer, store.unit, seed)


def is_out_of_memory(error: Exception) -> bool:
    """torch says so in words on a processor."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)


@contextmanager
def _memory_said(folder: ModelDir) -> Iterator[None]:
    """Where there is none left, one error."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            "the memory is used up",
            hint=f"use a smaller --batch-size or --hidden-size, or go on with --resume {folder.path.name}",
        ) from error


@contextmanager
def _storage_errors_logged() -> Iterator[None]:
    """If a file cannot be written, log a warning and keep training; only the last save raises."""
    try:
        yield
    except StorageError as error:
        _log.warning("%s; %s; the training goes on", error, error.hint)


def _finish(session: Session, view: View, signal: int, kept: bool) -> Outcome:
    """`kept`: the last report was a validation, and is saved with all that came before it."""
    run, folder = session.run, session.folder
    if run.best is None or run.best.score is None:
        # Never validated: the weights as they are now can be used all the same.
        run.best, kept = Best(None, run.step, weights_of(run.model)), False
    order = 0 if signal else folder.record().ngram_order
    status: Status = "interrupted" if signal else "training" if order else "finished"
    if kept and not signal:
        folder.update(status=status)
    else:
        save_run(folder, run, status, new_best=True)
    if order:
        network = load_model(folder, run.model.device)
        with precision_context(session.training, run.model.device):  # as fast as it was foreseen
            add_ngram(folder, network, order)
        folder.update(status="finished")
    folder.write_card(session.planned, run.best.step, run.best.score)
    saved = Saved(str(folder.path), run.step, run.seconds, interrupted=bool(signal))
    view.show(saved)
    return Outcome(saved, run.best.score, signal)


def windows_of(store: TokenStore, model: ModelConfig, training: TrainConfig) -> Windows:
    train = store.train
    if train.line_starts is None:
        return Lanes(train.ids, model.start, training.batch_size, training.bptt)
    return Lines(train.ids, train.line_starts, model.start, training.batch_size, training.bptt)
