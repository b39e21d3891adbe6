"""The training loop: a generator of reports that neither prints nor saves.

It pauses at every report with its Run whole, so that whoever consumes the reports may save it, show
it, write a sample with it, or stop.
"""

import math
import time
from collections.abc import Callable, Generator

from rnncli.data.batching import Windows
from rnncli.events import Evaluated, Noted, Savepoint, Stepped
from rnncli.nn.language_model import LanguageModel
from rnncli.results import Score
from rnncli.training.config import TrainConfig
from rnncli.training.distributed import ALONE, Ranks
from rnncli.training.divergence import MOST_SKIPPED_IN_A_ROW, after_validation, diverged, roll_back
from rnncli.training.schedule import learning_rate
from rnncli.training.step import Best, Run, Step, norms_by_layer, train_step, weights_of

# Often enough to answer Ctrl-C at once and to move a bar smoothly, too seldom to cost anything.
REPORT_SECONDS = 0.1
# Without a budget: steps between validations, an epoch where it lies between them.
_FEWEST_STEPS, _MOST_STEPS = 100, 1_000

Clock = Callable[[], float]
Validate = Callable[[LanguageModel], Score]


def train(
    run: Run,
    windows: Windows,
    config: TrainConfig,
    validate: Validate,
    validation_seconds: float = 0.0,
    clock: Clock = time.perf_counter,  # on Windows the monotonic one ticks 64 times a second
    ranks: Ranks = ALONE,
    reserve_seconds: float = 0.0,
) -> Generator[Stepped | Evaluated | Noted | Savepoint]:
    """Go on with `run` until its budget or its patience is used up; after its last step comes an Evaluated.

    An Evaluated or a Savepoint is where the run should be saved: what a validation leads to, a return to the
    best weights or a lower rate, has been done by then, and a Noted says it afterwards.

    `validate` scores the held-out part; `validation_seconds` is a first guess at how long that
    takes, so that a time budget has room for the last one. `reserve_seconds` of it are for what comes
    after the training. Where several processes train together,
    rank 0 ends it for all, also by closing this generator.
    """
    began = clock() - run.seconds
    run.seconds = ranks.number(lambda: clock() - began)  # that of rank 0 is every one's
    kept_seconds, validation_began, ended = validation_seconds + reserve_seconds, math.nan, False
    # A larger budget than before moves the validations apart.
    run.validations = min(run.validations, _due(run, windows, config, kept_seconds))
    since_report, since_validation, saved = _Meter(clock()), _Meter(clock()), clock()
    try:
        while True:
            seconds = ranks.number(lambda: clock() - began)
            if ended or math.isnan(seconds):
                return
            run.seconds = seconds
            if not math.isnan(validation_began):
                # What is done with its report, a save above all, will be done after the last one too.
                kept_seconds = run.seconds - validation_began + reserve_seconds
                validation_began = math.nan
            if run.step == 0:
                run.first_step_seconds = run.seconds
            progress = _progress(run, config, kept_seconds)
            due = _due(run, windows, config, kept_seconds)
            if due > run.validations and run.step > run.validated_step:
                validation_began, score = run.seconds, ranks.told(lambda: validate(run.model))
                run.seconds = ranks.number(lambda: clock() - began)
                run.validations, run.validated_step = due, run.step
                best = _keep_best(run, score)
                ended, note = after_validation(run, score, config, progress)
                epoch = run.step / windows.windows_per_epoch
                yield Evaluated(run.step, epoch, run.seconds, since_validation.mean(), score, best)
                if note is not None:
                    yield note
                since_report, since_validation, saved = _Meter(clock()), _Meter(clock()), clock()
            elif progress >= 1.0:
                return
            else:
                rate = run.rate_factor * learning_rate(progress, config, run.warm_from)
                window = windows[run.step]
                step = train_step(run, window, config, rate, ranks)
                if step.learned:
                    since_report.add(step.nats, window.tokens)
                    since_validation.add(step.nats, window.tokens)
                if run.skipped_in_a_row >= MOST_SKIPPED_IN_A_ROW:
                    yield roll_back(run, config, progress)
                    since_report, since_validation = _Meter(clock()), _Meter(clock())
                if ranks.leads and clock() - since_report.began >= REPORT_SECONDS:
                    run.seconds = clock() - began
                    progress = _progress(run, config, kept_seconds)
                    yield _stepped(run, windows, config, since_report, clock(), progress, rate, step)
                    since_report = _Meter(clock())
                if ranks.leads and _save_is_due(run, config, clock() - saved):
                    run.seconds = clock() - began
                    yield Savepoint(run.step)
                    saved = clock()
    except GeneratorExit:
        ranks.number(lambda: math.nan)  # the others wait for the time
        raise


