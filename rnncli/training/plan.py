"""Corpus, budget and machine in; every size and setting out.

A person's wishes come first; what is left open is chosen by the rules below, with reasons for what
the text, the time or the machine decided. The speeds are measured by taking real training steps.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from rnncli.errors import ConfigError
from rnncli.model.acceleration import BLOCK
from rnncli.model.config import ModelConfig
from rnncli.reports import Planned
from rnncli.text.config import Level
from rnncli.text.lines import LENGTH_STEP
from rnncli.training.config import DEFAULT_SECONDS, Kernels, Precision, TrainConfig
from rnncli.training.forecast import (
    CorpusSize,
    affordable_validation_tokens,
    budget_seconds,
    memory_bytes,
    predict,
    step_tokens,
    validation_seconds,
)

# (model, settings, seconds to spend) -> training tokens per second
Measure = Callable[[ModelConfig, TrainConfig, float], float]

_WIDTHS = (64, 96, 128, 192, 256, 384, 512, 640, 768, 1024)
# What speeds are told apart with: a width that every machine can train.
_REFERENCE = ModelConfig(vocab_size=256, cell="gru", hidden_size=256)
# Speed falls more slowly than arithmetic grows: larger products keep the processor busier.
_SPEED_EXPONENT = 0.6
# Measured on texts of 30 kB to 1 MB: narrower learns less in the same minutes, wider gets too few
# tokens or, on a short text, only memorises sooner.
_TOKENS_PER_PARAMETER = 3.0
_PARAMETERS_PER_TEXT_TOKEN = 10
# The best rate falls with the width: 6e-3 at 384, 4e-3 at 512.
_RATE_TIMES_WIDTH, _HIGHEST_RATE = 2.0, 8e-3
# Of that, for weights that are trained already.
_FINE_TUNING = 0.5
# From here the logits cost more than the recurrence, and one matrix for both ends saves half of it.
_LARGE_VOCABULARY = 2_000
_SHORT_TEXT_TOKENS = 300_000
_SHORT_TEXT_DROPOUT = 0.5
# On short texts the held-out loss turns upwards after about this many epochs.
_ENOUGH_EPOCHS = 20
# Lines as samples: the longest that is learned in one stretch, and the most side by side.
_LONGEST_LINE_WINDOW, _MOST_LINES = 256, 512
# Shares of a time budget: for one measurement before the start, one validation, all validations.
_PROBE_SHARE, _VALIDATION_SHARE, _VALIDATIONS_SHARE = 0.01, 0.02, 0.06
_LONGEST_PROBE_SECONDS = 1.0
_FEWEST_VALIDATIONS, _MOST_VALIDATIONS = 3, 20


@dataclass(frozen=True)
class Wishes:
    """What a person asked for; fields of ModelConfig and TrainConfig that are not named are free."""

    model: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    epochs: float | None = None

    def __post_init__(self) -> None:
        if self.epochs is not None and self.training.get("steps") is not None:
            raise ConfigError("both --steps and --epochs are given", hint="give one of them")
        if self.open_ended and "validations" in self.training:
            raise ConfigError(
                "validations have no meaning without a budget",
                hint="add --time, --steps or --epochs, or leave them out",
            )
        if self.epochs is not None and not 0.0 < self.epochs < 1e9:
            raise ConfigError(f"epochs is {self.epochs}", hint="it is more than 0, for example 10")
        # Values out of range are refused here, before a text is read and the machine measured.
        widths = {"embedding_size": 1, "hidden_size": 1} if self.model.get("tied_embeddings") else {}
        ModelConfig(**{"vocab_size": 2, **widths, **self.model})
        TrainConfig(**{"steps": 1, **self.training})

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Wishes":
        """From settings by name; None and names of neither config are passed over."""
        given = {name: value for name, value in settings.items() if value not in (None, "auto")}
        given.pop("vocab_size", None)  # at most so many: a wish about the text, not the model's own size
        model = {entry.name: given[entry.name] for entry in fields(ModelConfig) if entry.name in given}
        if model.get("tied_embeddings"):  # one width names both
            for one, other in (("hidden_size", "embedding_size"), ("embedding_size", "hidden_size")):
                if one in model:
                    model.setdefault(other, model[one])
        training = {entry.name: given[entry.name] for entry in fields(TrainConfig) if entry.name in given}
        if training.get("kernels") == "fused":
            training.setdefault("precision", "bf16")  # the only one they have
        return cls(model, training, given.get("epochs"))

    @property
    def seconds(self) -> float | None:
        """The time budget; the default where nothing else ends the run."""
        ended = self.epochs is not None or "steps" in self.training or "patience" in self.training
        return self.training.get("seconds", None if ended else DEFAULT_SECONDS)

    @property
    def open_ended(self) -> bool:
        """Whether nothing but patience ends the run."""
        return self.seconds is None and self.epochs is None and "steps" not in self.training


@dataclass(frozen=True)
class Plan:
    """Settings that can be trained as they are, and what was promised of them."""

    model: ModelConfig
    training: TrainConfig
    planned: Planned
    validation_seconds: float


@dataclass(frozen=True)
class Machine:
    """Measured speed of the reference model, in tokens per second; memory, if that is known; kernels."""

    tokens_per_second: float
    device: str
    memory_bytes: int | None = None
    fused: bool = False


def measure_machine(
    measure: Measure, wishes: Wishes, device: str, memory_bytes: int | None, fused: bool
) -> Machine:
    """The speed of the reference model; a second or two, less for a short budget.

    `fused` says whether the kernels of model/kernels.py can be used on this machine.
    """
    machine = Machine(0.0, device, memory_bytes, fused)
    speed = _choose_arrangement(_REFERENCE, TrainConfig(steps=1), wishes, machine, measure)[1]
    return replace(machine, tokens_per_second=speed)


def affordable_level(
    level: Level, characters: int, wishes: Wishes, machine: Machine
) -> tuple[Level, list[str]]:
    """The level and why: subword in place of char where the time would not do to read it all once."""
    if level == "word":
        return level, ["level word: the text marks its unknown words itself"]
    if level == "char" and wishes.seconds and characters > machine.tokens_per_second * wishes.seconds:
        return "subword", ["level subword: the time would not do to read every character once"]
    return level, []


def make_plan(
    corpus: CorpusSize,
    wishes: Wishes,
    machine: Machine,
    measure: Measure,
    used_seconds: float = 0.0,
    reasons: list[str] | None = None,
) -> Plan:
    """Fill in every setting that was left open; raises ConfigError where wishes cannot be met.

    `used_seconds` of the time are over already; `reasons` are those for earlier choices.
    """
    reasons = list(reasons or [])
    model = _choose_model(corpus, wishes, machine, reasons)
    training = _choose_window(corpus, wishes, model)
    _check_memory(model, memory_bytes(model, training, machine.device), machine)
    training, speed = _choose_arrangement(model, training, wishes, machine, _for_lines(measure, corpus))
    training = _choose_budget(training, corpus, wishes, speed, reasons)
    training = _choose_validations(training, corpus, wishes, speed)
    planned = predict(corpus, model, training, machine.device, speed, used_seconds, reasons=tuple(reasons))
    return Plan(model, training, planned, validation_seconds(training, corpus, speed))


def _choose_model(corpus: CorpusSize, wishes: Wishes, machine: Machine, reasons: list[str]) -> ModelConfig:
    large = corpus.vocab_size >= _LARGE_VOCABULARY
    short = corpus.train_tokens < _SHORT_TEXT_TOKENS

    def at_width(width: int) -> ModelConfig:
        tied = wishes.model.get("tied_embeddings", large and "embedding_size" not in wishes.model)
        chosen = {
            "vocab_size": corpus.vocab_size,
            "hidden_size": width,
            "tied_embeddings": tied,
            "embedding_size": width if tied else min(width, ModelConfig.embedding_size),
            "dropout": _SHORT_TEXT_DROPOUT if short else ModelConfig.dropout,
        }
        return ModelConfig(**{**chosen, **wishes.model})

    if "hidden_size" in wishes.model:
        return at_width(wishes.model["hidden_size"])
    fitting = at_width(_WIDTHS[0])
    for width in _WIDTHS[1:]:
        wider = at_width(width)
        if wider.recurrent_parameters > _PARAMETERS_PER_TEXT_TOKEN * corpus.train_tokens:
            reasons.append(f"width {fitting.hidden_size}: a wider one would only memorise so short a text")
            break
        tokens = _affordable_tokens(wider, corpus, wishes, machine)
        if tokens < _TOKENS_PER_PARAMETER * wider.recurrent_parameters:
            reasons.append(f"width {fitting.hidden_size}: a wider one would see too few tokens")
            break
        fitting = wider
    return fitting


def _affordable_tokens(model: ModelConfig, corpus: CorpusSize, wishes: Wishes, machine: Machine) -> float:
    """Tokens that the budget lets a model train on; steps and epochs count the same on any machine."""
    if wishes.seconds is not None:
        return _guessed_speed(model, machine) * wishes.seconds
    if wishes.epochs is not None or wishes.open_ended:
        return (wishes.epochs or _ENOUGH_EPOCHS) * corpus.train_tokens
    window = _choose_window(corpus, wishes, model)
    return float(wishes.training["steps"]) * step_tokens(corpus, window.batch_size, window.bptt)


def _guessed_speed(model: ModelConfig, machine: Machine) -> float:
    """Tokens per second, from the reference model's and the ratio of their arithmetic."""

    def products(config: ModelConfig) -> int:
        return config.recurrent_parameters + config.vocab_size * config.hidden_size

    return float(machine.tokens_per_second * (products(_REFERENCE) / products(model)) ** _SPEED_EXPONENT)


