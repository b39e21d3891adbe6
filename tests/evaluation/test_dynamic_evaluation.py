"""Tests of dynamic evaluation and the neural cache: a token is scored before the model learns from it."""

import numpy as np
import numpy.typing as npt
import pytest
import torch

from rnncli.errors import ConfigError
from rnncli.evaluation.config import CacheOptions, DynamicOptions
from rnncli.evaluation.dynamic_evaluation import dynamic_metrics
from rnncli.evaluation.dynamic_scoring import dynamic_score
from rnncli.evaluation.interpolation import fit_ngram
from rnncli.evaluation.language_models import InterpolatedModel
from rnncli.evaluation.scoring import stream_metrics
from rnncli.ngram.interpolation import Interpolation
from rnncli.nn.ensemble import RNNLanguageModel
from tests.conftest import part_of, tiny_model

TRAIN = np.random.default_rng(1).integers(0, 11, 500).astype(np.uint8)
REPEATING = np.tile(np.array([3, 1, 4, 1, 5, 9, 2, 6], np.uint8), 60)


def metrics_of(
    model: RNNLanguageModel,
    ids: npt.NDArray[np.uint8],
    dynamic: DynamicOptions | None = None,
    cache: CacheOptions | None = None,
) -> npt.NDArray[np.float32]:
    return np.concatenate(list(dynamic_metrics(model, ids, TRAIN, dynamic=dynamic, cache=cache)))


@pytest.mark.parametrize("ensemble_size", [1, 2])
def test_without_learning_it_is_the_static_score(ensemble_size: int) -> None:
    model = tiny_model(ensemble_size=ensemble_size)
    static = np.concatenate([block[:, 0] for block in stream_metrics(model, REPEATING)])
    np.testing.assert_allclose(metrics_of(model, REPEATING, cache=CacheOptions())[:, 0], static, rtol=1e-4)


def test_dynamic_evaluation_learns_a_repetitive_text_and_does_not_change_the_model() -> None:
    model = tiny_model().requires_grad_(False)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    nats = metrics_of(model, REPEATING, DynamicOptions(lr=0.02, tokens=16))[:, 0]
    assert nats[-160:].mean() < 0.8 * nats[:160].mean()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name]), name


@pytest.mark.parametrize(
    "learning", [(DynamicOptions(lr=0.05), None), (None, CacheOptions(weight=0.5))], ids=str
)
def test_later_tokens_do_not_change_earlier_scores(
    learning: tuple[DynamicOptions | None, CacheOptions | None],
) -> None:
    model = tiny_model()
    changed = REPEATING.copy()
    changed[100:] = 7
    one, two = (metrics_of(model, ids, *learning) for ids in (REPEATING, changed))
    np.testing.assert_array_equal(one[:100], two[:100])
    assert not np.allclose(one[101:130], two[101:130])


def test_the_first_segment_is_scored_by_the_trained_model() -> None:
    model = tiny_model()
    static = np.concatenate([block[:, 0] for block in stream_metrics(model, REPEATING)])
    nats = metrics_of(model, REPEATING, DynamicOptions(lr=0.05, tokens=20))[:, 0]
    np.testing.assert_allclose(nats[:20], static[:20], rtol=1e-5)
    assert not np.allclose(nats[20:60], static[20:60], rtol=1e-3)


def test_the_weights_decay_towards_their_trained_values() -> None:
    model = tiny_model()
    far, near = (
        metrics_of(model, REPEATING, DynamicOptions(lr=0.02, decay=decay, tokens=16))[:, 0]
        for decay in (0.0, 1.0)
    )
    static = np.concatenate([block[:, 0] for block in stream_metrics(model, REPEATING)])
    assert abs(near.mean() - static.mean()) < abs(far.mean() - static.mean())


def test_the_cache_matches_its_definition() -> None:
    """A slow reference, one token at a time."""
    model, cache = tiny_model(num_layers=1), CacheOptions(size=37, flatness=2.0)
    ids = REPEATING[:90]
    inputs = torch.tensor([[model.config.bos_id, *ids[:-1].tolist()]])
    hidden, _ = model.hidden(inputs, model.initial_state(1))
    found = metrics_of(model, ids, cache=cache)[:, 2]
    for at in (0, 1, 31, 32, 63, 64, 89):
        first = max(at - cache.size, 0)
        weights = torch.exp(cache.flatness * (hidden[0, first:at] @ hidden[0, at]))
        same = torch.from_numpy(ids[first:at] == ids[at])
        expected = -torch.log((weights * same).sum() / weights.sum())
        if at == 0 or not same.any():
            assert found[at] == np.inf
        else:
            assert found[at] == pytest.approx(float(expected.detach()), rel=1e-4)


def test_the_cache_is_interpolated_with_the_whole_model() -> None:
    model, cache = tiny_model(), CacheOptions(weight=0.25)
    ngram = fit_ngram(part_of(TRAIN), 2, 11)
    even = Interpolation(np.zeros(0), np.full((1, 1), 0.5))
    score = dynamic_score(
        InterpolatedModel(model, ngram, even), part_of(REPEATING), TRAIN, dynamic=None, cache=cache
    )
    columns = metrics_of(model, REPEATING, cache=cache).astype(np.float64)
    ngram_nll = ngram.token_nll(np.concatenate([[11], REPEATING]))[0][1:]
    static = 0.5 * np.exp(-columns[:, 0]) + 0.5 * np.exp(-ngram_nll)
    interpolated = 0.75 * static + 0.25 * np.exp(-columns[:, 2])
    expected = -np.log(interpolated[1:]).sum() - np.log(static[0])
    assert score.nll_nats == pytest.approx(expected, rel=1e-6)
    assert (score.tokens, score.characters) == (480, 480)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DynamicOptions(lr=0.0), "dynamic lr is 0.0"),
        (lambda: DynamicOptions(lr=float("nan")), "dynamic lr is nan"),
        (lambda: CacheOptions(size=0), "cache size is 0"),
        (lambda: CacheOptions(weight=1.0), "cache weight is 1.0"),
    ],
)
def test_an_option_out_of_range_is_an_error(make: object, message: str) -> None:
    assert callable(make)
    with pytest.raises(ConfigError, match=message):
        make()
