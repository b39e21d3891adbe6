"""Scores of models that learn from the text while scoring it, and the tuning of their options.

Shapes:
  N: tokens of a text
"""

from dataclasses import replace

import numpy as np

from rnncli.data.splits import ConcatenatedIds, Split
from rnncli.data.tokenizers.base import Ids
from rnncli.evaluation.config import CacheOptions, DynamicOptions
from rnncli.evaluation.interpolation import interpolate_cache
from rnncli.evaluation.language_models import NeuralLanguageModel
from rnncli.metrics import Score
from rnncli.ngram.interpolation import weights

# Tokens from the beginning of the validation split: enough to measure a difference of 1%.
TUNING_TOKENS = 20_000
# The learning rate is multiplied or divided by this factor as long as the loss falls.
_LR_FACTOR = 2.0
_FLATNESS_GRID = (0.03, 0.1, 0.3, 1.0)
# The least weight of a cache, even if the cache does not lower the loss.
_MIN_WEIGHT = 1e-4


def dynamic_score(
    model: NeuralLanguageModel,
    text: Split,
    train_ids: Ids | ConcatenatedIds,
    *,
    dynamic: DynamicOptions | None,
    cache: CacheOptions | None,
) -> Score:
    """Score a text with dynamic evaluation, a neural cache, or both.

    Args:
        model: The model; it is not changed. The cache is interpolated with all of it: network and n-gram.
        text: The text; its state is never reset.
        train_ids: The training split, on which gradient magnitudes are measured.
        dynamic: How to learn from the text; None: not at all.
        cache: The cache; None: no cache.
    """
    nll, cache_nll = model.dynamic_nll(text, train_ids, dynamic, cache)
    if cache is not None:
        nll = interpolate_cache(nll, cache_nll, cache.weight)
    is_oov = text.ids[0 : text.tokens] == text.unk_id
    return text.score(float(nll.sum()), float(nll[is_oov].sum()))


def tune_dynamic(
    model: NeuralLanguageModel,
    valid: Split,
    train_ids: Ids | ConcatenatedIds,
    *,
    dynamic: DynamicOptions | None,
    cache: CacheOptions | None,
) -> tuple[DynamicOptions | None, CacheOptions | None]:
    """Find the options that minimize the loss of a validation split.

    The learning rate is tuned first, without the cache; then flatness and weight of the cache, with
    dynamic evaluation at that learning rate.

    Args:
        model: The model.
        valid: The validation split.
        train_ids: The training split, on which gradient magnitudes are measured.
        dynamic: Dynamic evaluation with the learning rate to begin with; None: no dynamic evaluation.
        cache: The cache; None: no cache.

    Returns:
        `dynamic` with the best learning rate, and `cache` with the best flatness and weight.
    """
    text = replace(valid, ids=valid.ids[0:TUNING_TOKENS])
    if dynamic is not None:
        dynamic = _tune_lr(model, text, train_ids, dynamic)
    if cache is not None:
        cache = _tune_cache(model, text, train_ids, dynamic=dynamic, cache=cache)
    return dynamic, cache


def _tune_lr(
    model: NeuralLanguageModel, text: Split, train_ids: Ids | ConcatenatedIds, first: DynamicOptions
) -> DynamicOptions:
    def loss(lr: float) -> float:
        options = replace(first, lr=lr)
        return dynamic_score(model, text, train_ids, dynamic=options, cache=None).nll_nats

    best, least = first.lr, loss(first.lr)
    for factor in (_LR_FACTOR, 1.0 / _LR_FACTOR):
        lr = best
        while (lr := lr * factor) < 1.0 and (now := loss(lr)) < least:
            best, least = lr, now
        if best != first.lr:
            break
    return replace(first, lr=best)


def _tune_cache(
    model: NeuralLanguageModel,
    text: Split,
    train_ids: Ids | ConcatenatedIds,
    *,
    dynamic: DynamicOptions | None,
    cache: CacheOptions,
) -> CacheOptions:
    candidates = []
    for flatness in _FLATNESS_GRID:
        candidate = replace(cache, flatness=flatness)
        nll, cache_nll = model.dynamic_nll(text, train_ids, dynamic, candidate)
        # The interpolation weight that minimizes the loss: one weight for all tokens.
        odds = np.exp(np.clip(nll - cache_nll, -50.0, 50.0))
        weight = 1.0 - float(weights(odds, np.zeros(len(odds), np.int64), np.full(1, 0.5))[0])
        candidate = replace(candidate, weight=min(max(weight, _MIN_WEIGHT), 1.0 - _MIN_WEIGHT))
        candidates.append((float(interpolate_cache(nll, cache_nll, candidate.weight).sum()), candidate))
    return min(candidates, key=lambda pair: pair[0])[1]
