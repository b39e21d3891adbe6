"""How fast this machine trains a given shape: measured, since no formula knows the processor."""

import time

import numpy as np
import torch

from rnncli.model.config import ModelConfig
from rnncli.text.lanes import Lanes
from rnncli.training.config import TrainConfig
from rnncli.training.machine import Measure
from rnncli.training.step import Run, threads_of, train_step

# The first steps allocate, let libraries prepare their kernels and wake the processor up; of long ones
# the first alone does.
_WARM_UP_SHARE = 0.5
# The best of these is the peak: what is fastest depends on the caches.
_PEAK_SIZES = (1024, 2048, 4096)


def matrix_peak(dtype: torch.dtype, seconds: float) -> float:
    """Operations per second of plain matrix products on the processor, the best of some sizes."""
    best = 0.0
    for size in _PEAK_SIZES:
        a, b = (torch.randn(size, size, dtype=torch.float32).to(dtype) for _ in range(2))
        out = torch.mm(a, b)
        began, products = time.monotonic(), 0
        while products < 2 or time.monotonic() - began < seconds / len(_PEAK_SIZES):
            torch.mm(a, b, out=out)
            products += 1
        best = max(best, 2 * size**3 * products / (time.monotonic() - began))
    return best


def measure_on(device: torch.device) -> Measure:
    """What tells a plan the speeds of this device."""
    return lambda model, config, seconds: tokens_per_second(model, config, device, seconds)


def tokens_per_second(model: ModelConfig, config: TrainConfig, device: torch.device, seconds: float) -> float:
    """Train on random ids for about `seconds` with the real step and throw the result away.

    Some of them are there often and most seldom, as words are (Zipf 1949).
    """
    run = Run.new(model, config, device)
    tokens = config.batch_size * config.bptt
    ids = (model.vocab_size ** np.random.default_rng(0).random(8 * tokens) - 1.0).astype(np.uint32)
    lanes = Lanes(ids, model.start, config.batch_size, config.bptt)

    def speed(least: float) -> float:
        """Over steps of so many seconds together, one at least: with many symbols it takes seconds."""
        began, before = time.monotonic(), run.step
        while run.step == before or time.monotonic() - began < least:
            train_step(run, lanes[run.step], config, config.learning_rate)
        return (run.step - before) * tokens / (time.monotonic() - began)

    with threads_of(config):
        speed(_WARM_UP_SHARE * seconds)
        return speed(seconds)
