"""Corpus, budget and machine in; every size and setting out.

What the user sets comes first; training/hyperparameters.py chooses the rest, with reasons for what the text,
the time or the machine decided.
"""

from dataclasses import dataclass, replace

from rnncli.data.config import Level
from rnncli.data.levels import readings_by_characters
from rnncli.errors import ConfigError
from rnncli.events import Planned
from rnncli.nn.config import ModelConfig
from rnncli.nn.fused.support import layers_have_kernels
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
from rnncli.training.hardware import Arrangement, Machine, Measure, choose_arrangement, for_lines
from rnncli.training.hyperparameters import (
    MOST_MEMBERS,
    WIDTHS,
    against_memorising,
    choose_model,
    choose_training,
    enough_epochs,
)
from rnncli.training.overrides import Wishes

# Networks of a width that was guessed, measured before one is taken; mostly the first is.
_MOST_PROBES = 3
# From here the reference model, of a few symbols, says nothing of the speed: with 50,000 a network has half
# of what is guessed from it, with 200,000 a quarter. The narrowest with as many symbols is measured first.
_FAR_VOCABULARY = 20_000
# Shares of a time budget: for one validation, and for all of them.
_VALIDATION_SHARE, _VALIDATIONS_SHARE = 0.02, 0.06
_FEWEST_VALIDATIONS, _MOST_VALIDATIONS = 3, 20


@dataclass(frozen=True)
class Plan:
    """Settings that can be trained as they are, and what was promised of them."""

    model: ModelConfig
    training: TrainConfig
    planned: Planned
    validation_seconds: float
    ngram_seconds: float


def affordable_level(
    level: Level, characters: int, alphabet: int, wishes: Wishes, machine: Machine
) -> tuple[Level, list[str]]:
    """The level and why: subword in place of char where the time would not do to read it often enough.

    `alphabet` is how many distinct characters the text has.
    """
    if level == "word":
        return level, ["level word: the text marks its unknown words itself"]
    if level == "char" and wishes.seconds:
        readings = readings_by_characters(characters, alphabet)
        if readings * characters > machine.tokens_per_second * wishes.seconds:
            often = "once" if readings == 1 else f"{readings} times"
            return "subword", [f"level subword: the time would not do to read every character {often}"]
    return level, []


def make_plan(
    corpus: CorpusSize,
    wishes: Wishes,
    machine: Machine,
    measure: Measure,
    used_seconds: float = 0.0,
    ngram_order: int = 0,
    reasons: list[str] | None = None,
) -> Plan:
    """Fill in every setting that was left open; raises ConfigError where wishes cannot be met.

    `used_seconds` of the time are over already, and its end is for an n-gram where it has an order; `reasons`
    are those for earlier choices.
    """
    reasons = list(reasons or [])
    left = wishes.after(used_seconds)
    model, training, speed, dropped = _suited(corpus, left, machine, measure, reasons)
    measured = model.members
    most = _most_members(model, training, machine)
    model, training = against_memorising(model, training, corpus, left, speed, most, reasons)
    speed *= measured / model.members  # they take their steps one after another
    training = _choose_budget(training, corpus, wishes, speed, reasons)
    training = _choose_validations(training, corpus, left, speed)
    reserve = ngram_seconds(training, corpus, ngram_order, speed)
    device = machine.device
    planned = predict(
        corpus, model, training, device, speed, used_seconds, 0, reserve, tuple(reasons), dropped
    )
    return Plan(model, training, planned, validation_seconds(training, corpus, speed), reserve)


def _suited(
    corpus: CorpusSize, wishes: Wishes, machine: Machine, measure: Measure, reasons: list[str]
) -> tuple[ModelConfig, TrainConfig, float, tuple[str, ...]]:
    """The network that suits the time, its own speed, and what cannot be used to compute it.

    Where the speed is not what was guessed, another network may suit better.
    """
    each = [wishes] * _MOST_PROBES
    if corpus.vocab_size > _FAR_VOCABULARY and wishes.seconds and "hidden_size" not in wishes.model:
        each.insert(0, replace(wishes, model={**wishes.model, "hidden_size": WIDTHS[0]}))
    measured = dict[ModelConfig, tuple[TrainConfig, float]]()
    for wished in each:
        found: list[str] = []
        model = choose_model(corpus, wished, machine, found)
        if model in measured:
            # The last one or, of two that each make the other look better, the one that its speed pays for.
            smaller = min(model, machine.reference, key=lambda one: one.recurrent_parameters)
            training, speed = measured[smaller]
            if smaller != model:
                too_wide = f"{model.hidden_size}, measured, would see too few tokens"
                model, found = smaller, [f"width {smaller.hidden_size}: {too_wide}"]
            break
        training = choose_training(corpus, wishes, model)
        _check_memory(model, memory_bytes(model, training, machine.device), machine)
        training, speed, dropped = choose_arrangement(
            model, training, wishes, machine, for_lines(measure, corpus)
        )
        measured[model] = training, speed
        machine = machine.without(dropped)
        # What is fastest for the narrowest need not be so for one that is much wider.
        fastest = Arrangement(training.precision, training.kernels) if wished is wishes else None
        machine = replace(machine, tokens_per_second=speed, reference=model, fastest=fastest)
    reasons += found
    if training.threads is not None and "threads" not in wishes.training:
        reasons.append(f"threads {training.threads}: more of them wait for one another here")
    if training.kernels == "fused" and not layers_have_kernels(model):
        reasons.append("fused kernels for the loss and gated layers: the others have none")
    return model, training, speed, tuple(map(str, machine.dropped))


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
        enough = enough_epochs(corpus)
        if wishes.seconds * speed > enough * steps_per_epoch * tokens_a_step:
            steps = enough * steps_per_epoch
            reasons.append(
                f"{enough} epochs: more would only memorise this text (--epochs has the last word)"
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
    seconds = min(wishes.seconds, budget_seconds(corpus, training, speed, 0.0, 0, 0.0))
    if "validation_tokens" not in wishes.training:
        tokens = affordable_validation_tokens(corpus, speed, _VALIDATION_SHARE * seconds)
        training = replace(training, validation_tokens=tokens)
    if "validations" not in wishes.training:
        affordable = int(_VALIDATIONS_SHARE * seconds / validation_seconds(training, corpus, speed))
        number = min(max(affordable, _FEWEST_VALIDATIONS), _MOST_VALIDATIONS)
        training = replace(training, validations=number)
    return training


def _most_members(model: ModelConfig, training: TrainConfig, machine: Machine) -> int:
    """How many networks like this one fit into the memory together, of those that any time pays for."""
    members = MOST_MEMBERS
    if machine.memory_bytes is not None:
        while members > 1 and (
            memory_bytes(replace(model, members=members), training, machine.device) > machine.memory_bytes
        ):
            members -= 1
    return members


def _check_memory(model: ModelConfig, needed_bytes: int, machine: Machine) -> None:
    if machine.memory_bytes is not None and needed_bytes > machine.memory_bytes:
        raise ConfigError(
            f"{model.architecture} needs about {needed_bytes / 1e6:,.0f} MB of memory to train; "
            f"{machine.memory_bytes / 1e6:,.0f} MB can be used on {machine.device}",
            hint="use a smaller --hidden-size, --num-layers, --batch-size or --vocab-size",
        )
