"""The budget of a training run: how much of it is used, what is due, and how long the rest takes.

Everything here is pure: a `Budget` holds limits, a `Position` says how far a run has come, and every answer
depends on these two alone. Times are in seconds.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple, Self

from rnncli.training.config import TrainConfig

# Without a budget: steps between two validations; one epoch if it lies between these limits.
_MIN_VALIDATION_STEPS, _MAX_VALIDATION_STEPS = 100, 1_000
# A budget of time that leaves no time for training still has this much, so that progress stays defined.
_MIN_TRAINABLE_SECONDS = 1e-9


class Position(NamedTuple):
    """How far a run has come.

    Attributes:
        step: Number of training steps taken.
        seconds: Time used, over all resumes, from the start of the command that began the run.
        first_step_seconds: Time that was used when the first step began. Reading, planning and measuring
            come before it; they use up time but are no progress.
    """

    step: int
    seconds: float
    first_step_seconds: float = 0.0

    @property
    def training_seconds(self) -> float:
        """Time since the first step began."""
        return max(self.seconds - self.first_step_seconds, 0.0)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """The limits of a run: time, steps, whichever is reached first, or neither.

    A run without limits is open-ended: early stopping ends it.

    Attributes:
        seconds: Time for the whole run, with what comes before the first step; None: not limited.
        steps: Number of training steps; None: not limited.
        validations: Number of validations, spread evenly over the budget. The last is at its end.
        save_steps: A save is due after every so many steps; None: `save_seconds` decides.
        save_seconds: A save is due so long after the last one; None: no saves between validations.
        reserve_seconds: Time kept free for what comes after the last step: the last validation, saving the
            result, and fitting an n-gram.
    """

    seconds: float | None = None
    steps: int | None = None
    validations: int = 1
    save_steps: int | None = None
    save_seconds: float | None = None
    reserve_seconds: float = 0.0

    @classmethod
    def of(cls, config: TrainConfig, reserve_seconds: float = 0.0) -> Self:
        """Return the budget that a configuration sets."""
        return cls(
            seconds=config.seconds,
            steps=config.steps,
            validations=config.validations,
            save_steps=config.save_steps,
            save_seconds=config.save_seconds,
            reserve_seconds=reserve_seconds,
        )

    @property
    def open_ended(self) -> bool:
        """Whether neither time nor steps are limited."""
        return self.seconds is None and self.steps is None

    def progress(self, position: Position) -> float:
        """Return the fraction of the budget that is used, from 0 to 1.

        It is 0 at the first step, however short the time is, so that every run takes at least one step. An
        open-ended run stays at 0.
        """
        by_steps = position.step / self.steps if self.steps is not None else 0.0
        if self.seconds is None:
            return min(by_steps, 1.0)
        trainable_seconds = self.seconds - self.reserve_seconds - position.first_step_seconds
        by_time = position.training_seconds / max(trainable_seconds, _MIN_TRAINABLE_SECONDS)
        return min(max(by_steps, by_time), 1.0)

    def exhausted(self, position: Position) -> bool:
        """Return whether no further step may be taken."""
        return self.progress(position) >= 1.0

    def seconds_left(self, position: Position) -> float | None:
        """Return the time to the end at the pace since the first step; None while there is no progress."""
        progress = self.progress(position)
        if progress == 0.0:
            return None
        return position.training_seconds * (1.0 - progress) / progress

    def validations_due(self, position: Position, batches_per_epoch: int) -> int:
        """Return how many validations there should have been by now.

        Args:
            position: How far the run has come.
            batches_per_epoch: Number of steps in an epoch; an open-ended run is validated about once in each.
        """
        if self.open_ended:
            return position.step // min(max(batches_per_epoch, _MIN_VALIDATION_STEPS), _MAX_VALIDATION_STEPS)
        return math.floor(self.progress(position) * self.validations)

    def save_due(self, position: Position, seconds_since_save: float) -> bool:
        """Return whether the run should be saved now, between two validations."""
        if self.save_steps is not None:
            return position.step % self.save_steps == 0
        return self.save_seconds is not None and seconds_since_save >= self.save_seconds


def steps_in_epochs(epochs: float, batches_per_epoch: float) -> int:
    """Return the number of steps that so many epochs take, at least one."""
    return max(1, round(epochs * batches_per_epoch))
