"""What the user chose of a plan: model, hyperparameters and budget."""

from dataclasses import dataclass, field, replace

from rnncli.errors import ConfigError
from rnncli.nn.config import ModelOptions
from rnncli.training.config import DEFAULT_SECONDS, BudgetOptions, TrainConfig, TrainingOptions


@dataclass(frozen=True, kw_only=True)
class Overrides:
    """What the planner must not choose; None leaves a choice to it.

    Attributes:
        model: Sizes of the model, completed by what follows from them.
        training: Hyperparameters.
        time: Time budget in seconds; see `seconds`.
        epochs: Budget in passes over the training split.
        steps: Budget in optimizer steps.
        patience: Validations without improvement that end the run.
        save_steps: Steps between checkpoints.
        save_seconds: Seconds between checkpoints, if `save_steps` is None.
    """

    model: ModelOptions = field(default_factory=ModelOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    time: float | None = None
    epochs: float | None = None
    steps: int | None = None
    patience: int | None = None
    save_steps: int | None = None
    save_seconds: float | None = TrainConfig.save_seconds

    def __post_init__(self) -> None:
        if self.open_ended and self.training.validations is not None:
            raise ConfigError(
                "validations have no meaning without a budget",
                hint="add --time, --steps or --epochs, or leave them out",
            )

    @classmethod
    def of(
        cls,
        model: ModelOptions = ModelOptions(),
        training: TrainingOptions = TrainingOptions(),
        budget: BudgetOptions = BudgetOptions(),
    ) -> "Overrides":
        """Take them from options; raises ConfigError if they contradict each other."""
        budget.refuse_further()
        time, epochs, steps = budget.time_amount, budget.epochs_amount, budget.steps_amount
        return cls(
            model=model.completed(),
            training=training,
            time=None if time is None else time.value,
            epochs=None if epochs is None else epochs.value,
            steps=None if steps is None else round(steps.value),
            patience=budget.patience,
            save_steps=budget.save_interval.steps,
            save_seconds=budget.save_interval.seconds or TrainConfig.save_seconds,
        )

    @property
    def seconds(self) -> float | None:
        """The time budget; the default where nothing else ends the run."""
        ended = self.epochs is not None or self.steps is not None or self.patience is not None
        return DEFAULT_SECONDS if self.time is None and not ended else self.time

    def after(self, seconds: float) -> "Overrides":
        """Return the same with what is left of the time budget after `seconds` of it."""
        return self if self.seconds is None else replace(self, time=max(self.seconds - seconds, 1e-3))

    @property
    def open_ended(self) -> bool:
        """Whether only patience ends the run."""
        return self.seconds is None and self.epochs is None and self.steps is None
