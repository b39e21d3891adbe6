"""The settings of a model that learns while it scores, found on the part for choosing. Shapes: N tokens."""

from dataclasses import replace

import numpy as np

from rnncli.data.shards import Shards
from rnncli.data.split import Part
from rnncli.data.tokenizers.base import Ids
from rnncli.evaluation.config import Adaptation, Cache
from rnncli.evaluation.interpolation import adaptive_columns, adaptive_score, with_cache
from rnncli.ngram.interpolation import Mixture, weights
from rnncli.ngram.kneser_ney import Ngram
from rnncli.nn.language_model import LanguageModel

# Of the held-out part, from its beginning: enough to see a difference of a hundredth.
TUNING_TOKENS = 20_000
# A rate is tried that much higher or lower, as long as that is better.
_RATE_STEP = 2.0
_SHARPNESS = (0.03, 0.1, 0.3, 1.0)
# A cache that brings nothing keeps so much.
_LEAST_SHARE = 1e-4


def tuned(
    model: LanguageModel,
    train_ids: Ids | Shards,
    beside: tuple[Ngram, Mixture | None] | None,
    adaptation: Adaptation | None,
    cache: Cache | None,
    valid: Part,
) -> tuple[Adaptation | None, Cache | None]:
    """The same with the rate, and the sharpness and share, under which the text is most probable.

    The rate is found first, and the cache beside a network that adapts with it.
    """
    text = replace(valid, ids=valid.ids[0:TUNING_TOKENS])
    if adaptation is not None:
        adaptation = _best_rate(model, train_ids, beside, adaptation, text)
    if cache is not None:
        cache = _best_cache(model, train_ids, beside, adaptation, cache, text)
    return adaptation, cache


def _best_rate(
    model: LanguageModel,
    train_ids: Ids | Shards,
    beside: tuple[Ngram, Mixture | None] | None,
    first: Adaptation,
    text: Part,
) -> Adaptation:
    def nats(rate: float) -> float:
        return adaptive_score(model, train_ids, beside, replace(first, rate=rate), None, text).nats

    best, least = first.rate, nats(first.rate)
    for step in (_RATE_STEP, 1.0 / _RATE_STEP):
        found = best
        while (found := found * step) < 1.0 and (now := nats(found)) < least:
            best, least = found, now
        if best != first.rate:
            break
    return replace(first, rate=best)


def _best_cache(
    model: LanguageModel,
    train_ids: Ids | Shards,
    beside: tuple[Ngram, Mixture | None] | None,
    adaptation: Adaptation | None,
    first: Cache,
    text: Part,
) -> Cache:
    tried = []
    for sharpness in _SHARPNESS:
        cache = replace(first, sharpness=sharpness)
        nats, cached = adaptive_columns(model, train_ids, beside, adaptation, cache, text)
        # The share of two distributions under which a text is most probable: one weight for all tokens.
        odds = np.exp(np.clip(nats - cached, -50.0, 50.0))
        share = 1.0 - float(weights(odds, np.zeros(len(odds), np.int64), np.full(1, 0.5))[0])
        cache = replace(cache, share=min(max(share, _LEAST_SHARE), 1.0 - _LEAST_SHARE))
        tried.append((float(with_cache(nats, cached, cache.share).sum()), cache))
    return min(tried, key=lambda each: each[0])[1]
