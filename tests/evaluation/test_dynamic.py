"""Models that learn from what they score: first scored, then learned, and nothing before its time."""

import numpy as np
import numpy.typing as npt
import pytest
import torch

from rnncli.errors import ConfigError
from rnncli.evaluation.config import Adaptation, Cache
from rnncli.evaluation.dynamic import adaptive_measures
from rnncli.evaluation.interpolation import adaptive_score, fit_ngram
from rnncli.evaluation.scoring import stream_measures
from rnncli.ngram.interpolation import Mixture
from rnncli.nn.language_model import LanguageModel
from tests.conftest import part_of, tiny_model

TRAIN = np.random.default_rng(1).integers(0, 11, 500).astype(np.uint8)
REPEATING = np.tile(np.array([3, 1, 4, 1, 5, 9, 2, 6], np.uint8), 60)


def measured(
    model: LanguageModel,
    ids: npt.NDArray[np.uint8],
    adaptation: Adaptation | None = None,
    cache: Cache | None = None,
) -> npt.NDArray[np.float32]:
    return np.concatenate(list(adaptive_measures(model, ids, TRAIN, adaptation, cache)))


@pytest.mark.parametrize("members", [1, 2])
def test_without_learning_it_is_the_static_score(members: int) -> None:
    model = tiny_model(members=members)
    static = np.concatenate([block[:, 0] for block in stream_measures(model, REPEATING)])
    np.testing.assert_allclose(measured(model, REPEATING, cache=Cache())[:, 0], static, rtol=1e-4)


def test_dynamic_evaluation_learns_what_comes_again_and_leaves_the_model_as_it_was() -> None:
    model = tiny_model().requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    nats = measured(model, REPEATING, Adaptation(rate=0.02, tokens=16))[:, 0]
    assert nats[-160:].mean() < 0.8 * nats[:160].mean()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.parametrize("learning", [(Adaptation(rate=0.05), None), (None, Cache(share=0.5))], ids=str)
def test_what_comes_later_changes_nothing(learning: tuple[Adaptation | None, Cache | None]) -> None:
    model = tiny_model()
    changed = REPEATING.copy()
    changed[100:] = 7
    one, two = (measured(model, ids, *learning) for ids in (REPEATING, changed))
    np.testing.assert_array_equal(one[:100], two[:100])
    assert not np.allclose(one[101:130], two[101:130])


def test_the_first_stretch_is_scored_by_the_model_as_it_is() -> None:
    model = tiny_model()
    static = np.concatenate([block[:, 0] for block in stream_measures(model, REPEATING)])
    nats = measured(model, REPEATING, Adaptation(rate=0.05, tokens=20))[:, 0]
    np.testing.assert_allclose(nats[:20], static[:20], rtol=1e-5)
    assert not np.allclose(nats[20:60], static[20:60], rtol=1e-3)


def test_without_new_evidence_the_first_weights_come_back() -> None:
    model = tiny_model()
    far, near = (
        measured(model, REPEATING, Adaptation(rate=0.02, decay=decay, tokens=16))[:, 0]
        for decay in (0.0, 1.0)
    )
    static = np.concatenate([block[:, 0] for block in stream_measures(model, REPEATING)])
    assert abs(near.mean() - static.mean()) < abs(far.mean() - static.mean())


def test_a_cache_says_what_followed_alike_memories() -> None:
    """By the definition, one token after another."""
    model, cache = tiny_model(num_layers=1), Cache(size=37, sharpness=2.0)
    ids = REPEATING[:90]
    inputs = torch.tensor([[model.config.start, *ids[:-1].tolist()]])
    hidden, _ = model.hidden(inputs, model.initial_state(1))
    found = measured(model, ids, cache=cache)[:, 2]
    for at in (0, 1, 31, 32, 63, 64, 89):
        first = max(at - cache.size, 0)
        weights = torch.exp(cache.sharpness * (hidden[0, first:at] @ hidden[0, at]))
        same = torch.from_numpy(ids[first:at] == ids[at])
        expected = -torch.log((weights * same).sum() / weights.sum())
        if at == 0 or not same.any():
            assert found[at] == np.inf
        else:
            assert found[at] == pytest.approx(float(expected.detach()), rel=1e-4)


def test_the_cache_has_its_share_of_the_mixture() -> None:
    model, cache = tiny_model(), Cache(share=0.25)
    ngram = fit_ngram(part_of(TRAIN), 2, 11)
    even = Mixture(np.zeros(0), np.full((1, 1), 0.5))
    score = adaptive_score(model, TRAIN, (ngram, even), None, cache, part_of(REPEATING))
    columns = measured(model, REPEATING, cache=cache).astype(np.float64)
    others = ngram.nats(np.concatenate([[11], REPEATING]))[0][1:]
    static = 0.5 * np.exp(-columns[:, 0]) + 0.5 * np.exp(-others)
    mixed = 0.75 * static + 0.25 * np.exp(-columns[:, 2])
    expected = -np.log(mixed[1:]).sum() - np.log(static[0])
    assert score.nats == pytest.approx(expected, rel=1e-6)
    assert (score.tokens, score.characters) == (480, 480)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Adaptation(rate=0.0), "adapt-rate is 0.0"),
        (lambda: Adaptation(rate=float("nan")), "adapt-rate is nan"),
        (lambda: Cache(size=0), "cache-size is 0"),
        (lambda: Cache(share=1.0), "cache-share is 1.0"),
    ],
)
def test_settings_out_of_bounds_are_refused(make: object, named: str) -> None:
    assert callable(make)
    with pytest.raises(ConfigError, match=named):
        make()
