"""The throughput benchmark: how fast this machine trains a model, measured by taking real steps."""

import time
from collections.abc import Callable

import numpy as np
import torch

from rnncli.data.batching import StreamBatches
from rnncli.nn.config import ModelConfig
from rnncli.training.backends import BackendCheck, Unavailable
from rnncli.training.config import TrainConfig
from rnncli.training.state import TrainState
from rnncli.training.step import threads_of, train_step

# (model, configuration, seconds to spend) -> training tokens per second. Any exception, except those of
# float32 with torch's own kernels on the CPU, means that the backend cannot be used here.
ThroughputBenchmark = Callable[[ModelConfig, TrainConfig, float], float]

# Fraction of the seconds for the warm-up: the first steps allocate, let libraries prepare their kernels and
# raise the clock of the processor. If steps are long, the first alone does all this.
_WARM_UP_FRACTION = 0.5
# A step that takes as many times the seconds to spend is not taken again.
_TOO_LONG = 4.0
# On a machine so slow that a step takes longer than this, the batch is so many times shorter.
_MAX_STEP_SECONDS, _SHORTENING = 10.0, 16
# The size of the fastest matrix product depends on the caches. The smaller ones are for machines on which a
# large product takes minutes.
PEAK_SIZES = (256, 512, 1024, 2048, 4096)


def matrix_peak(dtype: torch.dtype, seconds: float) -> float:
    """Return the operations per second of matrix products on the CPU, at the fastest of several sizes.

    Args:
        dtype: Type of the numbers.
        seconds: Time to spend, roughly. Larger sizes are left out after a product that takes half of it.
    """
    best = 0.0
    for size in PEAK_SIZES:
        a, b = (torch.randn(size, size, dtype=torch.float32).to(dtype) for _ in range(2))
        began = time.perf_counter()
        out = torch.mm(a, b)
        first = time.perf_counter() - began
        if first > seconds / 2:
            return max(best, 2 * size**3 / first)
        began, products = time.perf_counter(), 0
        while products < 2 or time.perf_counter() - began < seconds / len(PEAK_SIZES):
            torch.mm(a, b, out=out)
            products += 1
        best = max(best, 2 * size**3 * products / (time.perf_counter() - began))
    return best


def throughput_benchmark(check: BackendCheck) -> ThroughputBenchmark:
    """Return the benchmark of a device; it raises Unavailable for a backend that `check` rejects."""

    def measure(model: ModelConfig, config: TrainConfig, seconds: float) -> float:
        reason = check.why_not(model, config)
        if reason is not None:
            raise Unavailable(reason)
        return tokens_per_second(model, config, check.device, seconds)

    return measure


def tokens_per_second(model: ModelConfig, config: TrainConfig, device: torch.device, seconds: float) -> float:
    """Train on random ids for about `seconds`, discard the result, and return the throughput.

    A few ids are frequent and most are rare, as words are (Zipf 1949). If a step would take more than ten
    seconds, the throughput is that of batches a sixteenth as long, which is slightly lower.
    """
    state = TrainState.new(model, config, device)
    tokens = config.batch_size * config.bptt
    ids = (model.vocab_size ** np.random.default_rng(0).random(8 * tokens) - 1.0).astype(np.uint32)

    def measure(bptt: int, min_seconds: float) -> float:
        """Take steps for so many seconds, at least one: with a large vocabulary one takes seconds."""
        batches = StreamBatches(ids, model.bos_id, config.batch_size, bptt)
        began, before = time.perf_counter(), state.step
        while state.step == before or time.perf_counter() - began < min_seconds:
            train_step(state, batches[state.step], config, config.learning_rate)
        return (state.step - before) * config.batch_size * bptt / (time.perf_counter() - began)

    short = max(config.bptt // _SHORTENING, 1)
    with threads_of(config):
        measure(short, 0.0)  # the very first step allocates memory and loads libraries
        slow = measure(short, 0.0)
        if tokens / slow > _MAX_STEP_SECONDS and short < config.bptt:
            return slow
        warm = measure(config.bptt, _WARM_UP_FRACTION * seconds)
        return warm if tokens / warm > _TOO_LONG * seconds else measure(config.bptt, seconds)
