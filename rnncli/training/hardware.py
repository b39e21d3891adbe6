"""How fast this machine is, with which precision, kernels and threads: measured, by taking real steps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from rnncli.data.lines import LENGTH_STEP
from rnncli.errors import ConfigError, TrainingError
from rnncli.nn.config import BLOCK, ModelConfig
from rnncli.training.config import Kernels, Precision, TrainConfig
from rnncli.training.cost_model import CorpusSize
from rnncli.training.overrides import Wishes

# (model, settings, seconds to spend) -> training tokens per second; any exception but those of float32 with
# torch's own kernels means that these settings cannot be used here
Measure = Callable[[ModelConfig, TrainConfig, float], float]

# What speeds are told apart with: a width that every machine can train.
REFERENCE = ModelConfig(vocab_size=256, hidden_size=256)
# Of a time budget, for one measurement before the start.
_PROBE_SHARE, _LONGEST_PROBE_SECONDS = 0.01, 1.0
# Of those seconds, to see whether fewer threads are faster: mostly they are slower by far.
_THREADS_SHARE = 0.25
# Where nothing depends on the time, and at the most to see what is slower by far.
COUNTED_PROBE_SECONDS = 0.05
# Characters of what a library says of its failure.
_MOST_REASON = 200
# Of the fastest speed that such a glance saw: what may still turn out to be the fastest.
_GLANCED_SHARE = 0.7


class Unavailable(Exception):  # noqa: N818 - a fact about the machine, not a fault
    """A way of computing that cannot be used here; its text is the reason, as a clause."""


class Arrangement(NamedTuple):
    """A way of computing a training step on a device."""

    precision: Precision
    kernels: Kernels

    def __str__(self) -> str:
        return f"{self.precision} with {self.kernels} kernels"

    def applied(self, training: TrainConfig) -> TrainConfig:
        """The same settings, computed in this way."""
        return replace(training, precision=self.precision, kernels=self.kernels)


class Dropped(NamedTuple):
    """An arrangement that cannot be used here, and why, as a clause."""

    arrangement: Arrangement
    reason: str

    def __str__(self) -> str:
        return f"{self.arrangement}: {self.reason}"


# All others are checked against it, and it is left where none of them can be used.
FLOAT32 = Arrangement("fp32", "torch")
ARRANGEMENTS = (FLOAT32, Arrangement("bf16", "torch"), Arrangement("bf16", "fused"))


@dataclass(frozen=True)
class Machine:
    """Measured speed of a reference model, in tokens per second; memory, if known.

    `fastest` is what was found to be so for the reference model, where the next differs in its hidden size
    alone. `arrangements` are those that can be used, `dropped` are the others, and `threads` is the number
    of the CPU's that torch takes.
    """

    tokens_per_second: float
    device: str
    memory_bytes: int | None = None
    arrangements: tuple[Arrangement, ...] = ARRANGEMENTS[:2]
    threads: int = 1
    fastest: Arrangement | None = None
    reference: ModelConfig = REFERENCE
    dropped: tuple[Dropped, ...] = ()

    @property
    def fused(self) -> bool:
        """Whether the fused kernels can be used."""
        return any(arrangement.kernels == "fused" for arrangement in self.arrangements)

    def without(self, dropped: Sequence[Dropped]) -> "Machine":
        """The same machine, on which some arrangements turned out not to work."""
        gone = {one.arrangement for one in dropped}
        left = tuple(one for one in self.arrangements if one not in gone)
        return replace(self, arrangements=left, dropped=(*self.dropped, *dropped))


class Choice(NamedTuple):
    """Settings with a precision, kernels and threads, their speed, and the arrangements that do not work."""

    training: TrainConfig
    tokens_per_second: float
    dropped: tuple[Dropped, ...]


def measure_machine(
    measure: Measure,
    wishes: Wishes,
    device: str,
    memory_bytes: int | None,
    threads: int = 1,
    arrangements: Sequence[Arrangement] = ARRANGEMENTS,
) -> Machine:
    """The speed of the reference model; a second or two, less for a short budget.

    `threads` is the number of the CPU's that torch takes; `arrangements` are those that are tried.
    """
    machine = Machine(0.0, device, memory_bytes, tuple(arrangements), threads)
    training = TrainConfig(steps=1, threads=wishes.training.get("threads"))
    choice = choose_arrangement(REFERENCE, training, wishes, machine, measure)
    return replace(machine.without(choice.dropped), tokens_per_second=choice.tokens_per_second)


def for_lines(measure: Measure, corpus: CorpusSize) -> Measure:
    """Measured in windows as long as the mean line, which are partly padding."""
    if corpus.lines is None:
        return measure
    mean = corpus.train_tokens / corpus.lines.number

    def measure_lines(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        width = min(-(-int(mean) // LENGTH_STEP) * LENGTH_STEP, training.bptt)
        return measure(model, replace(training, bptt=width), seconds) * min(mean / width, 1.0)

    return measure_lines


def choose_arrangement(
    model: ModelConfig, training: TrainConfig, wishes: Wishes, machine: Machine, measure: Measure
) -> Choice:
    """Settings and speed with the precision, kernels and threads that are fastest for this model here.

    bf16 has to be faster than fp32 by a tenth. A run without a time is measured only to foresee it: it
    has the fused kernels where they can be used and else fp32, so that on processors of a kind the same
    settings give the same weights whatever a clock says, unless it is a hundredfold slower (arrangement.py).
    Raises ConfigError where nothing that was asked for can be used.
    """
    in_blocks = model.hidden_size % BLOCK == 0
    wished = [
        one
        for one in machine.arrangements
        if (in_blocks or one.kernels != "fused")
        and one.precision == wishes.training.get("precision", one.precision)
        and one.kernels == wishes.training.get("kernels", one.kernels)
    ]
    dropped: tuple[Dropped, ...] = ()
    for some in _in_order(wished, wishes, machine, in_blocks):
        speeds, failed = _speeds(model, training, wishes, some, machine, measure)
        dropped += failed
        if speeds:
            best = max(speeds, key=lambda one: speeds[one])
            if FLOAT32 in speeds and speeds[best] <= 1.1 * speeds[FLOAT32]:
                best = FLOAT32
            chosen, speed = best.applied(training), speeds[best]
            if wishes.seconds is not None and chosen.threads is None:
                chosen, speed = _with_threads(model, chosen, speed, wishes, machine, measure)
            return Choice(chosen, speed, dropped)
    raise _nothing_works(wishes, machine.without(dropped), in_blocks)


def describe_error(error: Exception) -> str:
    """One line on what a library raised."""
    text = " ".join(str(error).split())
    text = f"{text[:_MOST_REASON]}..." if len(text) > _MOST_REASON else text
    return text if isinstance(error, Unavailable) else f"{type(error).__name__}: {text}"


def _in_order(
    wished: list[Arrangement], wishes: Wishes, machine: Machine, in_blocks: bool
) -> list[list[Arrangement]]:
    """Which to compare with each other first; the next are for when none of those can be used."""
    if wishes.seconds is None:
        fused = [one for one in wished if one.kernels == "fused"]
        return [[one] for one in [*fused, *(one for one in wished if one not in fused)]]
    alike = in_blocks == (machine.reference.hidden_size % BLOCK == 0)
    if alike and machine.fastest in wished:
        fastest = machine.fastest
        return [[fastest], [one for one in wished if one != fastest]]
    return [wished]


def _speeds(
    model: ModelConfig,
    training: TrainConfig,
    wishes: Wishes,
    some: list[Arrangement],
    machine: Machine,
    measure: Measure,
) -> tuple[dict[Arrangement, float], tuple[Dropped, ...]]:
    """Tokens per second of those that are not far slower than another, and those that do not work."""
    dropped: list[Dropped] = []

    def measured(arrangements: list[Arrangement], seconds: float) -> dict[Arrangement, float]:
        speeds = {}
        for one in arrangements:
            try:
                speeds[one] = measure(model, one.applied(training), seconds)
            except Exception as error:  # of any library: nothing that it raises may end a plan
                if one == FLOAT32 and machine.device == "cpu":
                    if not isinstance(error, RuntimeError):
                        raise
                    raise TrainingError(  # oneDNN so reports that it got no memory
                        f"this computer cannot take a training step: {describe_error(error)}",
                        hint="free some memory, or use a smaller --hidden-size or --batch-size",
                    ) from error
                dropped.append(Dropped(one, describe_error(error)))
        return speeds

    glances: dict[Arrangement, float] = {}
    if len(some) > 1:
        glances = measured(some, min(COUNTED_PROBE_SECONDS, _probe_seconds(wishes)))
        near = _GLANCED_SHARE * max(glances.values(), default=0.0)
        some = [one for one, speed in glances.items() if speed >= near]
    speeds = measured(some, _probe_seconds(wishes) / max(len(some), 1))
    if not speeds:  # what was near fails in a longer measurement: what was slower is left
        gone = {one.arrangement for one in dropped}
        speeds = {one: speed for one, speed in glances.items() if one not in gone}
    return speeds, tuple(dropped)


def _nothing_works(wishes: Wishes, machine: Machine, in_blocks: bool) -> ConfigError:
    wished = {name: value for name, value in wishes.training.items() if name in ("precision", "kernels")}
    if not wished:  # a GPU: on a CPU fp32 is left, and raises what it raises
        why = "; ".join(map(str, machine.dropped))
        return ConfigError(f"{machine.device} cannot train this model: {why}", hint="use --device cpu")
    if wished.get("kernels") == "fused":
        wished.pop("precision", None)  # the only one they have
    hint = "leave out " + " and ".join(f"--{name}" for name in wished)
    if wished.get("kernels") == "fused" and machine.fused and not in_blocks:
        return ConfigError(
            f"fused kernels need a hidden size that is a multiple of {BLOCK}",
            hint=f"use --hidden-size {BLOCK} or a multiple of it, or {hint}",
        )
    asked = ", ".join(f"{name} {value}" for name, value in wished.items())
    reasons = [one.reason for one in machine.dropped if wished.items() <= one.arrangement._asdict().items()]
    return ConfigError(f"{asked} cannot be used here: {'; '.join(reasons)}", hint=hint)


def _with_threads(
    model: ModelConfig,
    training: TrainConfig,
    speed: float,
    wishes: Wishes,
    machine: Machine,
    measure: Measure,
) -> tuple[TrainConfig, float]:
    """Half as many threads, and half of those, while that is faster.

    Threads wait for one another at every step. Beside another busy process, or in a network too small to
    be shared, they do little else.
    """
    best, threads = training, machine.threads // 2
    while threads:
        tried = replace(training, threads=threads)
        try:
            found = measure(model, tried, _THREADS_SHARE * _probe_seconds(wishes))
        except Unavailable:
            break
        if found < 1.1 * speed:
            break
        best, speed, threads = tried, found, threads // 2
    return best, speed


def _probe_seconds(wishes: Wishes) -> float:
    if wishes.seconds is None:
        return COUNTED_PROBE_SECONDS
    return min(_PROBE_SHARE * wishes.seconds, _LONGEST_PROBE_SECONDS)
