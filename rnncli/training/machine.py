"""How fast this machine is, with which precision, kernels and threads: measured, by taking real steps."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from rnncli.errors import ConfigError
from rnncli.model.config import BLOCK, ModelConfig
from rnncli.text.lines import LENGTH_STEP
from rnncli.training.config import Kernels, Precision, TrainConfig
from rnncli.training.forecast import CorpusSize
from rnncli.training.wishes import Wishes

# (model, settings, seconds to spend) -> training tokens per second
Measure = Callable[[ModelConfig, TrainConfig, float], float]

# What speeds are told apart with: a width that every machine can train.
REFERENCE = ModelConfig(vocab_size=256, hidden_size=256)
# Of a time budget, for one measurement before the start.
_PROBE_SHARE, _LONGEST_PROBE_SECONDS = 0.01, 1.0
# Of those seconds, to see whether fewer threads are faster: mostly they are slower by far.
_THREADS_SHARE = 0.25
# Where nothing depends on the time, and at the most to see what is slower by far.
COUNTED_PROBE_SECONDS = 0.05
# Of the fastest speed that such a glance saw: what may still turn out to be the fastest.
_GLANCED_SHARE = 0.7


@dataclass(frozen=True)
class Machine:
    """Measured speed of a reference model, in tokens per second; memory, if known.

    `fastest` is what was found to be so for the reference model, where the next differs in its width alone.
    `fused` says whether the kernels of model/kernels.py can be used, `threads` how many of the processor's.
    """

    tokens_per_second: float
    device: str
    memory_bytes: int | None = None
    fused: bool = False
    threads: int = 1
    fastest: tuple[Precision, Kernels] | None = None
    reference: ModelConfig = REFERENCE


def arrangements(fused: bool) -> list[tuple[Precision, Kernels]]:
    """What a processor can compute with; `fused`: with the kernels of model/kernels.py too."""
    plain: list[tuple[Precision, Kernels]] = [("fp32", "torch"), ("bf16", "torch")]
    return [*plain, ("bf16", "fused")] if fused else plain


def measure_machine(
    measure: Measure, wishes: Wishes, device: str, memory_bytes: int | None, fused: bool, threads: int = 1
) -> Machine:
    """The speed of the reference model; a second or two, less for a short budget.

    `fused` says whether the kernels of model/kernels.py can be used on this machine, `threads` how many
    of a processor's torch takes.
    """
    machine = Machine(0.0, device, memory_bytes, fused, threads)
    training = TrainConfig(steps=1, threads=wishes.training.get("threads"))
    _, speed = choose_arrangement(REFERENCE, training, wishes, machine, measure)
    return replace(machine, tokens_per_second=speed)


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
) -> tuple[TrainConfig, float]:
    """Settings and speed with the precision, kernels and threads that are fastest for this model here.

    bfloat16 has to be faster than float32 by a tenth. A run without a time is measured only to foresee it: it
    has the fused kernels where it can and else float32, so that the same settings give the same weights
    whatever a clock says.
    """
    in_blocks = model.hidden_size % BLOCK == 0
    wished = [
        (precision, kernels)
        for precision, kernels in arrangements(machine.fused and in_blocks)
        if precision == wishes.training.get("precision", precision)
        and kernels == wishes.training.get("kernels", kernels)
    ]
    if not wished:
        raise ConfigError(
            "fused kernels cannot be used here",
            hint=f"they need bf16, a width that is a multiple of {BLOCK}, and AVX-512 under Linux",
        )
    if wishes.seconds is None:
        wished = [candidate for candidate in wished if candidate[1] == "fused"] or wished[:1]
    elif machine.fastest in wished and in_blocks == (machine.reference.hidden_size % BLOCK == 0):
        wished = [machine.fastest]
    trials = [replace(training, precision=precision, kernels=kernels) for precision, kernels in wished]
    if len(trials) > 1:
        glance = min(COUNTED_PROBE_SECONDS, _probe_seconds(wishes))
        glances = [measure(model, tried, glance) for tried in trials]
        near = _GLANCED_SHARE * max(glances)
        trials = [tried for tried, speed in zip(trials, glances, strict=True) if speed >= near]
    speeds = [measure(model, tried, _probe_seconds(wishes) / len(trials)) for tried in trials]
    fastest = speeds.index(max(speeds))
    if trials[0].precision == "fp32" and speeds[fastest] <= 1.1 * speeds[0]:
        fastest = 0
    best, best_speed = trials[fastest], speeds[fastest]
    if wishes.seconds is None or best.threads is not None:
        return best, best_speed
    return _with_threads(model, best, best_speed, wishes, machine, measure)


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
        found = measure(model, tried, _THREADS_SHARE * _probe_seconds(wishes))
        if found < 1.1 * speed:
            break
        best, speed, threads = tried, found, threads // 2
    return best, speed


def _probe_seconds(wishes: Wishes) -> float:
    if wishes.seconds is None:
        return COUNTED_PROBE_SECONDS
    return min(_PROBE_SHARE * wishes.seconds, _LONGEST_PROBE_SECONDS)
