"""Pure filters on the logits of one step, and the draw. Shapes: V vocabulary.

Each filter maps logits (V,) to logits (V,); a token that it takes out gets -inf. numpy, so that a
seed gives the same text wherever the weights are the same.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rnncli.inference.config import SamplingConfig

Logits = npt.NDArray[np.float64]


def sample(logits: Logits, config: SamplingConfig, rng: np.random.Generator) -> int:
    """Temperature, then top-k, then top-p, then one draw by inverting the cumulative distribution."""
    if config.temperature == 0.0:
        return int(np.argmax(logits))
    filtered = top_p(top_k(temperature(logits, config.temperature), config.top_k), config.top_p)
    cumulative = np.cumsum(softmax(filtered))
    # side="right" never lands on a token of probability zero; scaling makes the last one reachable.
    return int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right"))


def forbid(logits: Logits, tokens: Sequence[int]) -> Logits:
    """Take `tokens` out, unless nothing else is left."""
    allowed = logits.copy()
    allowed[list(tokens)] = -np.inf
    return allowed if np.isfinite(allowed).any() else logits


def temperature(logits: Logits, value: float) -> Logits:
    """Divide by `value` > 0; the maximum is taken off first so that tiny values do not overflow."""
    with np.errstate(over="ignore"):
        return np.asarray((logits - logits.max()) / value)


def top_k(logits: Logits, k: int) -> Logits:
    """Keep the k likeliest tokens, the lower id first among equals (Fan et al. 2018); 0 keeps all."""
    if k == 0 or k >= len(logits):
        return logits
    return _keep(logits, _ranked(logits)[:k])


def top_p(logits: Logits, p: float) -> Logits:
    """Keep the fewest tokens whose probabilities reach p (nucleus sampling, Holtzman et al. 2020)."""
    if p == 1.0:
        return logits
    ranked = _ranked(logits)
    reached = np.cumsum(softmax(logits)[ranked])
    return _keep(logits, ranked[: int(np.searchsorted(reached, p)) + 1])


def softmax(logits: Logits) -> npt.NDArray[np.float64]:
    """Probabilities (V,) that add up to 1."""
    exponentials = np.exp(logits - logits.max())
    return np.asarray(exponentials / exponentials.sum())


def _ranked(logits: Logits) -> npt.NDArray[np.intp]:
    return np.argsort(-logits, kind="stable")


def _keep(logits: Logits, tokens: npt.NDArray[np.intp]) -> Logits:
    kept = np.full_like(logits, -np.inf)
    kept[tokens] = logits[tokens]
    return kept
