"""The planner: from the text, the budget and the machine to a complete configuration.

What the user chose stands; training/hyperparameters.py chooses the rest. What the text, the budget or the
machine decided is returned as decisions with their reasons. Times are in seconds, throughputs in training
tokens per second.
"""

from dataclasses import dataclass, replace

from rnncli.data.config import Level
from rnncli.data.statistics import character_epochs_needed
from rnncli.errors import TrainingError
from rnncli.events import Planned
from rnncli.nn.config import ModelConfig
from rnncli.nn.fused.support import layers_have_kernels
from rnncli.training.backends import Backend
from rnncli.training.budget import steps_in_epochs
from rnncli.training.config import TrainConfig
from rnncli.training.cost_model import (
    CorpusSize,
    affordable_validation_tokens,
    budget_seconds,
    memory_bytes,
    ngram_seconds,
    predict,
    step_tokens,
    validation_seconds,
)
from rnncli.training.hardware import HardwareProfile, choose_backend, for_lines
from rnncli.training.hyperparameters import (
    HIDDEN_SIZES,
    MAX_ENSEMBLE_SIZE,
    Decision,
    against_overfitting,
    choose_model_config,
    choose_training,
    enough_epochs,
)
from rnncli.training.overrides import Overrides
from rnncli.training.throughput import ThroughputBenchmark

# Networks whose throughput was predicted that are measured before one is chosen; mostly the first is.
_MAX_CANDIDATES = 3
# From here on the reference model, with its small vocabulary, predicts too high a throughput: with a
# vocabulary of 50,000 the measured one is a half, with 200,000 a quarter. So the smallest network with the
# same vocabulary is measured first.
_FAR_VOCABULARY = 20_000
# Fractions of a budget of time: for one validation, and for all of them.
_VALIDATION_FRACTION, _VALIDATIONS_FRACTION = 0.02, 0.06
_MIN_VALIDATIONS, _MAX_VALIDATIONS = 3, 20


@dataclass(frozen=True)
class Plan:
    """A complete configuration, and a prediction of the run.

    Attributes:
        model: The architecture.
        training: The training configuration.
        planned: The prediction, as an event that can be shown.
        decisions: What was chosen for a reason, with the reason; `planned.reasons` are their sentences.
        validation_seconds: Predicted time of one validation.
        ngram_seconds: Time reserved for fitting an n-gram after the training, or 0.
    """

    model: ModelConfig
    training: TrainConfig
    planned: Planned
    decisions: tuple[Decision, ...]
    validation_seconds: float
    ngram_seconds: float


@dataclass(frozen=True)
class _MeasuredModel:
    """An architecture, its configuration, its throughput, and the machine after the measurement."""

    model: ModelConfig
    training: TrainConfig
    tokens_per_second: float
    profile: HardwareProfile
    decisions: tuple[Decision, ...]


def affordable_level(
    level: Level, *, characters: int, alphabet: int, overrides: Overrides, profile: HardwareProfile
) -> tuple[Level, tuple[Decision, ...]]:
    """Choose subwords in place of characters if the budget covers too few epochs of characters.

    Args:
        level: The recommended tokenization level of the text.
        characters: Length of the text.
        alphabet: Number of distinct characters in the text.
        overrides: What the user chose.
        profile: The machine.
    """
    if level == "word":
        return level, (Decision("level", level, "the text itself contains <unk>"),)
    if level == "char" and overrides.seconds:
        epochs = character_epochs_needed(characters, alphabet)
        if epochs * characters > profile.tokens_per_second * overrides.seconds:
            fewer = "less than one epoch" if epochs == 1 else f"fewer than {epochs} epochs"
            reason = f"at this speed the budget covers {fewer} of characters"
            return "subword", (Decision("level", "subword", reason),)
    return level, ()


def make_plan(
    corpus: CorpusSize,
    overrides: Overrides,
    profile: HardwareProfile,
    benchmark: ThroughputBenchmark,
    *,
    used_seconds: float = 0.0,
    ngram_order: int = 0,
    decisions: tuple[Decision, ...] = (),
) -> Plan:
    """Choose everything that the user left to the planner.

    Args:
        corpus: The sizes of the text.
        overrides: What the user chose.
        profile: The machine.
        benchmark: Measures the throughput of a model.
        used_seconds: Time of the budget that is over.
        ngram_order: Order of an n-gram to fit at the end, within the budget; 0: none.
        decisions: Earlier decisions, about the tokenization level.

    Raises:
        TrainingError: The model does not fit into memory.
        ConfigError: What the user chose is not possible here.
    """
    remaining = overrides.after(used_seconds)
    measured = _choose_model(corpus, remaining, profile, benchmark)
    model, training, decisions_on_ensemble = against_overfitting(
        measured.model,
        measured.training,
        corpus,
        remaining,
        tokens_per_second=measured.tokens_per_second,
        max_ensemble_size=_max_ensemble_size(measured.model, measured.training, profile),
    )
    # The ensemble members take their steps one after another.
    tokens_per_second = measured.tokens_per_second * (measured.model.ensemble_size / model.ensemble_size)
    training, decisions_on_budget = _choose_budget(training, corpus, overrides, tokens_per_second)
    training = _choose_validations(training, corpus, remaining, tokens_per_second)
    reserve = ngram_seconds(training, corpus, ngram_order, tokens_per_second)
    decisions = (*decisions, *measured.decisions, *decisions_on_ensemble, *decisions_on_budget)
    planned = predict(
        corpus,
        model,
        training,
        profile.device,
        tokens_per_second=tokens_per_second,
        used_seconds=used_seconds,
        reserve_seconds=reserve,
        reasons=tuple(map(str, decisions)),
        unusable=tuple(map(str, measured.profile.unusable)),
    )
    each = validation_seconds(training, corpus, tokens_per_second)
    return Plan(model, training, planned, decisions, each, reserve)


