"""How text is drawn from a model, and how a model goes on learning from the text that it scores."""

import math
from dataclasses import dataclass
from typing import Literal

from rnncli.errors import ConfigError

By = Literal["position", "frequency", "line"]


@dataclass(frozen=True)
class SamplingConfig:
    """temperature 0 takes the likeliest token; top_k and min_p 0, top_p and typical_p 1 leave every token in.

    `repetition_penalty` multiplies ln p of tokens that were there before; no run of `no_repeat_ngram` tokens
    comes twice, 0 being off.
    """

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    typical_p: float = 1.0
    repetition_penalty: float = 1.0
    no_repeat_ngram: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0.0):
            raise ConfigError(
                f"temperature is {self.temperature}",
                hint="it is 0 (likeliest token) or more, for example 0.8",
            )
        if self.top_k < 0:
            raise ConfigError(f"top-k is {self.top_k}", hint="it is 0 (off) or a number of tokens")
        for name, value in (("top-p", self.top_p), ("typical-p", self.typical_p)):
            if not 0.0 < value <= 1.0:
                raise ConfigError(f"{name} is {value}", hint="it is more than 0 and at most 1 (off)")
        if not 0.0 <= self.min_p <= 1.0:
            raise ConfigError(f"min-p is {self.min_p}", hint="it is from 0 (off) to 1")
        if not 1.0 <= self.repetition_penalty <= 100.0:
            raise ConfigError(
                f"repetition-penalty is {self.repetition_penalty}", hint="it is from 1 (off) to 100"
            )
        if self.no_repeat_ngram < 0:
            raise ConfigError(
                f"no-repeat-ngram is {self.no_repeat_ngram}", hint="it is 0 (off) or a number of tokens"
            )


@dataclass(frozen=True)
class Adaptation:
    """Dynamic evaluation: after each stretch of `tokens` a step of `rate`, and `decay` of the way back."""

    rate: float = 3e-4
    decay: float = 2e-3
    tokens: int = 32

    def __post_init__(self) -> None:
        if not 0.0 < self.rate < 1.0:
            raise ConfigError(f"adapt-rate is {self.rate}", hint="it is more than 0 and less than 1")


@dataclass(frozen=True)
class Cache:
    """A neural cache of the last `size` tokens, that has `share` of the probability.

    `sharpness` multiplies the products of memories of which a softmax is taken.
    """

    size: int = 2000
    sharpness: float = 0.3
    share: float = 0.1

    def __post_init__(self) -> None:
        if not 0 < self.size <= 1_000_000:
            raise ConfigError(f"cache-size is {self.size}", hint="it is a number of tokens, for example 2000")
        if not 0.0 < self.sharpness <= 1000.0:
            raise ConfigError(
                f"cache-sharpness is {self.sharpness}",
                hint="it is more than 0 and at most 1000, for example 0.3",
            )
        if not 0.0 < self.share < 1.0:
            raise ConfigError(f"cache-share is {self.share}", hint="it is more than 0 and less than 1")
