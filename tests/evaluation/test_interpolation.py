"""Network and n-gram on the same tokens: the same text, the same history, each token once."""

import numpy as np
import numpy.typing as npt
import pytest
import torch

from rnncli.data.lines import line_starts
from rnncli.evaluation import scoring
from rnncli.evaluation.config import SamplingConfig
from rnncli.evaluation.evaluation import evaluate
from rnncli.evaluation.interpolation import compare, fit_mixture, fit_ngram
from rnncli.generation.prediction import Predictor
from rnncli.generation.sampler import Writer
from rnncli.ngram.interpolation import Mixture
from rnncli.results import Evaluation
from tests.conftest import part_of, stepper, tiny_model

V, END = 11, 10
EVEN = Mixture(np.zeros(0), np.full((1, 1), 0.5))


def cyclic_ids(count: int, seed: int) -> npt.NDArray[np.uint8]:
    """Ids that mostly count up: an n-gram knows that at once, a network without training does not."""
    steps = np.random.default_rng(seed).choice([1, 4], count, p=[0.9, 0.1])
    return (np.cumsum(steps) % V).astype(np.uint8)


def nats_of(evaluation: Evaluation) -> list[float]:
    """Of network, n-gram and mixture."""
    return [column.score.nats for column in evaluation.columns]


TRAIN, VALID = cyclic_ids(4_000, 1), cyclic_ids(1_500, 2)


@pytest.mark.parametrize("lines", [False, True])
def test_the_network_and_the_ngram_say_what_they_say_alone(
    lines: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "LINES_SORTED", 16)  # several blocks
    monkeypatch.setattr(scoring, "_LINES_AT_ONCE", 5)
    model = tiny_model()
    starts = line_starts(VALID, END) if lines else None
    ngram = fit_ngram(part_of(TRAIN, line_starts=line_starts(TRAIN, END) if lines else None), 4, V)
    text = part_of(VALID, line_starts=starts)
    network, beside, _ = nats_of(compare(model, ngram, EVEN, text))
    alone = evaluate(model, text).score
    assert network == pytest.approx(alone.nats, rel=1e-5)
    texts = np.split(VALID, starts[1:]) if starts is not None else [VALID]
    nats = [ngram.nats(np.concatenate([[V], text]))[0][1:].sum() for text in texts]
    assert beside == pytest.approx(sum(nats), rel=1e-9)


def test_blocks_of_a_long_text_keep_the_history_of_the_ngram(monkeypatch: pytest.MonkeyPatch) -> None:
    model, ngram = tiny_model(), fit_ngram(part_of(TRAIN), 5, V)
    whole = nats_of(compare(model, ngram, EVEN, part_of(VALID)))
    real = scoring.stream_measures
    monkeypatch.setattr(
        "rnncli.evaluation.evaluation.stream_measures",
        lambda *given, **how: real(*given, **how, block_tokens=7),
    )
    parts = nats_of(compare(model, ngram, EVEN, part_of(VALID)))
    assert parts == pytest.approx(whole, rel=1e-5)


def test_the_mixture_is_better_than_either_and_believes_the_ngram_that_knows() -> None:
    model, ngram = tiny_model(), fit_ngram(part_of(TRAIN), 3, V)
    mixture = fit_mixture(model, ngram, part_of(VALID), 5_000)
    fresh = cyclic_ids(1_500, 3)
    compared = compare(model, ngram, mixture, part_of(fresh))
    network, beside, mixed = nats_of(compared)
    assert beside < 0.5 * network
    assert mixed < beside + 0.01 * len(fresh)
    against_the_network, _ = compared.differences
    assert (against_the_network.better, against_the_network.worse) == ("3-gram", "network")
    assert mixture.weights.min() < 0.1


def test_no_token_is_scored_by_weights_that_have_seen_it() -> None:
    """Two halves that ask for opposite weights: those of the other half are wrong."""
    model, ngram = tiny_model(), fit_ngram(part_of(TRAIN), 2, V)
    with torch.no_grad():
        model.members[0].output_bias[0] = 9.0  # the network says 0, the n-gram counts up
    ids = np.concatenate([np.zeros(600, np.uint8), np.arange(600, dtype=np.uint8) % V])
    text = part_of(ids)
    fitted_on_both = compare(model, ngram, fit_mixture(model, ngram, text, 5_000), text)
    honest = compare(model, ngram, None, text)
    assert nats_of(honest)[0] == nats_of(fitted_on_both)[0]
    assert nats_of(honest)[2] > 1.5 * nats_of(fitted_on_both)[2]


def test_a_generated_token_comes_from_the_mixture() -> None:
    model, ngram = tiny_model(), fit_ngram(part_of(TRAIN), 3, V)
    greedy = SamplingConfig(temperature=0.0)
    believing = Mixture(np.zeros(0), np.full((1, 1), 1e-6))
    predictor, prompt = Predictor(stepper(model), (ngram, believing)), np.array([3, 4], np.uint8)
    writer = Writer(predictor, predictor.begin(prompt), prompt, greedy, 0, range(2))
    drawn = [writer.step() for _ in range(8)]
    for lane in range(2):
        assert [int(tokens[lane]) for tokens, _ in drawn] == [5, 6, 7, 8, 9, 10, 0, 1]
    assert all(nats[0] < 0.5 for _, nats in drawn)
