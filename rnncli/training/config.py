"""Configuration of training: the budget and the hyperparameters."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from rnncli.data.config import ReadOptions, TextOptions
from rnncli.errors import ConfigError, OptionError
from rnncli.nn.config import ModelOptions
from rnncli.options import OptionGroup, check, option

Precision = Literal["fp32", "bf16"]
Kernels = Literal["torch", "fused"]
DEFAULT_SECONDS = 300.0
_BUDGET, _TRAINING = (
    "Budget (training stops at the first limit reached)",
    "Training (what is not given is planned)",
)
_UNIT_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_MOST_SECONDS = 86400.0 * 10**6
_DECIMAL = r"\d+(?:\.\d+)?"


@dataclass(frozen=True)
class Amount:
    """An amount of a budget: in total, or `further`, on top of what a resumed run has used."""

    value: float
    further: bool = False

    def total(self, used: float) -> float:
        return self.value + used if self.further else self.value


@dataclass(frozen=True)
class Interval:
    """A number of steps, or of seconds."""

    steps: int | None = None
    seconds: float | None = None


def parse_time(text: str) -> Amount:
    """Return the seconds in "90s", "5m", "1h30m" or "+10m"; raises OptionError."""
    return Amount(_seconds("time", text.strip().removeprefix("+")), text.strip().startswith("+"))


def parse_steps(text: str) -> Amount:
    """Return the whole number in "2000" or "+2000"; raises OptionError."""
    return _amount("steps", text, r"[0-9]{1,15}", "a whole number such as 2000")


def parse_epochs(text: str) -> Amount:
    """Return the number in "10", "0.5" or "+3"; raises OptionError."""
    return _amount("epochs", text, _DECIMAL, "a number such as 10 or 0.5")


def parse_interval(text: str) -> Interval:
    """Return the steps in "200", or the seconds in "30s" or "5m"; raises OptionError."""
    if text.strip().isdecimal():
        return Interval(steps=int(_amount("save every", text, r"[0-9]{1,15}", "such as 200 or 5m").value))
    return Interval(seconds=_seconds("save every", text))


def _amount(name: str, text: str, pattern: str, expected: str) -> Amount:
    number = text.strip().removeprefix("+")
    if not re.fullmatch(pattern, number) or float(number) == 0.0:
        raise _unparsed(name, text, expected, "10")
    return Amount(float(number), text.strip().startswith("+"))


def _seconds(name: str, text: str) -> float:
    parts = re.findall(rf"({_DECIMAL})([smhd])", text.strip().lower())
    if not parts or "".join(amount + unit for amount, unit in parts) != text.strip().lower():
        raise _unparsed(name, text, "a time such as 90s, 5m or 1h30m", "5m")
    total = sum(float(amount) * _UNIT_SECONDS[unit] for amount, unit in parts)
    if not 0.0 < total <= _MOST_SECONDS:
        raise _unparsed(name, text, "more than 0 and at most a million days", "5m")
    return total


def _unparsed(name: str, text: str, expected: str, example: str) -> OptionError:
    flag = name.replace(" ", "-")
    return OptionError(f"{name} is {text!r}; it must be {expected}", hint=f"for example --{flag} {example}")


@dataclass(frozen=True, kw_only=True)
class BudgetOptions(OptionGroup):
    """When training stops, and how often it is saved.

    A time is text such as "5m", or a number of seconds. An amount such as "+10m" adds to what a resumed run
    has used.
    """

    time: str | float | None = option(
        None,
        help="Total time, planning and validation included.",
        above=0,
        max=_MOST_SECONDS,
        parse=parse_time,
        metavar="90s|5m|1h30m",
        shown=f"{DEFAULT_SECONDS / 60:g}m",
        panel=_BUDGET,
    )
    epochs: str | float | None = option(
        None,
        help="Number of passes over the training split.",
        above=0,
        max=1e9,
        parse=parse_epochs,
        metavar="N|+N",
        panel=_BUDGET,
    )
    steps: str | int | None = option(
        None,
        help="Number of optimizer steps.",
        min=1,
        max=10**12,
        parse=parse_steps,
        metavar="N|+N",
        panel=_BUDGET,
    )
    patience: int | None = option(
        None,
        help="Stop after N validations without improvement.",
        min=1,
        max=10_000,
        metavar="N",
        panel=_BUDGET,
        advanced=True,
    )
    save_every: str | int | None = option(
        None,
        help="Interval between checkpoints, besides one at every validation.",
        min=1,
        max=10**12,
        parse=parse_interval,
        metavar="STEPS|TIME",
        shown="5m",
        panel=_BUDGET,
        advanced=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.epochs is not None and self.steps is not None:
            raise ConfigError("both --steps and --epochs are given", hint="give one of them")

    @property
    def time_amount(self) -> Amount | None:
        """The time, in seconds."""
        return parse_time(self.time) if isinstance(self.time, str) else _plain(self.time)

    @property
    def epochs_amount(self) -> Amount | None:
        return parse_epochs(self.epochs) if isinstance(self.epochs, str) else _plain(self.epochs)

    @property
    def steps_amount(self) -> Amount | None:
        return parse_steps(self.steps) if isinstance(self.steps, str) else _plain(self.steps)

    @property
    def save_interval(self) -> Interval:
        if isinstance(self.save_every, str):
            return parse_interval(self.save_every)
        return Interval(steps=self.save_every)

    def refuse_further(self) -> None:
        """Raise ConfigError if an amount adds to that of a run which does not exist."""
        for name in ("time", "epochs", "steps"):
            amount = getattr(self, f"{name}_amount")
            if amount is not None and amount.further:
                value = getattr(self, name)
                raise ConfigError(
                    f"{name} is {value}, more than an earlier run, and no run is resumed",
                    hint=f"use --{name} {value.lstrip('+ ')}, or resume a run with --resume NAME",
                )


def _plain(number: float | None) -> Amount | None:
    return None if number is None else Amount(number)


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(OptionGroup):
    """How a model is trained; None leaves a choice to the planner."""

    batch_size: int | None = option(None, help="Batch size.", min=1, max=65_536, metavar="N", panel=_TRAINING)
    learning_rate: float | None = option(
        None,
        help="Peak learning rate.",
        above=0,
        below=100,
        metavar="LR",
        panel=_TRAINING,
    )
    seed: int = option(
        1,
        help="Random seed of the weights and of dropout.",
        min=0,
        max=2**62 - 1,  # the largest number that a record may hold: see strict reading of JSON
        metavar="N",
        panel=_TRAINING,
    )
    bptt: int | None = option(
        None,
        help="Length of truncated backpropagation through time, in tokens.",
        min=1,
        max=65_536,
        metavar="T",
        panel=_TRAINING,
        advanced=True,
    )
    weight_decay: float | None = option(
        None,
        help="Weight decay of AdamW, applied to matrices.",
        min=0,
        below=100,
        metavar="W",
        panel=_TRAINING,
        advanced=True,
    )
    gradient_clip: float = option(
        1.0,
        help="Maximum gradient norm (clipping).",
        above=0,
        below=1e12,
        metavar="NORM",
        panel=_TRAINING,
        advanced=True,
    )
    activation_regularization: float | None = option(
        None,
        help="Activation regularization (AR) coefficient.",
        min=0,
        below=1e6,
        metavar="ALPHA",
        panel=_TRAINING,
        advanced=True,
    )
    temporal_regularization: float | None = option(
        None,
        help="Temporal activation regularization (TAR) coefficient.",
        min=0,
        below=1e6,
        metavar="BETA",
        panel=_TRAINING,
        advanced=True,
    )
    warmup: float = option(
        0.02,
        help="Fraction of the budget in which the learning rate rises.",
        min=0,
        below=1,
        metavar="F",
        panel=_TRAINING,
        advanced=True,
    )
    validations: int | None = option(
        None,
        help="Number of validations.",
        min=1,
        max=10_000,
        metavar="N",
        panel=_TRAINING,
        advanced=True,
    )
    validation_tokens: int | None = option(
        None,
        help="Number of tokens that a validation scores, spread evenly over the validation split.",
        min=1,
        max=10**12,
        metavar="N",
        panel=_TRAINING,
        advanced=True,
    )
    precision: Precision | None = option(
        None,
        help="Precision of matrix products: fp32, bf16, or auto (the fastest here if the budget is a time, "
        "else bf16 with fused CPU kernels).",
        metavar="NAME",
        choices=("auto", *get_args(Precision)),
        shown="auto",
        panel=_TRAINING,
        advanced=True,
    )
    kernels: Kernels | None = option(
        None,
        help="Kernels of the recurrent layers: torch, fused (CPU), or auto.",
        metavar="NAME",
        choices=("auto", *get_args(Kernels)),
        shown="auto",
        panel=_TRAINING,
        advanced=True,
    )
    threads: int | None = option(
        None,
        help="Number of CPU threads.",
        min=1,
        max=1024,
        metavar="N",
        shown="the fastest number if the budget is a time, else torch's",
        panel=_TRAINING,
        advanced=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("precision", "kernels"):
            if getattr(self, name) == "auto":
                object.__setattr__(self, name, None)
        if self.kernels == "fused" and self.precision is None:
            object.__setattr__(self, "precision", "bf16")  # the only one that fused kernels have
        _check_kernels(self.kernels, self.precision)


def _check_kernels(kernels: Kernels | None, precision: Precision | None) -> None:
    if kernels == "fused" and precision != "bf16":
        raise ConfigError("fused kernels compute in bf16", hint="add --precision bf16")


@dataclass(frozen=True, kw_only=True)
class TrainOptions(OptionGroup):
    """All options of a training."""

    read: ReadOptions = ReadOptions()
    text: TextOptions = TextOptions()
    budget: BudgetOptions = BudgetOptions()
    model: ModelOptions = ModelOptions()
    training: TrainingOptions = TrainingOptions()


@dataclass(frozen=True, kw_only=True)
class _Limits(OptionGroup):
    """Ranges of a resolved budget."""

    seconds: float | None = option(None, help="", above=0, max=_MOST_SECONDS, name="time")
    steps: int | None = option(None, help="", min=1, max=10**12)
    patience: int | None = option(None, help="", min=1, max=10_000)
    save_steps: int | None = option(None, help="", min=1, max=10**12, name="save_every")
    save_seconds: float | None = option(None, help="", above=0, max=_MOST_SECONDS, name="save_every")


@dataclass(frozen=True)
class TrainConfig:
    """Configuration of truncated backpropagation through time with AdamW.

    The budget is `seconds` or `steps`, whichever is exhausted first; `patience`, a number of successive
    validations without improvement, ends a training earlier, or alone if there is no budget. `warmup` is the
    fraction of the budget in which the learning rate rises. `validations` are spread evenly over the budget,
    the last at its end; each scores about `validation_tokens`, spread over the validation split. A checkpoint
    is saved at every validation, and every `save_steps` or, without these, `save_seconds`. `kernels` are
    torch's own or those of nn/fused/kernels.py; `threads` is the number of CPU threads (None: as torch sets
    it).
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
            raise ConfigError("no budget is given", hint="give --time, --steps, --epochs or --patience")
        check(self, _Limits)
        check(self, TrainingOptions)
        _check_kernels(self.kernels, self.precision)

    @property
    def open_ended(self) -> bool:
        """Whether nothing but patience ends the run."""
        return self.seconds is None and self.steps is None
