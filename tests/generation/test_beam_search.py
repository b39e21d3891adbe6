"""The most probable continuations, against an exhaustive search."""

from itertools import islice, product

import numpy as np
import pytest

from rnncli.evaluation.interpolation import fit_ngram
from rnncli.generation import beam_search as module
from rnncli.generation.beam_search import beam_search, most_probable
from rnncli.generation.decoder import Decoder, make_decoder
from rnncli.ngram.interpolation import Interpolation, WeightedNgram
from tests.conftest import numpy_decoder_of, part_of, tiny_model

V, END = 5, 4
PROMPT = np.array([1, 2], np.uint8)


def make(with_ngram: bool) -> Decoder:
    model = tiny_model(vocab_size=V)
    ids = np.random.default_rng(0).integers(0, V, 300).astype(np.uint8)
    ngram = WeightedNgram(fit_ngram(part_of(ids), 3, V), Interpolation(np.zeros(0), np.full((1, 1), 0.4)))
    return make_decoder(numpy_decoder_of(model), ngram if with_ngram else None)


def nll_of(decoder: Decoder, tokens: tuple[int, ...], ends: tuple[int, ...]) -> float:
    """Return the NLL of tokens, followed by any of the end tokens if there are some."""
    log_probs, state = decoder.begin(PROMPT)
    nll = 0.0
    for token in tokens:
        nll -= log_probs[0, token]
        log_probs, state = decoder.step(np.array([token]), state)
    return nll - float(np.logaddexp.reduce(log_probs[0, list(ends)])) if ends else nll


@pytest.mark.parametrize("with_ngram", [False, True])
@pytest.mark.parametrize("ends", [(END,), (END, 0)])
@pytest.mark.parametrize("batch_size", [1, 7])
def test_all_continuations_come_in_order_of_probability(
    monkeypatch: pytest.MonkeyPatch, with_ngram: bool, ends: tuple[int, ...], batch_size: int
) -> None:
    monkeypatch.setattr(module, "_EXPANDED_TOGETHER", batch_size)
    decoder = make(with_ngram)
    inner = [token for token in range(V) if token not in ends]
    every = sorted(
        (nll_of(decoder, tokens, ends if length < 4 else ()), tokens)
        for length in range(5)
        for tokens in product(inner, repeat=length)
    )
    found = list(most_probable(decoder, decoder.begin(PROMPT), end_tokens=ends, max_tokens=4))
    assert [tokens for tokens, _ in found] == [tokens for _, tokens in every]
    assert [nll for _, nll in found] == pytest.approx([nll for nll, _ in every], rel=1e-5)
    assert sum(np.exp(-nll) for _, nll in found) == pytest.approx(1.0, abs=1e-4)


def test_no_continuation_has_a_forbidden_token() -> None:
    decoder = make(False)
    found = islice(most_probable(decoder, decoder.begin(PROMPT), end_tokens=(END,), forbidden=(0,)), 50)
    assert not any(0 in tokens for tokens, _ in found)


def test_without_tokens_there_is_no_continuation() -> None:
    decoder = make(False)
    assert list(most_probable(decoder, decoder.begin(PROMPT), end_tokens=(END,), max_tokens=0)) == []


def test_a_full_search_keeps_the_cheapest_continuations(monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = make(False)

    def first(number: int) -> list[tuple[int, ...]]:
        found = most_probable(decoder, decoder.begin(PROMPT), end_tokens=(END,))
        return [tokens for tokens, _ in islice(found, number)]

    exact = first(20)
    monkeypatch.setattr(module, "_MAX_OPEN", 60)
    assert first(5) == exact[:5]


@pytest.mark.parametrize("with_ngram", [False, True])
def test_a_beam_that_holds_all_continuations_finds_the_most_probable(with_ngram: bool) -> None:
    decoder = make(with_ngram)
    every = [
        (nll_of(decoder, tokens, ()), tokens)
        for length in range(1, 5)
        for tokens in product(range(V), repeat=length)
        if END not in tokens[:-1] and (length == 4 or tokens[-1] == END)
    ]
    expected = min(every)
    tokens, nll = beam_search(decoder, decoder.begin(PROMPT), width=V**4, max_tokens=4, end_tokens=(END,))
    assert tokens == expected[1]
    assert nll == pytest.approx(expected[0], rel=1e-5)


def test_a_beam_of_one_takes_the_most_probable_token_every_time() -> None:
    decoder = make(False)
    state, greedy = decoder.begin(PROMPT), list[int]()
    for _ in range(12):
        greedy.append(int(state.log_probs[0, 1:].argmax()) + 1)
        state = decoder.step(np.array(greedy[-1:]), state.state)
    tokens, nll = beam_search(decoder, decoder.begin(PROMPT), width=1, max_tokens=12, forbidden=(0,))
    assert list(tokens) == greedy
    assert nll == pytest.approx(nll_of(decoder, tokens, ()), rel=1e-5)
    assert beam_search(decoder, decoder.begin(PROMPT), width=4, max_tokens=0) == ((), 0.0)
