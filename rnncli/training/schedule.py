"""How the learning rate follows the budget."""

import math

from rnncli.training.config import TrainConfig

# What is left of the rate at the end, so that the last steps still do something.
_FLOOR = 0.01


def learning_rate(progress: float, config: TrainConfig, warm_from: float = 0.0) -> float:
    """Linear warm-up, then a cosine to near zero (Loshchilov and Hutter 2017); progress 0..1.

    Progress is the part of the budget that is used up, in seconds or in steps: whichever it is
    counted in, the rate reaches its floor at the end. `warm_from` is the progress from which it last
    rose: 0, or where a run went on with another budget or after a failure. Without a budget the rate
    stays as it is.
    """
    if config.open_ended:
        return config.learning_rate
    warm = min(1.0, (progress - warm_from) / config.warmup) if config.warmup else 1.0
    cosine = 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))
    return config.learning_rate * max(warm, _FLOOR) * (_FLOOR + (1.0 - _FLOOR) * cosine)
