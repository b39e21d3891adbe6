"""How text is drawn from a model."""

import math
from dataclasses import dataclass

from rnncli.errors import ConfigError


@dataclass(frozen=True)
class SamplingConfig:
    """temperature 0 takes the likeliest token; top_k 0 and top_p 1 leave every token in."""

    temperature: float = 0.8
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and self.temperature >= 0.0):
            raise ConfigError(
                f"temperature is {self.temperature}",
                hint="it is 0 (likeliest token) or more, for example 0.8",
            )
        if self.top_k < 0:
            raise ConfigError(f"top-k is {self.top_k}", hint="it is 0 (off) or a number of tokens")
        if not 0.0 < self.top_p <= 1.0:
            raise ConfigError(f"top-p is {self.top_p}", hint="it is more than 0 and at most 1 (off)")
