"""Pure filters on the logits of one step, and the draw. Shapes: B lanes, V vocabulary.

Each filter maps logits (B, V) to logits (B, V), every lane by itself; a token that it takes out gets -inf.
numpy, so that a seed gives the same text wherever the weights are the same.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rnncli.evaluation.config import SamplingConfig

Logits = npt.NDArray[np.float64]
Tokens = npt.NDArray[np.int64]


def filtered(logits: Logits, config: SamplingConfig) -> Logits:
    """Temperature, which is not 0, then top-k, top-p, min-p and typical, as far as they are on."""
    kept = temperature(logits, config.temperature)
    kept = top_k(kept, config.top_k)
    kept = top_p(kept, config.top_p)
    kept = min_p(kept, config.min_p)
    return typical(kept, config.typical_p)


def draw(logits: Logits, uniform: npt.NDArray[np.float64]) -> Tokens:
    """One token a lane (B,), by inverting its cumulative distribution at `uniform` (B,) from [0, 1)."""
    cumulative = np.cumsum(np.exp(logits - logits.max(-1, keepdims=True)), axis=-1)
    # Strictly below never lands on a token of probability zero; scaling makes the last one reachable.
    return np.asarray((cumulative <= uniform[:, None] * cumulative[:, -1:]).sum(1))


def forbid(logits: Logits, tokens: Sequence[int]) -> Logits:
    """Take `tokens` out, of a lane in which anything else is left."""
    if not tokens:
        return logits
    allowed = logits.copy()
    allowed[:, list(tokens)] = -np.inf
    left = np.isfinite(allowed).any(1, keepdims=True)
    return allowed if left.all() else np.where(left, allowed, logits)


def penalize(logits: Logits, seen: npt.NDArray[np.bool_], penalty: float) -> Logits:
    """ln p times `penalty` for tokens that the lane has `seen` (B, V) (after Keskar et al. 2019, CTRL).

    They do it to logits, whose sign is an accident; logarithms of probabilities are all negative.
    """
    if penalty == 1.0:
        return logits
    logs = log_softmax(logits)
    return np.where(seen, penalty * logs, logs)


def temperature(logits: Logits, value: float) -> Logits:
    """Divide by `value` > 0; the maximum is taken off first so that tiny values do not overflow."""
    with np.errstate(over="ignore"):
        return np.asarray((logits - logits.max(-1, keepdims=True)) / value)


def top_k(logits: Logits, k: int) -> Logits:
    """Keep the k likeliest tokens, the lower id first among equals (Fan et al. 2018); 0 keeps all."""
    if k == 0 or k >= logits.shape[-1]:
        return logits
    return _keep_first(logits, _ranked(-logits), np.full(len(logits), k))


def top_p(logits: Logits, p: float) -> Logits:
    """Keep the fewest tokens whose probabilities reach p (nucleus sampling, Holtzman et al. 2020)."""
    if p == 1.0:
        return logits
    ranked = _ranked(-logits)
    reached = np.cumsum(np.take_along_axis(softmax(logits), ranked, -1), axis=-1)
    return _keep_first(logits, ranked, (reached < p).sum(-1) + 1)


def min_p(logits: Logits, p: float) -> Logits:
    """Keep what is at least p times as probable as the likeliest (Nguyen et al. 2024); 0 keeps all."""
    if p == 0.0:
        return logits
    return np.where(logits >= logits.max(-1, keepdims=True) + np.log(p), logits, -np.inf)


def typical(logits: Logits, p: float) -> Logits:
    """Keep the fewest tokens that reach p of those whose surprise is nearest to the entropy.

    Locally typical sampling (Meister et al. 2023, equation 10); 1 keeps all.
    """
    if p == 1.0:
        return logits
    probabilities = softmax(logits)
    with np.errstate(divide="ignore", invalid="ignore"):
        surprise = -np.log(probabilities)
        entropy = np.nansum(probabilities * surprise, axis=-1, keepdims=True)
    ranked = _ranked(np.abs(surprise - entropy))
    reached = np.cumsum(np.take_along_axis(probabilities, ranked, -1), axis=-1)
    return _keep_first(logits, ranked, (reached < p).sum(-1) + 1)


def log_softmax(logits: Logits) -> Logits:
    """ln p (B, V); much quicker than numpy's logaddexp.reduce."""
    below = logits - logits.max(-1, keepdims=True)
    return np.asarray(below - np.log(np.exp(below).sum(-1, keepdims=True)))


def softmax(logits: Logits) -> npt.NDArray[np.float64]:
    """Probabilities (B, V) that add up to 1 in every lane."""
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(-1, keepdims=True))


def _ranked(costs: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    return np.argsort(costs, axis=-1, kind="stable")


def _keep_first(logits: Logits, ranked: npt.NDArray[np.intp], numbers: npt.NDArray[np.integer]) -> Logits:
    """The first so many of the ranked tokens of each lane (B,)."""
    kept = np.arange(logits.shape[-1]) < numbers[:, None]
    chosen = np.zeros(logits.shape, np.bool_)
    np.put_along_axis(chosen, ranked, kept, -1)
    return np.where(chosen, logits, -np.inf)
