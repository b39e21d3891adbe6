"""How fast this machine trains a given shape: measured, since no formula knows the processor."""

import time

import numpy as np
import torch

from rnncli.data.batching import Lanes
from rnncli.nn.config import ModelConfig
from rnncli.training.backends import ArrangementCheck
from rnncli.training.config import TrainConfig
from rnncli.training.hardware import Measure, Unavailable
from rnncli.training.step import Run, threads_of, train_step

# The first steps allocate, let libraries prepare their kernels and wake the processor up; of long ones
# the first alone does.
_WARM_UP_SHARE = 0.5
# A step that takes as many times the seconds to spend is not taken again.
_TOO_LONG = 4.0
# A machine so slow that one step takes longer than this is measured with shorter windows.
_LONGEST_STEP_SECONDS, _SHORTER = 10.0, 16
# The best of these is the peak: what is fastest depends on the caches. The smaller ones are for machines on
# which a large product takes minutes.
_PEAK_SIZES = (256, 512, 1024, 2048, 4096)


def matrix_peak(dtype: torch.dtype, seconds: float) -> float:
    """Operations per second of plain matrix products on the CPU, the best of some sizes.

    Takes about `seconds`; a larger size is not tried where one product has taken half as long.
    """
    best = 0.0
    for size in _PEAK_SIZES:
        a, b = (torch.randn(size, size, dtype=torch.float32).to(dtype) for _ in range(2))
        began = time.perf_counter()
        out = torch.mm(a, b)
        first = time.perf_counter() - began
        if first > seconds / 2:
            return max(best, 2 * size**3 / first)
        began, products = time.perf_counter(), 0
        while products < 2 or time.perf_counter() - began < seconds / len(_PEAK_SIZES):
            torch.mm(a, b, out=out)
            products += 1
        best = max(best, 2 * size**3 * products / (time.perf_counter() - began))
    return best


def measure_on(check: ArrangementCheck) -> Measure:
    """Return what tells a plan the speeds of a device, once `check` has found that it can compute so."""

    def measure(model: ModelConfig, config: TrainConfig, seconds: float) -> float:
        reason = check.why_not(model, config)
        if reason is not None:
            raise Unavailable(reason)
        return tokens_per_second(model, config, check.device, seconds)

    return measure


def tokens_per_second(model: ModelConfig, config: TrainConfig, device: torch.device, seconds: float) -> float:
    """Train on random ids for about `seconds` with the real step and throw the result away.

    Some of them are there often and most seldom, as words are (Zipf 1949). A step that would take more than
    ten seconds is not taken: the speed is that of windows a sixteenth as long, which is a little lower.
    """
    run = Run.new(model, config, device)
    tokens = config.batch_size * config.bptt
    ids = (model.vocab_size ** np.random.default_rng(0).random(8 * tokens) - 1.0).astype(np.uint32)

    def speed(bptt: int, least: float) -> float:
        """Over steps of so many seconds together, one at least: with many symbols it takes seconds."""
        lanes = Lanes(ids, model.start, config.batch_size, bptt)
        began, before = time.perf_counter(), run.step
        while run.step == before or time.perf_counter() - began < least:
            train_step(run, lanes[run.step], config, config.learning_rate)
        return (run.step - before) * config.batch_size * bptt / (time.perf_counter() - began)

    short = max(config.bptt // _SHORTER, 1)
    with threads_of(config):
        speed(short, 0.0)  # the first step of all allocates and loads
        slow = speed(short, 0.0)
        if tokens / slow > _LONGEST_STEP_SECONDS and short < config.bptt:
            return slow
        warm = speed(config.bptt, _WARM_UP_SHARE * seconds)
        return warm if tokens / warm > _TOO_LONG * seconds else speed(config.bptt, seconds)