def resume_with(run: Run, config: TrainConfig, kept_seconds: float) -> None:
    """Prepare `run` for a budget other than it had: the rate rises again, from where it now belongs.

    `kept_seconds` of the time are for what comes after the last step. A rate that patience had lowered is
    whole again.
    """
    if run.lowered_at_step:
        run.rate_factor, run.lowered_at_step = 1.0, 0
    if run.step == 0:
        run.first_step_seconds = run.seconds
    run.warm_from = _progress(run, config, kept_seconds)
    run.validations_since_best = 0


def _save_is_due(run: Run, config: TrainConfig, seconds: float) -> bool:
    if config.save_steps is not None:
        return run.step % config.save_steps == 0
    return config.save_seconds is not None and seconds >= config.save_seconds


class _Meter:
    """The mean nats per token since an instant."""

    def __init__(self, began: float) -> None:
        self.began = began
        self.tokens = 0
        self._nats = 0.0

    def add(self, nats: float, tokens: int) -> None:
        self.tokens += tokens
        self._nats += nats * tokens

    def mean(self) -> float:
        return self._nats / self.tokens if self.tokens else math.nan


def _stepped(
    run: Run,
    windows: Windows,
    config: TrainConfig,
    meter: _Meter,
    now: float,
    progress: float,
    rate: float,
    step: Step,
) -> Stepped:
    return Stepped(
        step=run.step,
        epoch=run.step / windows.windows_per_epoch,
        seconds=run.seconds,
        seconds_left=_seconds_left(run, progress),
        progress=None if config.open_ended else progress,
        nats_per_token=meter.mean(),
        tokens_per_second=meter.tokens / (now - meter.began),
        learning_rate=rate,
        gradient_norm=step.norm,
        gradient_norms=norms_by_layer(run.model, step.norms),
        skipped_steps=run.skipped_steps,
    )


def _seconds_left(run: Run, progress: float) -> float | None:
    """At the pace since the first step: what was planned and prepared before it does not come again."""
    if progress == 0.0:
        return None
    return (run.seconds - run.first_step_seconds) * (1.0 - progress) / progress


def _progress(run: Run, config: TrainConfig, kept_seconds: float) -> float:
    """The part of the budget used up, 0..1: 0 at the first step, however short the time.

    A time budget keeps room for what comes after the last step. Without any budget it stays 0.
    """
    by_steps = run.step / config.steps if config.steps is not None else 0.0
    if config.seconds is None:
        return min(by_steps, 1.0)
    trainable_seconds = config.seconds - kept_seconds - run.first_step_seconds
    by_time = (run.seconds - run.first_step_seconds) / max(trainable_seconds, 1e-9)
    return min(max(by_steps, by_time), 1.0)


def _due(run: Run, windows: Windows, config: TrainConfig, kept_seconds: float) -> int:
    """How many validations there should have been by now."""
    if config.open_ended:
        return run.step // min(max(windows.windows_per_epoch, _FEWEST_STEPS), _MOST_STEPS)
    return math.floor(_progress(run, config, kept_seconds) * config.validations)


def _keep_best(run: Run, score: Score) -> bool:
    """Whether these weights are kept. Ruined ones never are: a run would go back to them."""
    known = run.best.score if run.best else None
    again = run.best is not None and run.best.step == run.step  # gone back to before it
    if diverged(run, score) or (known and score.nats >= known.nats and not again):
        run.validations_since_best += 1
        return False
    run.best = Best(score, run.step, weights_of(run.model))
    run.validations_since_best = 0
    return True
