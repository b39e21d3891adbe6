"""Tokens one after another: the seed, the prompt, the lanes, what is forbidden."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from rnncli.data.tokenizers.base import Ids
from rnncli.evaluation.config import SamplingConfig
from rnncli.generation.prediction import Engine, Predictor
from rnncli.generation.sampler import Writer
from rnncli.generation.torch_decoder import TorchEngine
from rnncli.nn.language_model import LanguageModel
from tests.conftest import stepper, tiny_model

NOTHING = np.array([], np.uint8)


def writer_of(engine: Engine[Any], prompt: Ids, *settings: Any) -> Writer:
    predictor = Predictor(engine, None)
    return Writer(predictor, predictor.begin(prompt), prompt, *settings)


def written(
    model: LanguageModel, prompt: Ids, seed: int = 1, forbidden: tuple[int, ...] = (), **settings: float
) -> list[int]:
    sampling = SamplingConfig(**{"temperature": 1.0, **settings})  # type: ignore[arg-type]
    return drawn(writer_of(stepper(model), prompt, sampling, seed, range(1), forbidden), 30)


def drawn(writer: Writer, length: int) -> list[int]:
    """Of the first lane."""
    return [int(writer.step()[0][0]) for _ in range(length)]


def test_the_same_seed_writes_the_same_text() -> None:
    model = tiny_model()
    assert written(model, NOTHING, seed=1) == written(model, NOTHING, seed=1)
    assert written(model, NOTHING, seed=1) != written(model, NOTHING, seed=2)


@torch.no_grad()
def test_greedy_text_follows_the_likeliest_token_of_the_whole_history() -> None:
    model, prompt = tiny_model(), np.array([3, 1, 4], np.uint8)
    history = [model.config.start, 3, 1, 4]
    for token in written(model, prompt, temperature=0.0):
        logits, _ = model(torch.tensor([history]), model.initial_state(1))
        assert token == int(logits[0, -1].argmax())
        history.append(token)


def test_a_long_prompt_is_read_to_its_end() -> None:
    model = tiny_model(cell="gru")
    long = np.random.default_rng(0).integers(0, 11, 2500).astype(np.uint8)
    other = long.copy()
    other[-1] = (other[-1] + 1) % 11
    assert written(model, long) == written(model, long)
    assert written(model, long) != written(model, other)


def test_forbidden_tokens_do_not_come() -> None:
    assert 3 not in written(tiny_model(), NOTHING, forbidden=(3, 5))
    assert 3 in written(tiny_model(), NOTHING)


def test_torch_writes_the_same_on_its_devices() -> None:
    long = np.random.default_rng(0).integers(0, 11, 1500).astype(np.uint8)
    for members in (1, 2):
        model = tiny_model(members=members)
        texts = [
            drawn(writer_of(engine, long, SamplingConfig(), 2), 50)
            for engine in (stepper(model), TorchEngine(model))
        ]
        assert texts[0] == texts[1]


@pytest.mark.parametrize("engine", [stepper, TorchEngine])
def test_a_lane_writes_the_same_whatever_lanes_are_beside_it(engine: type[TorchEngine]) -> None:
    """Six lanes of which two are given up on the way, and the same seed in one lane and in three."""
    model, prompt = tiny_model(), np.array([3, 1], np.uint8)
    texts: dict[int, list[list[int]]] = {}
    for lanes in (1, 3, 6):
        writer = writer_of(engine(model), prompt, SamplingConfig(), 5, range(lanes))
        texts[lanes], numbers = [[] for _ in range(lanes)], np.arange(lanes)
        for step in range(100):
            tokens, _ = writer.step()
            for number, token in zip(numbers.tolist(), tokens.tolist(), strict=True):
                texts[lanes][number].append(token)
            if step == 40 and lanes == 6:
                kept = np.array([True, False, True, True, False, True])
                writer.keep(kept)
                numbers = numbers[kept]
    assert texts[1] == texts[3][:1]
    assert texts[3] == [texts[6][0], texts[3][1], texts[6][2]]
    assert texts[3][1][:41] == texts[6][1]
    assert len({tuple(text) for text in texts[6]}) == 6


def test_nats_are_those_of_the_model_before_any_filter() -> None:
    model, prompt = tiny_model(), np.array([3], np.uint8)
    narrow = SamplingConfig(temperature=0.5, top_k=3)
    writer = writer_of(stepper(model), prompt, narrow, 1, range(2), (4,))
    steps = [writer.step() for _ in range(20)]
    for lane in range(2):
        tokens = torch.tensor([[model.config.start, 3, *(int(step[0][lane]) for step in steps)]])
        with torch.no_grad():
            logits, _ = model(tokens[:, :-1], model.initial_state(1))
        expected = -logits[0, 1:].log_softmax(-1)[torch.arange(20), tokens[0, 2:]]
        np.testing.assert_allclose([step[1][lane] for step in steps], expected, atol=1e-4)


@pytest.mark.parametrize("length", [1, 2, 3])
def test_no_run_comes_twice_where_that_is_asked(length: int) -> None:
    model, prompt = tiny_model(vocab_size=40), np.array([3, 1, 4, 1], np.uint8)
    plain = [3, 1, 4, 1, *written(model, prompt, temperature=0.0)]
    text = [3, 1, 4, 1, *written(model, prompt, temperature=0.0, no_repeat_ngram=length)]

    def repeated(tokens: list[int]) -> bool:
        runs = [tuple(tokens[at : at + length]) for at in range(len(tokens) - length + 1)]
        return len(set(runs)) < len(runs) - (length == 1)  # the prompt itself has 1 twice

    assert repeated(plain)
    assert not repeated(text)


def test_a_penalty_makes_a_text_more_various() -> None:
    model = tiny_model(vocab_size=40)
    plain, various = (written(model, NOTHING, repetition_penalty=penalty) for penalty in (1.0, 5.0))
    assert len(set(various)) > len(set(plain))
    assert all(one != other for one, other in pairwise(various))