def fine_tuning_rate(model: ModelConfig) -> float:
    """The highest rate for weights that are trained already."""
    return _FINE_TUNING * _training_rate(model)


def _training_rate(model: ModelConfig) -> float:
    return min(_RATE_TIMES_WIDTH / model.hidden_size, _HIGHEST_RATE)


def _choose_window(corpus: CorpusSize, wishes: Wishes, model: ModelConfig) -> TrainConfig:
    """Lanes, window and rate; fewer lanes where the text would not fill eight windows."""
    bptt = wishes.training.get("bptt", TrainConfig.bptt)
    batch_size = wishes.training.get("batch_size", TrainConfig.batch_size)
    if corpus.lines is not None:
        # Short lines side by side, as many as make a window of the usual size; long ones uncut.
        bptt = wishes.training.get("bptt", min(corpus.lines.longest, _LONGEST_LINE_WINDOW))
        if "batch_size" not in wishes.training:
            batch_size = _MOST_LINES
            usual = TrainConfig.batch_size * TrainConfig.bptt
            while batch_size > 1 and (
                step_tokens(corpus, batch_size, bptt) > usual or 8 * batch_size > corpus.lines.number
            ):
                batch_size //= 2
    elif "batch_size" not in wishes.training:
        while batch_size > 1 and 8 * batch_size * bptt > corpus.train_tokens:
            batch_size //= 2
    if corpus.lines is None and "bptt" not in wishes.training:
        while bptt > 1 and batch_size * bptt > corpus.train_tokens:
            bptt //= 2
    chosen = {
        "steps": 1,  # until the budget is chosen
        "batch_size": batch_size,
        "bptt": bptt,
        "learning_rate": _training_rate(model),
    }
    open_ended = {key: value for key, value in wishes.training.items() if key not in ("seconds", "steps")}
    return TrainConfig(**{**chosen, **open_ended})


