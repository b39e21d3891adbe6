"""The training loop: a generator of events that neither prints nor saves.

The loop pauses at every event, with the state of the run consistent. Its consumer may then save the state,
show the event, generate a sample from the model, or stop.
"""

import math
import time
from collections.abc import Callable, Generator
from dataclasses import replace

from rnncli.data.batching import Batches
from rnncli.events import CheckpointDue, Evaluated, Remark, Stepped
from rnncli.metrics import Score
from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.training import divergence, early_stopping
from rnncli.training.budget import Budget
from rnncli.training.config import TrainConfig
from rnncli.training.distributed import SINGLE_PROCESS, ProcessGroup
from rnncli.training.optimizer import learning_rate
from rnncli.training.state import TrainState
from rnncli.training.step import StepResult, gradient_norms_by_layer, train_step

# Short enough to answer Ctrl-C at once and to move a progress bar smoothly, long enough to cost nothing.
REPORT_SECONDS = 0.1

Clock = Callable[[], float]
Validate = Callable[[RNNLanguageModel], Score]
TrainingEvent = Stepped | Evaluated | Remark | CheckpointDue


class Trainer:
    """Trains a model until its budget or its patience is exhausted.

    `run` yields events. At an `Evaluated` or a `CheckpointDue` the state should be saved. What a validation
    leads to, a rollback or a lower learning rate, has been done by then; a remark about it follows. The last
    step is followed by a validation. Closing the generator stops the training, with the state as consistent
    as at any event; a new call of `run` continues it.

    Attributes:
        state: The state of the run; changed in place.
        config: The training configuration.
    """

    def __init__(
        self,
        *,
        state: TrainState,
        batches: Batches,
        config: TrainConfig,
        validate: Validate,
        validation_seconds: float = 0.0,
        reserve_seconds: float = 0.0,
        group: ProcessGroup = SINGLE_PROCESS,
        clock: Clock = time.perf_counter,
    ) -> None:
        """Prepare to continue a run.

        Args:
            state: The run as it was created or loaded.
            batches: The training data.
            config: The training configuration.
            validate: Scores the validation split; called on the main process alone.
            validation_seconds: First estimate of the time of a validation and a save. A budget of time
                reserves it for the last one; from the first validation on it is measured.
            reserve_seconds: Time that the budget also reserves, for what comes after the training.
            group: The processes that train together. The main process decides for all when training ends.
            clock: Returns a time in seconds. The default is the most precise one: on Windows the monotonic
                clock ticks only 64 times a second.
        """
        self.state = state
        self.config = config
        self._batches = batches
        self._validate = validate
        self._group = group
        self._clock = clock
        self._reserve_seconds = reserve_seconds
        self._budget = Budget.of(config, reserve_seconds=validation_seconds + reserve_seconds)
        self._began = self._saved = 0.0
        self._report_loss, self._validation_loss = _MeanLoss(0.0), _MeanLoss(0.0)
        self._validation_began: float | None = None
        self._ended = False

    def run(self) -> Generator[TrainingEvent]:
        """Train to the end, and yield events on the way."""
        state, group = self.state, self._group
        self._began = self._clock() - state.seconds
        self._validation_began, self._ended = None, False
        self._read_clock()
        # In a larger budget than before the validations are further apart.
        state.validations = min(state.validations, self._validations_due())
        self._start_measuring()
        try:
            while True:
                seconds = group.broadcast_number(self._elapsed_seconds)
                if self._ended or math.isnan(seconds):
                    return
                state.seconds = seconds
                self._measure_reserve()
                if state.step == 0:
                    state.first_step_seconds = seconds
                due = self._validations_due()
                if due > state.validations and state.step > state.validated_step:
                    yield from self._validate_now(due)
                elif self._budget.exhausted(state.position):
                    return
                else:
                    yield from self._train_step()
        except GeneratorExit:
            group.broadcast_number(lambda: math.nan)  # the other processes wait for the time
            raise

    def _validate_now(self, due: int) -> Generator[TrainingEvent]:
        """Validate and do what follows from the score. `due` is the number of validations due by now."""
        state, config = self.state, self.config
        self._validation_began = state.seconds
        progress = self._budget.progress(state.position)
        score = self._group.broadcast(lambda: self._validate(state.model))
        self._read_clock()
        state.validations, state.validated_step = due, state.step
        best, remark = early_stopping.update_best(state, score), None
        if progress >= 1.0:
            self._ended = True
        elif divergence.diverged(state, score):
            remark = divergence.rollback(state, config, progress)
        elif early_stopping.patience_exhausted(state, config):
            if early_stopping.may_lower_lr(state, config):
                remark = early_stopping.lower_lr(state, config)
            else:
                self._ended = True
        train_loss = self._validation_loss.mean()
        yield Evaluated(state.step, self._epoch(), state.seconds, train_loss, score, best)
        if remark is not None:
            yield remark
        self._start_measuring()

    def _train_step(self) -> Generator[TrainingEvent]:
        """Take one step, and yield what is due after it."""
        state, config, group = self.state, self.config, self._group
        progress = self._budget.progress(state.position)
        lr = state.lr_factor * learning_rate(progress, config, state.warmup_from)
        batch = self._batches[state.step]
        result = train_step(state, batch, config, lr, group=group)
        if result.updated:
            self._report_loss.add(result.loss, batch.tokens)
            self._validation_loss.add(result.loss, batch.tokens)
        if divergence.must_roll_back(state):
            yield divergence.rollback(state, config, progress)
            self._report_loss = _MeanLoss(self._clock())
            self._validation_loss = _MeanLoss(self._clock())
        if not group.is_main_process:
            return
        if self._clock() - self._report_loss.began >= REPORT_SECONDS:
            state.seconds = self._elapsed_seconds()
            yield self._stepped(lr, result)
            self._report_loss = _MeanLoss(self._clock())
        if self._budget.save_due(state.position, self._clock() - self._saved):
            state.seconds = self._elapsed_seconds()
            yield CheckpointDue(state.step)
            self._saved = self._clock()

    def _measure_reserve(self) -> None:
        """Reserve as much time for the last validation as the one before took.

        What the consumer did with its event, a save above all, it will do with the last one too.
        """
        if self._validation_began is not None:
            seconds = self.state.seconds - self._validation_began
            self._budget = replace(self._budget, reserve_seconds=seconds + self._reserve_seconds)
            self._validation_began = None

    def _start_measuring(self) -> None:
        """Start the losses and the time since the last save anew."""
        self._report_loss = _MeanLoss(self._clock())
        self._validation_loss = _MeanLoss(self._clock())
        self._saved = self._clock()

    def _elapsed_seconds(self) -> float:
        return self._clock() - self._began

    def _read_clock(self) -> None:
        """Set the time used to that of the main process: all processes decide by the same time."""
        self.state.seconds = self._group.broadcast_number(self._elapsed_seconds)

    def _validations_due(self) -> int:
        return self._budget.validations_due(self.state.position, self._batches.batches_per_epoch)

    def _epoch(self) -> float:
        return self.state.step / self._batches.batches_per_epoch

    def _stepped(self, lr: float, result: StepResult) -> Stepped:
        state, loss = self.state, self._report_loss
        return Stepped(
            step=state.step,
            epoch=self._epoch(),
            seconds=state.seconds,
            seconds_left=self._budget.seconds_left(state.position),
            progress=None if self.config.open_ended else self._budget.progress(state.position),
            nats_per_token=loss.mean(),
            tokens_per_second=loss.tokens / (self._clock() - loss.began),
            learning_rate=lr,
            gradient_norm=result.gradient_norm,
            gradient_norms=gradient_norms_by_layer(state.model, result.gradient_norms),
            skipped_steps=state.skipped_steps,
        )


class _MeanLoss:
    """The mean training loss, in nats per token, since an instant of the clock."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.tokens = 0
        self._nats = 0.0

    def add(self, nats_per_token: float, tokens: int) -> None:
        self.tokens += tokens
        self._nats += nats_per_token * tokens

    def mean(self) -> float:
        return self._nats / self.tokens if self.tokens else math.nan
