"""Sampling of tokens: seeds, prompts, batches and forbidden tokens."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from rnncli.data.tokenizers.base import Ids
from rnncli.generation.config import SamplingOptions
from rnncli.generation.decoder import LogitsDecoder, NetworkDecoder
from rnncli.generation.sampler import Sampler
from rnncli.generation.torch_decoder import TorchDecoder
from rnncli.nn.ensemble import RNNLanguageModel
from tests.conftest import numpy_decoder_of, tiny_model

EMPTY = np.array([], np.uint8)


def make_sampler(
    network: LogitsDecoder[Any],
    prompt: Ids,
    *,
    options: SamplingOptions,
    seed: int,
    numbers: range = range(1),
    forbidden: tuple[int, ...] = (),
) -> Sampler:
    decoder = NetworkDecoder(network)
    return Sampler(
        decoder,
        decoder.begin(prompt),
        prompt=prompt,
        options=options,
        seed=seed,
        numbers=numbers,
        forbidden=forbidden,
    )


def sampled(
    model: RNNLanguageModel, prompt: Ids, seed: int = 1, forbidden: tuple[int, ...] = (), **settings: float
) -> list[int]:
    options = SamplingOptions(**{"temperature": 1.0, **settings})  # type: ignore[arg-type]
    return first_row(
        make_sampler(numpy_decoder_of(model), prompt, options=options, seed=seed, forbidden=forbidden), 30
    )


def first_row(sampler: Sampler, length: int) -> list[int]:
    """Sample the tokens of the first text of a batch."""
    return [int(sampler.step()[0][0]) for _ in range(length)]


def test_the_same_seed_gives_the_same_text() -> None:
    model = tiny_model()
    assert sampled(model, EMPTY, seed=1) == sampled(model, EMPTY, seed=1)
    assert sampled(model, EMPTY, seed=1) != sampled(model, EMPTY, seed=2)


@torch.no_grad()
def test_greedy_text_has_the_most_probable_token_given_all_before_it() -> None:
    model, prompt = tiny_model(), np.array([3, 1, 4], np.uint8)
    history = [model.config.bos_id, 3, 1, 4]
    for token in sampled(model, prompt, temperature=0.0):
        logits, _ = model(torch.tensor([history]), model.initial_state(1))
        assert token == int(logits[0, -1].argmax())
        history.append(token)


def test_a_long_prompt_is_read_to_its_end() -> None:
    model = tiny_model(cell="gru")
    long = np.random.default_rng(0).integers(0, 11, 2500).astype(np.uint8)
    other = long.copy()
    other[-1] = (other[-1] + 1) % 11
    assert sampled(model, long) == sampled(model, long)
    assert sampled(model, long) != sampled(model, other)


def test_forbidden_tokens_are_not_sampled() -> None:
    assert 3 not in sampled(tiny_model(), EMPTY, forbidden=(3, 5))
    assert 3 in sampled(tiny_model(), EMPTY)


def test_torch_and_numpy_give_the_same_text() -> None:
    long = np.random.default_rng(0).integers(0, 11, 1500).astype(np.uint8)
    for ensemble_size in (1, 2):
        model = tiny_model(ensemble_size=ensemble_size)
        texts = [
            first_row(make_sampler(network, long, options=SamplingOptions(), seed=2), 50)
            for network in (numpy_decoder_of(model), TorchDecoder(model))
        ]
        assert texts[0] == texts[1]


@pytest.mark.parametrize("network", [numpy_decoder_of, TorchDecoder])
def test_a_text_does_not_depend_on_the_others_of_its_batch(network: type[TorchDecoder]) -> None:
    """Batches of one, three and six texts, and the last one loses two texts on the way."""
    model, prompt = tiny_model(), np.array([3, 1], np.uint8)
    texts: dict[int, list[list[int]]] = {}
    for batch_size in (1, 3, 6):
        sampler = make_sampler(
            network(model), prompt, options=SamplingOptions(), seed=5, numbers=range(batch_size)
        )
        texts[batch_size], rows = [[] for _ in range(batch_size)], np.arange(batch_size)
        for step in range(100):
            tokens, _ = sampler.step()
            for row, token in zip(rows.tolist(), tokens.tolist(), strict=True):
                texts[batch_size][row].append(token)
            if step == 40 and batch_size == 6:
                kept = np.array([True, False, True, True, False, True])
                sampler.keep(kept)
                rows = rows[kept]
    assert texts[1] == texts[3][:1]
    assert texts[3] == [texts[6][0], texts[3][1], texts[6][2]]
    assert texts[3][1][:41] == texts[6][1]
    assert len({tuple(text) for text in texts[6]}) == 6


def test_the_nll_is_that_of_the_model_without_filters() -> None:
    model, prompt = tiny_model(), np.array([3], np.uint8)
    options = SamplingOptions(temperature=0.5, top_k=3)
    sampler = make_sampler(
        numpy_decoder_of(model), prompt, options=options, seed=1, numbers=range(2), forbidden=(4,)
    )
    steps = [sampler.step() for _ in range(20)]
    for row in range(2):
        tokens = torch.tensor([[model.config.bos_id, 3, *(int(step[0][row]) for step in steps)]])
        with torch.no_grad():
            logits, _ = model(tokens[:, :-1], model.initial_state(1))
        expected = -logits[0, 1:].log_softmax(-1)[torch.arange(20), tokens[0, 2:]]
        np.testing.assert_allclose([step[1][row] for step in steps], expected, atol=1e-4)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_no_ngram_is_repeated_with_that_option(order: int) -> None:
    model, prompt = tiny_model(vocab_size=40), np.array([3, 1, 4, 1], np.uint8)
    plain = [3, 1, 4, 1, *sampled(model, prompt, temperature=0.0)]
    text = [3, 1, 4, 1, *sampled(model, prompt, temperature=0.0, no_repeat_ngram=order)]

    def repeats(tokens: list[int]) -> bool:
        ngrams = [tuple(tokens[start : start + order]) for start in range(len(tokens) - order + 1)]
        return len(set(ngrams)) < len(ngrams) - (order == 1)  # the prompt itself has 1 twice

    assert repeats(plain)
    assert not repeats(text)


def test_a_repetition_penalty_makes_a_text_more_diverse() -> None:
    model = tiny_model(vocab_size=40)
    plain, diverse = (sampled(model, EMPTY, repetition_penalty=penalty) for penalty in (1.0, 5.0))
    assert len(set(diverse)) > len(set(plain))
    assert all(one != other for one, other in pairwise(diverse))


def test_the_state_is_that_after_all_sampled_tokens() -> None:
    decoder, prompt = NetworkDecoder(numpy_decoder_of(tiny_model())), np.array([3, 1], np.uint8)
    sampler = Sampler(decoder, decoder.begin(prompt), prompt=prompt, options=SamplingOptions(), seed=1)
    tokens = first_row(sampler, 4)
    expected = decoder.begin(np.array([3, 1, *tokens]))
    np.testing.assert_allclose(sampler.state().log_probs, expected.log_probs, atol=1e-6)