def _choose_model(
    corpus: CorpusSize, overrides: Overrides, profile: HardwareProfile, benchmark: ThroughputBenchmark
) -> _MeasuredModel:
    """Choose the network that suits the budget, and measure it.

    If its throughput is not what was predicted, another network may suit better.
    """
    candidates = [overrides] * _MAX_CANDIDATES
    if corpus.vocab_size > _FAR_VOCABULARY and overrides.seconds and overrides.model.hidden_size is None:
        smallest = replace(overrides.model, hidden_size=HIDDEN_SIZES[0])
        candidates.insert(0, replace(overrides, model=smallest))
    measured = dict[ModelConfig, tuple[TrainConfig, float]]()
    for candidate in candidates:
        model, decisions = choose_model_config(corpus, candidate, profile)
        if model in measured:
            # This is the last one measured; or, if two networks each make the other look better, the smaller
            # of them is the one that its own throughput pays for.
            smaller = min(model, profile.reference, key=lambda one: one.recurrent_parameters)
            training, tokens_per_second = measured[smaller]
            if smaller != model:
                reason = f"{model.hidden_size}, measured, would see too few tokens"
                model, decisions = smaller, (Decision("hidden_size", smaller.hidden_size, reason),)
            break
        training = choose_training(corpus, overrides, model)
        _check_memory(model, memory_bytes(model, training, profile.device), profile)
        training, tokens_per_second, unusable = choose_backend(
            model,
            training,
            overrides=overrides,
            profile=profile,
            benchmark=for_lines(benchmark, corpus),
        )
        measured[model] = training, tokens_per_second
        # The backend that is fastest for the smallest network need not be so for a much larger one.
        fastest = Backend.of(training) if candidate is overrides else None
        profile = replace(
            profile.without(unusable), tokens_per_second=tokens_per_second, reference=model, fastest=fastest
        )
    if training.threads is not None and overrides.training.threads is None:
        reason = "more of them wait for one another here"
        decisions = (*decisions, Decision("threads", training.threads, reason))
    if training.kernels == "fused" and not layers_have_kernels(model):
        decisions = (*decisions, Decision("kernels", training.kernels, "the others have none"))
    return _MeasuredModel(model, training, tokens_per_second, profile, decisions)


def _choose_budget(
    training: TrainConfig, corpus: CorpusSize, overrides: Overrides, tokens_per_second: float
) -> tuple[TrainConfig, tuple[Decision, ...]]:
    """Choose time, steps, or both if the time is more than the text needs; neither for an open-ended run."""
    if overrides.open_ended:
        return replace(training, seconds=None, steps=None), ()
    tokens_per_step = step_tokens(corpus, training.batch_size, training.bptt)
    steps_per_epoch = max(1, int(corpus.train_tokens / tokens_per_step))
    steps, decisions = overrides.steps, tuple[Decision, ...]()
    if overrides.epochs is not None:
        steps = steps_in_epochs(overrides.epochs, steps_per_epoch)
    if steps is None:
        assert overrides.seconds is not None
        enough = enough_epochs(corpus)
        if overrides.seconds * tokens_per_second > enough * steps_per_epoch * tokens_per_step:
            steps = enough * steps_per_epoch
            reason = "more would only memorize this text (override with --epochs)"
            decisions = (Decision("epochs", enough, reason),)
    return replace(training, seconds=overrides.seconds, steps=steps), decisions


def _choose_validations(
    training: TrainConfig, corpus: CorpusSize, overrides: Overrides, tokens_per_second: float
) -> TrainConfig:
    """Choose how many validations there are, and of how many tokens, so that they take little of the time.

    A run without a budget of time keeps the defaults: it must not depend on the speed of the machine.
    """
    if overrides.seconds is None:
        return training
    seconds = min(overrides.seconds, budget_seconds(corpus, training, tokens_per_second))
    if overrides.training.validation_tokens is None:
        tokens = affordable_validation_tokens(corpus, tokens_per_second, _VALIDATION_FRACTION * seconds)
        training = replace(training, validation_tokens=tokens)
    if overrides.training.validations is None:
        each = validation_seconds(training, corpus, tokens_per_second)
        affordable = int(_VALIDATIONS_FRACTION * seconds / each)
        training = replace(training, validations=min(max(affordable, _MIN_VALIDATIONS), _MAX_VALIDATIONS))
    return training


def _max_ensemble_size(model: ModelConfig, training: TrainConfig, profile: HardwareProfile) -> int:
    """Return how many networks like this one fit into memory, up to the largest useful number."""
    size = MAX_ENSEMBLE_SIZE
    if profile.memory_bytes is not None:
        while size > 1 and (
            memory_bytes(replace(model, ensemble_size=size), training, profile.device) > profile.memory_bytes
        ):
            size -= 1
    return size


def _check_memory(model: ModelConfig, needed_bytes: int, profile: HardwareProfile) -> None:
    if profile.memory_bytes is not None and needed_bytes > profile.memory_bytes:
        raise TrainingError(
            f"{model.architecture} needs about {needed_bytes / 1e6:,.0f} MB of memory to train; "
            f"{profile.memory_bytes / 1e6:,.0f} MB can be used on {profile.device}",
            hint="use a smaller --hidden-size, --num-layers, --batch-size or --vocab-size",
        )
