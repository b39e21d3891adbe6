"""Tests of tuning dynamic evaluation and the cache on the validation split."""

import numpy as np
import pytest

from rnncli.evaluation.config import CacheOptions, DynamicOptions
from rnncli.evaluation.dynamic_scoring import dynamic_score, tune_dynamic
from rnncli.evaluation.interpolation import fit_ngram
from rnncli.evaluation.language_models import InterpolatedModel, NetworkModel
from rnncli.ngram.interpolation import Interpolation
from tests.conftest import part_of, tiny_model

TRAIN = np.random.default_rng(1).integers(0, 11, 500).astype(np.uint8)
TEXT = part_of(np.tile(np.array([3, 1, 4, 1, 5, 9, 2, 6], np.uint8), 100))
EVEN = Interpolation(np.zeros(0), np.full((1, 1), 0.5))


@pytest.mark.parametrize("with_ngram", [False, True])
def test_tuned_options_have_a_lower_loss_than_the_defaults(with_ngram: bool) -> None:
    """A repetitive text needs a high learning rate and a large cache weight."""
    network = tiny_model()
    interpolated = InterpolatedModel(network, fit_ngram(part_of(TRAIN), 2, 11), EVEN)
    model = interpolated if with_ngram else NetworkModel(network)
    dynamic, cache = tune_dynamic(model, TEXT, TRAIN, dynamic=DynamicOptions(), cache=CacheOptions())
    assert dynamic is not None
    assert cache is not None
    assert dynamic.lr > 10 * DynamicOptions.lr
    plain, better = (
        dynamic_score(model, TEXT, TRAIN, dynamic=one, cache=other).nll_nats
        for one, other in ((DynamicOptions(), CacheOptions()), (dynamic, cache))
    )
    assert better < 0.8 * plain
    for weight in (0.5 * cache.weight, min(1.2 * cache.weight, 0.99)):
        other = CacheOptions(size=cache.size, flatness=cache.flatness, weight=weight)
        assert dynamic_score(model, TEXT, TRAIN, dynamic=dynamic, cache=other).nll_nats >= 0.99 * better


def test_only_the_given_options_are_tuned() -> None:
    model = NetworkModel(tiny_model())
    dynamic, cache = tune_dynamic(model, TEXT, TRAIN, dynamic=None, cache=CacheOptions(size=77))
    assert dynamic is None
    assert cache is not None
    assert (cache.size, cache != CacheOptions(size=77)) == (77, True)
    dynamic, cache = tune_dynamic(model, TEXT, TRAIN, dynamic=DynamicOptions(tokens=16), cache=None)
    assert cache is None
    assert dynamic is not None
    assert dynamic.tokens == 16
