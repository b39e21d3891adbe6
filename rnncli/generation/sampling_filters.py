"""Pure filters on the logits of one step, and the choice of a token.

Each filter maps logits (B, V) to logits (B, V), every row by itself; a token that it removes gets -inf. They
are computed in NumPy, so that a seed gives the same text on every device that has the same weights.

Shapes:
  B: batch size
  V: vocabulary size
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rnncli.generation.config import SamplingOptions

Logits = npt.NDArray[np.float64]
Tokens = npt.NDArray[np.int64]


def filter_logits(logits: Logits, options: SamplingOptions) -> Logits:
    """Apply temperature, which must be above 0, then top-k, top-p, min-p and typical-p."""
    logits = apply_temperature(logits, options.temperature)
    logits = apply_top_k(logits, options.top_k)
    logits = apply_top_p(logits, options.top_p)
    logits = apply_min_p(logits, options.min_p)
    return apply_typical_p(logits, options.typical_p)


def sample(logits: Logits, uniform: npt.NDArray[np.float64]) -> Tokens:
    """Sample one token per row by inverting its cumulative distribution.

    Args:
        logits: Unnormalized log probabilities (B, V).
        uniform: Random numbers from [0, 1) (B,).

    Returns:
        The tokens (B,).
    """
    cumulative = np.cumsum(np.exp(logits - logits.max(-1, keepdims=True)), axis=-1)
    # <= never selects a token of probability zero; the scaled `uniform` can reach the last token.
    return np.asarray((cumulative <= uniform[:, None] * cumulative[:, -1:]).sum(1))


def forbid(logits: Logits, tokens: Sequence[int]) -> Logits:
    """Remove `tokens` from every row that has other tokens left."""
    if not tokens:
        return logits
    allowed = logits.copy()
    allowed[:, list(tokens)] = -np.inf
    remaining = np.isfinite(allowed).any(1, keepdims=True)
    return allowed if remaining.all() else np.where(remaining, allowed, logits)


def apply_repetition_penalty(logits: Logits, occurred: npt.NDArray[np.bool_], penalty: float) -> Logits:
    """Multiply ln p of tokens that have occurred (B, V) by `penalty`; 1 changes nothing.

    After CTRL (Keskar et al. 2019), which multiplies or divides logits depending on their sign; the sign of a
    logit is arbitrary, whereas log probabilities are never positive.
    """
    if penalty == 1.0:
        return logits
    log_probs = log_softmax(logits)
    return np.where(occurred, penalty * log_probs, log_probs)


def apply_temperature(logits: Logits, temperature: float) -> Logits:
    """Divide by a temperature above 0; the maximum is subtracted first so that nothing overflows."""
    with np.errstate(over="ignore"):
        return np.asarray((logits - logits.max(-1, keepdims=True)) / temperature)


def apply_top_k(logits: Logits, k: int) -> Logits:
    """Keep the k most probable tokens (Fan et al. 2018); ties go to the lower id, and 0 keeps all."""
    if k == 0 or k >= logits.shape[-1]:
        return logits
    return _keep_first(logits, _ranking(-logits), np.full(len(logits), k))


def apply_top_p(logits: Logits, p: float) -> Logits:
    """Keep the fewest tokens whose probabilities sum to p (nucleus sampling, Holtzman et al. 2020)."""
    if p == 1.0:
        return logits
    ranking = _ranking(-logits)
    cumulative = np.cumsum(np.take_along_axis(softmax(logits), ranking, -1), axis=-1)
    return _keep_first(logits, ranking, (cumulative < p).sum(-1) + 1)


def apply_min_p(logits: Logits, p: float) -> Logits:
    """Keep tokens at least p times as probable as the most probable one (Nguyen et al. 2024); 0 keeps all."""
    if p == 0.0:
        return logits
    return np.where(logits >= logits.max(-1, keepdims=True) + np.log(p), logits, -np.inf)


def apply_typical_p(logits: Logits, p: float) -> Logits:
    """Keep the fewest tokens that sum to p, in order of the distance of their surprisal from the entropy.

    Locally typical sampling (Meister et al. 2023, equation 10); 1 keeps all.
    """
    if p == 1.0:
        return logits
    probabilities = softmax(logits)
    with np.errstate(divide="ignore", invalid="ignore"):
        surprisal = -np.log(probabilities)
        entropy = np.nansum(probabilities * surprisal, axis=-1, keepdims=True)
    ranking = _ranking(np.abs(surprisal - entropy))
    cumulative = np.cumsum(np.take_along_axis(probabilities, ranking, -1), axis=-1)
    return _keep_first(logits, ranking, (cumulative < p).sum(-1) + 1)


def log_softmax(logits: Logits) -> Logits:
    """Return ln p (B, V); much faster than NumPy's logaddexp.reduce."""
    shifted = logits - logits.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def softmax(logits: Logits) -> npt.NDArray[np.float64]:
    """Return probabilities (B, V) that sum to 1 in every row."""
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(-1, keepdims=True))


def _ranking(costs: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    return np.argsort(costs, axis=-1, kind="stable")


def _keep_first(logits: Logits, ranking: npt.NDArray[np.intp], counts: npt.NDArray[np.integer]) -> Logits:
    """Keep the first tokens of the ranking (B, V), as many as `counts` (B,) says."""
    is_kept = np.arange(logits.shape[-1]) < counts[:, None]
    mask = np.zeros(logits.shape, np.bool_)
    np.put_along_axis(mask, ranking, is_kept, -1)
    return np.where(mask, logits, -np.inf)
