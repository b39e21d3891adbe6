"""Tests of network, n-gram and their interpolation on the same text."""

import numpy as np
import numpy.typing as npt
import pytest
import torch

from rnncli.data.text_units import line_starts
from rnncli.evaluation import scoring
from rnncli.evaluation.interpolation import fit_ngram, fit_weights
from rnncli.evaluation.language_models import InterpolatedModel, LanguageModel, NetworkModel, evaluate
from rnncli.generation.config import SamplingOptions
from rnncli.generation.decoder import InterpolatedDecoder
from rnncli.generation.sampler import Sampler
from rnncli.ngram import kneser_ney
from rnncli.ngram.interpolation import Interpolation, WeightedNgram
from rnncli.results import Evaluation
from tests.conftest import numpy_decoder_of, part_of, tiny_model

V, END = 11, 10
EVEN = Interpolation(np.zeros(0), np.full((1, 1), 0.5))


def cyclic_ids(count: int, seed: int) -> npt.NDArray[np.uint8]:
    """Return ids that mostly count up: an n-gram learns that, an untrained network does not know it."""
    steps = np.random.default_rng(seed).choice([1, 4], count, p=[0.9, 0.1])
    return (np.cumsum(steps) % V).astype(np.uint8)


def nll_of(evaluation: Evaluation) -> list[float]:
    """Return the NLL of network, n-gram and their interpolation."""
    return [model.score.nll_nats for model in evaluation.models]


TRAIN, VALID = cyclic_ids(4_000, 1), cyclic_ids(1_500, 2)


@pytest.mark.parametrize("lines", [False, True])
def test_components_score_as_they_do_alone(lines: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "LINES_SORTED", 16)  # several blocks
    monkeypatch.setattr(scoring, "LINES_PER_BATCH", 5)
    model = tiny_model()
    starts = line_starts(VALID, END) if lines else None
    ngram = fit_ngram(part_of(TRAIN, line_starts=line_starts(TRAIN, END) if lines else None), 4, V)
    text = part_of(VALID, line_starts=starts)
    interpolated = InterpolatedModel(model, ngram, EVEN)
    network_nll, ngram_nll, _ = nll_of(evaluate(interpolated, text))
    monkeypatch.setattr(kneser_ney, "BLOCK_TOKENS", 100)
    models: list[LanguageModel] = [NetworkModel(model), ngram]
    assert [network_nll, ngram_nll] == pytest.approx(
        [evaluate(one, text).score.nll_nats for one in models], rel=1e-5
    )
    assert [one.components[-1] for one in models] == list(interpolated.components[:2])
    texts = np.split(VALID, starts[1:]) if starts is not None else [VALID]
    nats = [ngram.token_nll(np.concatenate([[V], text]))[0][1:].sum() for text in texts]
    assert ngram_nll == pytest.approx(sum(nats), rel=1e-9)


def test_blocks_of_a_long_text_keep_the_history_of_the_ngram(monkeypatch: pytest.MonkeyPatch) -> None:
    model, ngram = tiny_model(), fit_ngram(part_of(TRAIN), 5, V)
    whole = nll_of(evaluate(InterpolatedModel(model, ngram, EVEN), part_of(VALID)))
    real = scoring.stream_metrics
    monkeypatch.setattr(scoring, "stream_metrics", lambda *given, **how: real(*given, **how, block_tokens=7))
    parts = nll_of(evaluate(InterpolatedModel(model, ngram, EVEN), part_of(VALID)))
    assert parts == pytest.approx(whole, rel=1e-5)


def test_the_interpolated_model_is_better_than_its_components() -> None:
    model, ngram = tiny_model(), fit_ngram(part_of(TRAIN), 3, V)
    weights = fit_weights(model, ngram, part_of(VALID), 5_000)
    fresh = cyclic_ids(1_500, 3)
    compared = evaluate(InterpolatedModel(model, ngram, weights), part_of(fresh))
    network_nll, ngram_nll, interpolated_nll = nll_of(compared)
    assert ngram_nll < 0.5 * network_nll
    assert interpolated_nll < ngram_nll + 0.01 * len(fresh)
    against_the_network, _ = compared.differences
    assert (against_the_network.better, against_the_network.worse) == ("3-gram", "network")
    assert weights.weights.min() < 0.1


def test_no_token_is_scored_by_weights_that_have_seen_it() -> None:
    """Two halves with opposite best weights: those of the other half are wrong."""
    model, ngram = tiny_model(), fit_ngram(part_of(TRAIN), 2, V)
    with torch.no_grad():
        model.members[0].output_bias[0] = 9.0  # the network predicts 0, the n-gram counts up
    ids = np.concatenate([np.zeros(600, np.uint8), np.arange(600, dtype=np.uint8) % V])
    text = part_of(ids)
    fitted = InterpolatedModel(model, ngram, fit_weights(model, ngram, text, 5_000))
    fitted_on_both = evaluate(fitted, text)
    cross_fitted = evaluate(fitted.cross_fitted(), text)
    assert nll_of(cross_fitted)[0] == nll_of(fitted_on_both)[0]
    assert nll_of(cross_fitted)[2] > 1.5 * nll_of(fitted_on_both)[2]


def test_generated_tokens_come_from_the_interpolated_model() -> None:
    model, ngram = tiny_model(), fit_ngram(part_of(TRAIN), 3, V)
    greedy = SamplingOptions(temperature=0.0)
    believing = Interpolation(np.zeros(0), np.full((1, 1), 1e-6))
    decoder = InterpolatedDecoder(numpy_decoder_of(model), WeightedNgram(ngram, believing))
    prompt = np.array([3, 4], np.uint8)
    start = decoder.begin(prompt)
    sampler = Sampler(decoder, start, prompt=prompt, options=greedy, seed=0, numbers=range(2))
    sampled = [sampler.step() for _ in range(8)]
    for row in range(2):
        assert [int(tokens[row]) for tokens, _ in sampled] == [5, 6, 7, 8, 9, 10, 0, 1]
    assert all(nll[0] < 0.5 for _, nll in sampled)
