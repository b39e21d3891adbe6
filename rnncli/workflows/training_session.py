"""A training from its first or next step to its end: events, checkpoints, logs, and how it stops."""

import logging
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from time import monotonic
from types import FrameType

import torch

from rnncli import runtime
from rnncli.data.batching import Batches, LineBatches, StreamBatches
from rnncli.data.dataset import TokenDataset
from rnncli.errors import StorageError, TrainingError
from rnncli.evaluation.estimation import estimate
from rnncli.events import CheckpointDue, Evaluated, Event, Planned, Remark, Sampled, Saved, Stepped
from rnncli.generation.decoder import NetworkDecoder
from rnncli.generation.text_generator import training_sample
from rnncli.metrics import Score
from rnncli.nn.config import ModelConfig
from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.numpy_decoder.decoder import NumPyDecoder
from rnncli.storage.checkpoints import CheckpointWriter, as_arrays, load_model, load_state
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.record import Status
from rnncli.storage.tensorboard import event_log
from rnncli.training.config import TrainConfig
from rnncli.training.distributed import SINGLE_PROCESS, ProcessGroup
from rnncli.training.state import BestWeights, TrainState, weights_of
from rnncli.training.step import precision_context, threads_of
from rnncli.training.trainer import Trainer, TrainingEvent, Validate
from rnncli.workflows.ngram import add_ngram

_log = logging.getLogger(__name__)
# Steps are logged often enough for a curve, seldom enough for a small file.
_LOG_FRACTION, _MIN_LOG_SECONDS, _MAX_LOG_SECONDS = 0.01, 0.5, 5.0


@dataclass
class StopRequest:
    """Requests to a training while it runs.

    Attributes:
        signal: Number of the signal that asks it to save and stop, 0 while there is none.
        save: Whether a checkpoint is requested now.
    """

    signal: int = 0
    save: bool = False


# Enters a context in which signals become a request, for as long as there is something to save.
RequestContext = Callable[[], AbstractContextManager[StopRequest]]


def no_requests() -> AbstractContextManager[StopRequest]:
    """Return a context in which nothing is ever requested."""
    return nullcontext(StopRequest())


@contextmanager
def interrupt_requests() -> Iterator[StopRequest]:
    """Turn Ctrl-C into a request to save and stop, for Python programs; a second Ctrl-C raises at once.

    Only where Ctrl-C would raise KeyboardInterrupt: in the main thread, unless the program handles it.
    """
    request = StopRequest()
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield request
        return

    def stop(number: int, _: FrameType | None) -> None:
        if request.signal:
            raise KeyboardInterrupt
        request.signal = number

    signal.signal(signal.SIGINT, stop)
    try:
        yield request
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass(frozen=True)
class Watch:
    """How a training is watched.

    Attributes:
        requests: Turns signals into requests.
        samples: Whether to generate a sample after every validation.
        tensorboard: Whether to write event files for TensorBoard.
        group: The processes that train together.
    """

    requests: RequestContext = no_requests
    samples: bool = False
    tensorboard: bool = False
    group: ProcessGroup = SINGLE_PROCESS


UNWATCHED = Watch()


@dataclass(frozen=True)
class TrainResult:
    """The result of a training.

    Attributes:
        path: Folder of the model.
        step: Number of optimizer steps, over all resumes.
        seconds: Time used, over all resumes.
        interrupted: Whether it ended before its budget.
        score: Score of the best weights on the validation split; None if they were never validated.
        planned: The plan.
        signal: Number of the signal that ended it, or 0.
    """

    path: str
    step: int
    seconds: float
    interrupted: bool
    score: Score | None
    planned: Planned
    signal: int = 0


@dataclass(frozen=True)
class Session:
    """A run with everything it needs.

    Attributes:
        model_dir: The model directory.
        state: The state of the training.
        dataset: The token dataset.
        config: The configuration of the training.
        planned: The plan.
        validation_seconds: Expected time of one validation.
        ngram_seconds: Expected time of fitting the n-gram at the end.
        began: Instant (time.monotonic) at which the run would have begun, had it never been interrupted.
        saved: Whether the model directory already has the present configuration and state.
    """

    model_dir: ModelDir
    state: TrainState
    dataset: TokenDataset
    config: TrainConfig
    planned: Planned
    validation_seconds: float
    ngram_seconds: float
    began: float
    saved: bool


