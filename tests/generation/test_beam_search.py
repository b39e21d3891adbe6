"""The most probable continuations, against all there are."""

from itertools import islice, product

import numpy as np
import pytest

from rnncli.evaluation.interpolation import fit_ngram
from rnncli.generation.beam_search import beam_search, most_probable
from rnncli.generation.prediction import Predictor
from rnncli.ngram.interpolation import Mixture
from tests.conftest import part_of, stepper, tiny_model

V, END = 5, 4
PROMPT = np.array([1, 2], np.uint8)


def predictor(with_ngram: bool) -> Predictor:
    model = tiny_model(vocab_size=V)
    ids = np.random.default_rng(0).integers(0, V, 300).astype(np.uint8)
    beside = (fit_ngram(part_of(ids), 3, V), Mixture(np.zeros(0), np.full((1, 1), 0.4)))
    return Predictor(stepper(model), beside if with_ngram else None)


def cost(model: Predictor, tokens: tuple[int, ...], ends: tuple[int, ...]) -> float:
    """Of the tokens and one of the ends after them; of none where there is no end."""
    logs, memory = model.begin(PROMPT)
    nats = 0.0
    for token in tokens:
        nats -= logs[0, token]
        logs, memory = model.step(np.array([token]), memory)
    return nats - float(np.logaddexp.reduce(logs[0, list(ends)])) if ends else nats


@pytest.mark.parametrize("with_ngram", [False, True])
@pytest.mark.parametrize("ends", [(END,), (END, 0)])
@pytest.mark.parametrize("at_once", [1, 7])
def test_they_come_in_their_order_and_none_is_missing(
    monkeypatch: pytest.MonkeyPatch, with_ngram: bool, ends: tuple[int, ...], at_once: int
) -> None:
    monkeypatch.setattr(beam_search, "_AT_ONCE", at_once)
    model = predictor(with_ngram)
    inner = [token for token in range(V) if token not in ends]
    every = sorted(
        (cost(model, tokens, ends if length < 4 else ()), tokens)
        for length in range(5)
        for tokens in product(inner, repeat=length)
    )
    found = list(most_probable(model, model.begin(PROMPT), ends, most_tokens=4))
    assert [tokens for tokens, _ in found] == [tokens for _, tokens in every]
    assert [nats for _, nats in found] == pytest.approx([nats for nats, _ in every], rel=1e-5)
    assert sum(np.exp(-nats) for _, nats in found) == pytest.approx(1.0, abs=1e-4)


def test_forbidden_tokens_are_in_none() -> None:
    model = predictor(False)
    found = islice(most_probable(model, model.begin(PROMPT), (END,), (0,)), 50)
    assert not any(0 in tokens for tokens, _ in found)


def test_no_length_is_no_text() -> None:
    model = predictor(False)
    assert list(most_probable(model, model.begin(PROMPT), (END,), most_tokens=0)) == []


def test_a_search_that_must_forget_goes_on_with_the_cheapest(monkeypatch: pytest.MonkeyPatch) -> None:
    model = predictor(False)
    exact = [tokens for tokens, _ in islice(most_probable(model, model.begin(PROMPT), (END,)), 20)]
    monkeypatch.setattr(beam_search, "_MOST_OPEN", 60)
    assert [tokens for tokens, _ in islice(most_probable(model, model.begin(PROMPT), (END,)), 5)] == exact[:5]


@pytest.mark.parametrize("with_ngram", [False, True])
def test_a_beam_that_holds_everything_finds_the_most_probable(with_ngram: bool) -> None:
    model = predictor(with_ngram)
    every = [
        (cost(model, tokens, ()), tokens)
        for length in range(1, 5)
        for tokens in product(range(V), repeat=length)
        if END not in tokens[:-1] and (length == 4 or tokens[-1] == END)
    ]
    expected = min(every)
    tokens, nats = beam_search(model, model.begin(PROMPT), V**4, 4, (END,))
    assert (nats, tokens) == (pytest.approx(expected[0], rel=1e-5), expected[1])


def test_a_beam_of_one_takes_the_likeliest_token_every_time() -> None:
    model = predictor(False)
    place, greedy = model.begin(PROMPT), list[int]()
    for _ in range(12):
        greedy.append(int(place.logs[0, 1:].argmax()) + 1)
        place = model.step(np.array(greedy[-1:]), place.memory)
    tokens, nats = beam_search(model, model.begin(PROMPT), 1, 12, forbidden=(0,))
    assert list(tokens) == greedy
    assert nats == pytest.approx(cost(model, tokens, ()), rel=1e-5)
    assert beam_search(model, model.begin(PROMPT), 4, 0) == ((), 0.0)
