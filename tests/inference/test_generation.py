"""Tokens one after another: the seed, the prompt, what is forbidden."""

from itertools import islice

import numpy as np
import torch

from rnncli.inference.config import SamplingConfig
from rnncli.inference.generation import generate
from rnncli.inference.torch_engine import TorchEngine
from rnncli.model.language_model import LanguageModel
from rnncli.text.tokenizers import Ids
from tests.conftest import stepper, tiny_model

NOTHING = np.array([], np.uint8)


def written(
    model: LanguageModel, prompt: Ids, seed: int = 1, heat: float = 1.0, **more: tuple[int, ...]
) -> list[int]:
    sampling, rng = SamplingConfig(temperature=heat), np.random.default_rng(seed)
    tokens = generate(stepper(model), prompt, sampling, rng, **more)
    return list(islice(tokens, 30))


def test_the_same_seed_writes_the_same_text() -> None:
    model = tiny_model()
    assert written(model, NOTHING, seed=1) == written(model, NOTHING, seed=1)
    assert written(model, NOTHING, seed=1) != written(model, NOTHING, seed=2)


@torch.no_grad()
def test_greedy_text_follows_the_likeliest_token_of_the_whole_history() -> None:
    model, prompt = tiny_model(), np.array([3, 1, 4], np.uint8)
    history = [model.config.start, 3, 1, 4]
    for token in written(model, prompt, heat=0.0):
        logits, _ = model(torch.tensor([history]), model.initial_state(1))
        assert token == int(logits[0, -1].argmax())
        history.append(token)


def test_a_prompt_longer_than_its_window_is_read_to_its_end() -> None:
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
    for members in (1, 2):
        model, prompt = tiny_model(members=members), np.array([3, 1, 4], np.uint8)
        texts = [
            list(islice(generate(engine, prompt, SamplingConfig(), np.random.default_rng(2)), 50))
            for engine in (stepper(model), TorchEngine(model))
        ]
        assert texts[0] == texts[1]