def run_session(session: Session, watch: Watch) -> Generator[Event, None, TrainResult]:
    """Train until the budget is exhausted or a stop is requested, and yield events.

    The run is saved when it ends, also when the generator is closed. Once it was logged for TensorBoard, it
    is logged whenever it is resumed.
    """
    model_dir, state, config = session.model_dir, session.state, session.config
    trainer = _trainer(
        state=state,
        dataset=session.dataset,
        config=config,
        validate=lambda model: _validate(session, model),
        validation_seconds=session.validation_seconds,
        reserve_seconds=session.ngram_seconds,
        group=watch.group,
    )
    with (
        _out_of_memory_explained(model_dir),
        event_log(model_dir.path, state.step, watch.tensorboard) as append_event,
        threads_of(config),
    ):
        recorder = _Recorder(session, append_event)
        yield session.planned
        with watch.requests() as request:
            recorder.begin()
            shared = model_dir, config, session.validation_seconds, session.ngram_seconds
            watch.group.broadcast(lambda: shared)
            state.seconds = monotonic() - session.began
            events = trainer.run()
            try:
                for event in events:
                    if not isinstance(event, CheckpointDue):
                        yield event
                    recorder.record(event)
                    if isinstance(event, Evaluated) and watch.samples:
                        yield Sampled(state.step, _sample(session))
                    if isinstance(event, CheckpointDue) or request.save:
                        request.save = False
                        recorder.save_checkpoint()
                    if request.signal:
                        events.close()
            except GeneratorExit:
                events.close()
                _finish(session, interrupted=True, saved=False)
                raise
            number = request.signal
            score = _finish(session, interrupted=bool(number), saved=recorder.saved)
            saved = Saved(str(model_dir.path), state.step, state.seconds, interrupted=bool(number))
            yield saved
    return TrainResult(**vars(saved), score=score, planned=session.planned, signal=number)


def follow(device: torch.device, group: ProcessGroup, requests: RequestContext = no_requests) -> None:
    """Train a shard of every batch; all processes but the main one do this."""

    def unreachable(*_: object) -> Score:
        raise AssertionError("only the main process prepares and validates")

    try:
        model_dir, config, validation_seconds, reserve_seconds = group.broadcast(_prepared_elsewhere)
    except RuntimeError as error:  # the connection is closed
        raise TrainingError("rank 0 exited", hint="see its error message above") from error
    trainer = _trainer(
        state=load_state(model_dir, config, device),
        dataset=model_dir.corpus(),
        config=config,
        validate=unreachable,
        validation_seconds=validation_seconds,
        reserve_seconds=reserve_seconds,
        group=group,
    )
    with threads_of(config), requests():  # rank 0 gets the same signal, and stops all processes
        for _ in trainer.run():
            pass


def _trainer(
    *,
    state: TrainState,
    dataset: TokenDataset,
    config: TrainConfig,
    validate: Validate,
    validation_seconds: float,
    reserve_seconds: float,
    group: ProcessGroup,
) -> Trainer:
    return Trainer(
        state=state,
        batches=batches_of(dataset, state.model.config, config),
        config=config,
        validate=validate,
        validation_seconds=validation_seconds,
        reserve_seconds=reserve_seconds,
        group=group,
    )


def _prepared_elsewhere() -> tuple[ModelDir, TrainConfig, float, float]:
    raise AssertionError("only the main process prepares")


def batches_of(dataset: TokenDataset, model: ModelConfig, config: TrainConfig) -> Batches:
    """Return the batches of the training split; raises CorpusError if it is too short for one."""
    train = dataset.train
    if train.line_starts is None:
        return StreamBatches(train.ids, model.bos_id, config.batch_size, config.bptt)
    return LineBatches(
        train.ids,
        line_starts=train.line_starts,
        bos_id=model.bos_id,
        batch_size=config.batch_size,
        bptt=config.bptt,
    )


