"""How a model is trained: the settings of a run, and the budget that ends it."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from rnncli.errors import ConfigError

Precision = Literal["fp32", "bf16"]
Kernels = Literal["torch", "fused"]
DEFAULT_SECONDS = 300.0


@dataclass(frozen=True)
class TrainConfig:
    """Settings of truncated back-propagation through time with AdamW.

    The budget is `seconds`, `steps`, or whichever of them is used up first; `patience`, validations in
    a row that bring nothing better, ends a run before that, or alone where there is no budget.
    What activations and their changes cost is in training/regularization.py.
    `warmup` is the share of the budget in which the rate rises. `validations` are spread evenly over
    it, the last at its end; each scores about `validation_tokens` from all over the held-out part.
    A run is saved after every validation, and after every `save_steps` or, without these, `save_seconds`.
    `kernels` says who computes the recurrent layers: torch's own, or the fused ones of nn/fused/kernels.py;
    `threads` how many of the processor's are used, None: as many as torch takes.
    """

    seconds: float | None = None
    steps: int | None = None
    patience: int | None = None
    batch_size: int = 16
    bptt: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    activation_regularization: float = 0.0
    temporal_regularization: float = 0.0
    warmup: float = 0.02
    validations: int = 10
    validation_tokens: int = 100_000
    precision: Precision = "fp32"
    kernels: Kernels = "torch"
    threads: int | None = None
    seed: int = 1
    save_steps: int | None = None
    save_seconds: float | None = 300.0

    def __post_init__(self) -> None:
        if self.open_ended and self.patience is None:
            raise ConfigError("a run needs an end", hint="give --time, --steps, --epochs or --patience")
        for field, value, low, high in (
            ("steps", self.steps, 1, 10**12),
            ("patience", self.patience, 1, 10_000),
            ("batch-size", self.batch_size, 1, 65_536),
            ("bptt", self.bptt, 1, 65_536),
            ("validations", self.validations, 1, 10_000),
            ("validation-tokens", self.validation_tokens, 1, 10**12),
            ("seed", self.seed, 0, 2**62 - 1),  # what a record of it may hold: strict.py
            ("threads", self.threads, 1, 1024),
            ("save-every", self.save_steps, 1, 10**12),
        ):
            if value is not None and (type(value) is not int or not low <= value <= high):
                raise ConfigError(f"{field} is {value}", hint=f"it is a whole number from {low} to {high:,}")
        for field, number, positive, below in (
            ("time", self.seconds, True, math.inf),
            ("learning-rate", self.learning_rate, True, 100.0),
            ("weight-decay", self.weight_decay, False, 100.0),
            ("gradient-clip", self.gradient_clip, True, 1e12),
            ("activation-regularization", self.activation_regularization, False, 1e6),
            ("temporal-regularization", self.temporal_regularization, False, 1e6),
            ("warmup", self.warmup, False, 1.0),
            ("save-every", self.save_seconds, True, math.inf),
        ):
            if number is not None and not (0.0 <= number < below and (number > 0.0 or not positive)):
                at_least = "more than 0" if positive else "at least 0"
                limit = f" and less than {below:g}" if math.isfinite(below) else ""
                raise ConfigError(f"{field} is {number}", hint=f"it is {at_least}{limit}")
        for name, choice, allowed in (
            ("precision", self.precision, get_args(Precision)),
            ("kernels", self.kernels, get_args(Kernels)),
        ):
            if choice not in allowed:
                raise ConfigError(f"{name} is {choice!r}", hint=f"it is one of {', '.join(allowed)}")
        if self.kernels == "fused" and self.precision != "bf16":
            raise ConfigError("fused kernels compute in bf16", hint="add --precision bf16")

    @property
    def open_ended(self) -> bool:
        """Whether nothing but patience ends the run."""
        return self.seconds is None and self.steps is None
