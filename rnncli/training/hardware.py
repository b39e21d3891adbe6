"""The hardware profile: how fast this machine trains, and with which backend and threads it is fastest.

All of it is measured, by taking real training steps. Throughputs are in training tokens per second.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from rnncli.data.batching import LENGTH_STEP
from rnncli.errors import ConfigError, TrainingError
from rnncli.nn.config import BLOCK, ModelConfig
from rnncli.training.backends import BACKENDS, FP32, Backend, Unavailable, UnusableBackend, describe_error
from rnncli.training.config import TrainConfig
from rnncli.training.cost_model import CorpusSize
from rnncli.training.overrides import Overrides
from rnncli.training.throughput import ThroughputBenchmark

# The model whose throughput describes a machine: every machine can train it.
REFERENCE = ModelConfig(vocab_size=256, hidden_size=256)
# Fraction of a time budget for one measurement before training, and its maximum.
_BENCHMARK_FRACTION, _MAX_BENCHMARK_SECONDS = 0.01, 1.0
# Fraction of those seconds for testing fewer threads, which are mostly much slower.
_THREADS_FRACTION = 0.25
# Time of a measurement on which no decision depends, and maximum time of one that finds the backends which
# are much slower.
QUICK_BENCHMARK_SECONDS = 0.05
# A backend this much slower than the fastest, in a quick measurement, is not measured again.
_COMPETITIVE_FRACTION = 0.7
# bf16 must be faster than fp32, and fewer threads faster than more, by this factor.
_MIN_SPEEDUP = 1.1


@dataclass(frozen=True)
class HardwareProfile:
    """What the planner knows about the machine.

    Attributes:
        tokens_per_second: Throughput of the reference model.
        device: Type of the device.
        memory_bytes: Memory that can be used; None: unknown.
        backends: The backends that can be used.
        threads: Number of CPU threads that torch uses by default.
        fastest: The backend that was the fastest for the reference model, if the next model differs from it
            in the hidden size alone; else None.
        reference: The reference model.
        unusable: The backends that cannot be used.
    """

    tokens_per_second: float
    device: str
    memory_bytes: int | None = None
    backends: tuple[Backend, ...] = BACKENDS[:2]
    threads: int = 1
    fastest: Backend | None = None
    reference: ModelConfig = REFERENCE
    unusable: tuple[UnusableBackend, ...] = ()

    @property
    def fused(self) -> bool:
        """Whether the fused kernels can be used."""
        return any(backend.kernels == "fused" for backend in self.backends)

    def without(self, unusable: Sequence[UnusableBackend]) -> "HardwareProfile":
        """Return the profile after some backends turned out to be unusable."""
        removed = {one.backend for one in unusable}
        left = tuple(backend for backend in self.backends if backend not in removed)
        return replace(self, backends=left, unusable=(*self.unusable, *unusable))


class BackendChoice(NamedTuple):
    """The backend and threads chosen for a model.

    Attributes:
        training: The training configuration with them.
        tokens_per_second: Its throughput.
        unusable: Backends that failed in the measurement.
    """

    training: TrainConfig
    tokens_per_second: float
    unusable: tuple[UnusableBackend, ...]


def measure_hardware(
    benchmark: ThroughputBenchmark,
    overrides: Overrides,
    device: str,
    memory_bytes: int | None,
    *,
    threads: int = 1,
    backends: Sequence[Backend] = BACKENDS,
) -> HardwareProfile:
    """Measure the throughput of the reference model; takes a second or two, less for a short budget.

    Args:
        benchmark: Measures a throughput.
        overrides: What the user chose.
        device: Type of the device.
        memory_bytes: Memory that can be used; None: unknown.
        threads: Number of CPU threads that torch uses by default.
        backends: The backends to try.

    Raises:
        ConfigError: No backend that the user allows can be used.
    """
    profile = HardwareProfile(0.0, device, memory_bytes, tuple(backends), threads)
    training = TrainConfig(steps=1, threads=overrides.training.threads)
    choice = choose_backend(REFERENCE, training, overrides=overrides, profile=profile, benchmark=benchmark)
    return replace(profile.without(choice.unusable), tokens_per_second=choice.tokens_per_second)


def for_lines(benchmark: ThroughputBenchmark, corpus: CorpusSize) -> ThroughputBenchmark:
    """Return the benchmark of line-by-line training: batches as long as the mean line, partly padding."""
    if corpus.lines is None:
        return benchmark
    mean = corpus.train_tokens / corpus.lines.count

    def measure_lines(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        length = min(-(-int(mean) // LENGTH_STEP) * LENGTH_STEP, training.bptt)
        return benchmark(model, replace(training, bptt=length), seconds) * min(mean / length, 1.0)

    return measure_lines


def choose_backend(
    model: ModelConfig,
    training: TrainConfig,
    *,
    overrides: Overrides,
    profile: HardwareProfile,
    benchmark: ThroughputBenchmark,
) -> BackendChoice:
    """Choose the precision, kernels and threads that are fastest for a model on this machine.

    bf16 must be a tenth faster than fp32. Without a budget of time, the fused kernels are chosen if they can
    be used, and fp32 otherwise, and the measurement is a prediction only: then the same options give the same
    weights on all processors of a kind, whatever a clock measures. Only a backend that is a hundred times too
    slow is not chosen (training/backends.py).

    Raises:
        ConfigError: No backend that the user allows can be used.
        TrainingError: The CPU cannot take a training step at all.
    """
    has_blocks = model.hidden_size % BLOCK == 0
    allowed = [
        backend
        for backend in profile.backends
        if (has_blocks or backend.kernels != "fused")
        and backend.precision == (overrides.training.precision or backend.precision)
        and backend.kernels == (overrides.training.kernels or backend.kernels)
    ]
    unusable: tuple[UnusableBackend, ...] = ()
    for candidates in _candidates(allowed, overrides, profile, has_blocks):
        speeds, failed = _measure_backends(
            candidates,
            model,
            training,
            seconds=_benchmark_seconds(overrides),
            device=profile.device,
            benchmark=benchmark,
        )
        unusable += failed
        if speeds:
            fastest = max(speeds, key=lambda backend: speeds[backend])
            if FP32 in speeds and speeds[fastest] <= _MIN_SPEEDUP * speeds[FP32]:
                fastest = FP32
            chosen, tokens_per_second = fastest.applied(training), speeds[fastest]
            if overrides.seconds is not None and chosen.threads is None:
                chosen, tokens_per_second = _choose_threads(
                    model,
                    chosen,
                    tokens_per_second,
                    threads=profile.threads,
                    seconds=_THREADS_FRACTION * _benchmark_seconds(overrides),
                    benchmark=benchmark,
                )
            return BackendChoice(chosen, tokens_per_second, unusable)
    raise _no_backend(overrides, profile.without(unusable), has_blocks)


def _candidates(
    allowed: list[Backend], overrides: Overrides, profile: HardwareProfile, has_blocks: bool
) -> list[list[Backend]]:
    """Return groups of backends to compare; a group is for the case that none before it can be used."""
    if overrides.seconds is None:
        fused = [backend for backend in allowed if backend.kernels == "fused"]
        return [[backend] for backend in [*fused, *(one for one in allowed if one not in fused)]]
    similar = has_blocks == (profile.reference.hidden_size % BLOCK == 0)
    if similar and profile.fastest in allowed:
        fastest = profile.fastest
        return [[fastest], [backend for backend in allowed if backend != fastest]]
    return [allowed]


def _measure_backends(
    backends: list[Backend],
    model: ModelConfig,
    training: TrainConfig,
    *,
    seconds: float,
    device: str,
    benchmark: ThroughputBenchmark,
) -> tuple[dict[Backend, float], tuple[UnusableBackend, ...]]:
    """Return the throughput of the competitive backends, and the backends that failed."""
    failed: list[UnusableBackend] = []

    def measure(candidates: list[Backend], seconds: float) -> dict[Backend, float]:
        speeds = {}
        for backend in candidates:
            try:
                speeds[backend] = benchmark(model, backend.applied(training), seconds)
            except Exception as error:  # whatever a library raises, planning goes on
                if backend == FP32 and device == "cpu":
                    if not isinstance(error, RuntimeError):
                        raise
                    raise TrainingError(  # oneDNN reports so that it got no memory
                        f"this computer cannot take a training step: {describe_error(error)}",
                        hint="free some memory, or use a smaller --hidden-size or --batch-size",
                    ) from error
                failed.append(UnusableBackend(backend, describe_error(error)))
        return speeds

    quick: dict[Backend, float] = {}
    if len(backends) > 1:
        quick = measure(backends, min(QUICK_BENCHMARK_SECONDS, seconds))
        threshold = _COMPETITIVE_FRACTION * max(quick.values(), default=0.0)
        backends = [backend for backend, speed in quick.items() if speed >= threshold]
    speeds = measure(backends, seconds / max(len(backends), 1))
    if not speeds:  # the competitive ones fail in a longer measurement: the slower ones remain
        removed = {one.backend for one in failed}
        speeds = {backend: speed for backend, speed in quick.items() if backend not in removed}
    return speeds, tuple(failed)


def _no_backend(overrides: Overrides, profile: HardwareProfile, has_blocks: bool) -> ConfigError:
    precision, kernels = overrides.training.precision, overrides.training.kernels
    if precision is None and kernels is None:  # on a GPU; on the CPU fp32 remains, and raises its own error
        why = "; ".join(map(str, profile.unusable))
        return ConfigError(f"{profile.device} cannot train this model: {why}", hint="use --device cpu")
    if kernels == "fused":
        precision = None  # it follows from the kernels
    given = {name: value for name, value in (("precision", precision), ("kernels", kernels)) if value}
    hint = "leave out " + " and ".join(f"--{name}" for name in given)
    if kernels == "fused" and profile.fused and not has_blocks:
        return ConfigError(
            f"fused kernels need a hidden size that is a multiple of {BLOCK}",
            hint=f"use --hidden-size {BLOCK} or a multiple of it, or {hint}",
        )
    options = ", ".join(f"{name} {value}" for name, value in given.items())
    reasons = [one.reason for one in profile.unusable if given.items() <= one.backend._asdict().items()]
    return ConfigError(f"{options} cannot be used here: {'; '.join(reasons)}", hint=hint)


def _choose_threads(
    model: ModelConfig,
    training: TrainConfig,
    tokens_per_second: float,
    *,
    threads: int,
    seconds: float,
    benchmark: ThroughputBenchmark,
) -> tuple[TrainConfig, float]:
    """Halve the number of threads while that is faster.

    Threads wait for one another at every step. Beside another busy process, or for a model too small to be
    divided, they do little else.
    """
    best, threads = training, threads // 2
    while threads:
        candidate = replace(training, threads=threads)
        try:
            speed = benchmark(model, candidate, seconds)
        except Unavailable:
            break
        if speed < _MIN_SPEEDUP * tokens_per_second:
            break
        best, tokens_per_second, threads = candidate, speed, threads // 2
    return best, tokens_per_second


def _benchmark_seconds(overrides: Overrides) -> float:
    if overrides.seconds is None:
        return QUICK_BENCHMARK_SECONDS
    return min(_BENCHMARK_FRACTION * overrides.seconds, _MAX_BENCHMARK_SECONDS)