def is_out_of_memory(error: Exception) -> bool:
    """Return whether memory is exhausted; on the CPU, torch raises a RuntimeError with such a message."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)


class _Recorder:
    """Saves and logs the events of a training; if a file cannot be written, it warns and goes on.

    Attributes:
        saved: Whether the last event was a validation, and is saved with all that came before it.
    """

    def __init__(self, session: Session, append_event: Callable[[Event], None]) -> None:
        self.saved = False
        self._session, self._append_event = session, append_event
        self._writer = CheckpointWriter(session.model_dir)
        self._logged_seconds, self._unsaved_best = session.state.seconds, False

    def begin(self) -> None:
        """Log what cannot be used here, and save a run whose configuration has changed."""
        session = self._session
        for unusable in session.planned.unusable:
            with _storage_errors_logged():
                session.model_dir.append_metrics(Remark(f"not used: {unusable}"))
        if not session.saved:
            session.model_dir.update(training=session.config)
            self._writer.save(session.state, "training", new_best=True)

    def record(self, event: TrainingEvent) -> None:
        """Save the run after a validation; log it, remarks, and some of the steps."""
        self.saved = False
        state = self._session.state
        if isinstance(event, Evaluated):
            self._unsaved_best |= event.best
            with _storage_errors_logged():
                self._session.model_dir.append_metrics(event)
                self._writer.save(state, "training", new_best=self._unsaved_best)
                self.saved, self._unsaved_best = True, False
            with _storage_errors_logged():
                self._append_event(event)
        elif isinstance(event, Remark) or (isinstance(event, Stepped) and self._is_due(event.seconds)):
            self._logged_seconds = state.seconds
            with _storage_errors_logged():
                self._session.model_dir.append_metrics(event)
                self._append_event(event)

    def save_checkpoint(self) -> None:
        """Save the run between two validations."""
        with _storage_errors_logged():
            self._writer.save(self._session.state, "training", new_best=False)

    def _is_due(self, seconds: float) -> bool:
        """Whether a step is logged: often at first, when much changes, then less often."""
        interval = min(max(_LOG_FRACTION * seconds, _MIN_LOG_SECONDS), _MAX_LOG_SECONDS)
        return seconds - self._logged_seconds >= interval


def _validate(session: Session, model: RNNLanguageModel) -> Score:
    # The memory that steps have freed is returned first: it would not fit what a validation or a save needs.
    dataset, config = session.dataset, session.config
    runtime.return_freed_memory()
    with precision_context(config, model.device):
        score = estimate(model, dataset.valid, config.validation_tokens, dataset.count_decoded)
    runtime.return_freed_memory()
    return score


def _sample(session: Session) -> str:
    model, dataset = session.state.model, session.dataset
    decoder = NetworkDecoder(NumPyDecoder(model.config, as_arrays(model.state_dict())))
    seed = session.config.seed
    return training_sample(decoder, dataset.tokenizer, line_by_line=dataset.line_by_line, seed=seed)


@contextmanager
def _out_of_memory_explained(model_dir: ModelDir) -> Iterator[None]:
    """Turn exhausted memory into a TrainingError."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise TrainingError(
            "out of memory",
            hint="use a smaller --batch-size or --hidden-size, "
            f"or resume with --resume {model_dir.path.name}",
        ) from error


@contextmanager
def _storage_errors_logged() -> Iterator[None]:
    """If a file cannot be written, log a warning and keep training; only the last save raises."""
    try:
        yield
    except StorageError as error:
        _log.warning("%s; %s; the training goes on", error, error.hint)


def _finish(session: Session, *, interrupted: bool, saved: bool) -> Score | None:
    """Save the end of a run and fit its n-gram; returns the score of the best weights.

    Args:
        session: The run.
        interrupted: Whether it ended before its budget.
        saved: Whether all that happened is saved.
    """
    state, model_dir = session.state, session.model_dir
    if state.best is None or state.best.score is None:
        # Without a validation, the present weights are usable all the same.
        state.best, saved = BestWeights(None, state.step, weights_of(state.model)), False
    order = 0 if interrupted else model_dir.record().ngram_order
    status: Status = "interrupted" if interrupted else "training" if order else "finished"
    if saved and not interrupted:
        model_dir.update(status=status)
    else:
        CheckpointWriter(model_dir).save(state, status, new_best=True)
    if order:
        network = load_model(model_dir, state.model.device)
        with precision_context(session.config, state.model.device):  # as fast as it was predicted
            add_ngram(model_dir, network, order)
        model_dir.update(status="finished")
    model_dir.write_card(session.planned, state.best.step, state.best.score)
    return state.best.score
