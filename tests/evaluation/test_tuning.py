"""Settings found on the part for choosing: better there than those that were begun with."""

import numpy as np
import pytest

from rnncli.evaluation.config import Adaptation, Cache
from rnncli.evaluation.interpolation import adaptive_score, fit_ngram
from rnncli.evaluation.tuning import tuned
from rnncli.ngram.interpolation import Mixture
from tests.conftest import part_of, tiny_model

TRAIN = np.random.default_rng(1).integers(0, 11, 500).astype(np.uint8)
TEXT = part_of(np.tile(np.array([3, 1, 4, 1, 5, 9, 2, 6], np.uint8), 100))
EVEN = Mixture(np.zeros(0), np.full((1, 1), 0.5))


@pytest.mark.parametrize("with_ngram", [False, True])
def test_what_is_found_is_better_than_the_defaults(with_ngram: bool) -> None:
    """A text that repeats itself asks for a high rate and a large share."""
    model = tiny_model()
    beside = (fit_ngram(part_of(TRAIN), 2, 11), EVEN) if with_ngram else None
    adaptation, cache = tuned(model, TRAIN, beside, Adaptation(), Cache(), TEXT)
    assert adaptation is not None
    assert cache is not None
    assert adaptation.rate > 10 * Adaptation.rate
    plain, better = (
        adaptive_score(model, TRAIN, beside, *learning, TEXT).nats
        for learning in ((Adaptation(), Cache()), (adaptation, cache))
    )
    assert better < 0.8 * plain
    for share in (0.5 * cache.share, min(1.2 * cache.share, 0.99)):
        other = Cache(cache.size, cache.sharpness, share)
        assert adaptive_score(model, TRAIN, beside, adaptation, other, TEXT).nats >= 0.99 * better


def test_only_what_was_asked_for_is_found() -> None:
    model = tiny_model()
    adaptation, cache = tuned(model, TRAIN, None, None, Cache(size=77), TEXT)
    assert adaptation is None
    assert cache is not None
    assert (cache.size, cache != Cache(size=77)) == (77, True)
    adaptation, cache = tuned(model, TRAIN, None, Adaptation(tokens=16), None, TEXT)
    assert cache is None
    assert adaptation is not None
    assert adaptation.tokens == 16