def _for_lines(measure: Measure, corpus: CorpusSize) -> Measure:
    """Measured in windows as long as the mean line, which are partly padding."""
    if corpus.lines is None:
        return measure
    mean = corpus.train_tokens / corpus.lines.number

    def measure_lines(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        width = min(-(-int(mean) // LENGTH_STEP) * LENGTH_STEP, training.bptt)
        return measure(model, replace(training, bptt=width), seconds) * min(mean / width, 1.0)

    return measure_lines


def _choose_arrangement(
    model: ModelConfig, training: TrainConfig, wishes: Wishes, machine: Machine, measure: Measure
) -> tuple[TrainConfig, float]:
    """Settings and speed in the precision and with the kernels that are fastest here, by a tenth at least."""
    candidates: list[tuple[Precision, Kernels]] = [("fp32", "torch"), ("bf16", "torch")]
    if machine.fused and model.hidden_size % BLOCK == 0:
        candidates.append(("bf16", "fused"))
    wished = [
        (precision, kernels)
        for precision, kernels in candidates
        if precision == wishes.training.get("precision", precision)
        and kernels == wishes.training.get("kernels", kernels)
    ]
    if not wished:
        raise ConfigError(
            "fused kernels cannot be used here",
            hint=f"they need bf16, a width that is a multiple of {BLOCK}, and AVX-512 under Linux",
        )
    best, best_speed = training, 0.0
    for precision, kernels in wished:
        tried = replace(training, precision=precision, kernels=kernels)
        speed = measure(model, tried, _probe_seconds(wishes))
        if speed > 1.1 * best_speed:
            best, best_speed = tried, speed
    return best, best_speed


def _choose_budget(
    training: TrainConfig, corpus: CorpusSize, wishes: Wishes, speed: float, reasons: list[str]
) -> TrainConfig:
    """Seconds, steps, or both where the time is more than the text needs; neither without a budget."""
    if wishes.open_ended:
        return replace(training, seconds=None, steps=None)
    tokens_a_step = step_tokens(corpus, training.batch_size, training.bptt)
    steps_per_epoch = max(1, int(corpus.train_tokens / tokens_a_step))
    steps = wishes.training.get("steps")
    if wishes.epochs is not None:
        steps = max(1, round(wishes.epochs * steps_per_epoch))
    if steps is None:
        assert wishes.seconds is not None
        enough = _ENOUGH_EPOCHS * steps_per_epoch
        if wishes.seconds * speed > enough * tokens_a_step:
            steps = enough
            reasons.append(
                f"{_ENOUGH_EPOCHS} epochs: more would only memorise this text (--epochs has the last word)"
            )
    return replace(training, seconds=wishes.seconds, steps=steps)


def _choose_validations(
    training: TrainConfig, corpus: CorpusSize, wishes: Wishes, speed: float
) -> TrainConfig:
    """As much of the held-out part, as often, as small shares of the time pay for.

    A run counted in steps keeps the fixed defaults: it must not depend on the machine's speed.
    """
    if wishes.seconds is None:
        return training
    seconds = budget_seconds(corpus, training, speed, 0.0, 0, 0.0)
    if "validation_tokens" not in wishes.training:
        tokens = affordable_validation_tokens(corpus, speed, _VALIDATION_SHARE * seconds)
        training = replace(training, validation_tokens=tokens)
    if "validations" not in wishes.training:
        affordable = int(_VALIDATIONS_SHARE * seconds / validation_seconds(training, corpus, speed))
        number = min(max(affordable, _FEWEST_VALIDATIONS), _MOST_VALIDATIONS)
        training = replace(training, validations=number)
    return training


def _check_memory(model: ModelConfig, needed_bytes: int, machine: Machine) -> None:
    if machine.memory_bytes is not None and needed_bytes > machine.memory_bytes:
        raise ConfigError(
            f"{model.architecture} needs about {needed_bytes / 1e9:,.0f} GB to train; "
            f"{machine.device} has {machine.memory_bytes / 1e9:,.0f} GB",
            hint="use a smaller --hidden-size, --num-layers, --batch-size or --vocab-size",
        )


def _probe_seconds(wishes: Wishes) -> float:
    if wishes.seconds is None:
        return 0.2
    return min(_PROBE_SHARE * wishes.seconds, _LONGEST_PROBE_SECONDS)
