"""Properties of every cell, of convolution, attention and mogrifier, and of their combinations."""

import pytest
import torch

from rnncli.errors import ConfigError
from rnncli.nn.config import ModelConfig
from rnncli.nn.layers import Attention, Convolution
from rnncli.nn.rnn import State
from tests.conftest import STRUCTURES, tiny_model

TOKENS = torch.randint(0, 11, (3, 40), generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("structure", STRUCTURES)
def test_weights_and_state_have_the_shapes_of_the_config(structure: str) -> None:
    model = tiny_model(**STRUCTURES[structure])
    config = model.config
    assert {name: tuple(weight.shape) for name, weight in model.state_dict().items()} == config.shapes
    assert sum(weight.numel() for weight in model.parameters()) == config.parameters
    state = model.initial_state(2)
    found = [tuple(tuple(tensor.shape[1:]) for tensor in layer) for layer in state.layers]
    assert found == [*config.state_shapes.values()] * config.ensemble_size
    assert sum(tensor[0].numel() for tensor in state.tensors()) == config.state_floats


@pytest.mark.parametrize("structure", STRUCTURES)
def test_carried_state_equals_one_long_pass(structure: str) -> None:
    model = tiny_model(**STRUCTURES[structure])
    with torch.no_grad():
        whole, end = model(TOKENS, model.initial_state(3))
        state, parts = model.initial_state(3), []
        for length in (1, 2, 13, 7, 17):
            start = sum(part.shape[1] for part in parts)
            part, state = model(TOKENS[:, start : start + length], state)
            parts.append(part)
    torch.testing.assert_close(torch.cat(parts, 1), whole, atol=1e-5, rtol=1e-5)
    for mine, theirs in zip(state.tensors(), end.tensors(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_token_changes_nothing_before_it(structure: str) -> None:
    model = tiny_model(**STRUCTURES[structure])
    other = TOKENS.clone()
    other[:, 20] = (other[:, 20] + 1) % 11
    with torch.no_grad():
        one, _ = model(TOKENS, model.initial_state(3))
        two, _ = model(other, model.initial_state(3))
    assert torch.equal(one[:, :20], two[:, :20])
    assert not torch.equal(one[:, 20], two[:, 20])


@pytest.mark.parametrize("structure", STRUCTURES)
def test_every_weight_learns(structure: str) -> None:
    model = tiny_model(**STRUCTURES[structure])
    hidden, _ = model.hidden(TOKENS[:, :-1], model.initial_state(3))
    model.mean_nll(hidden, TOKENS[:, 1:], 100).backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert bool(weight.grad.any()), name


def test_attention_follows_its_equation() -> None:
    layer = Attention(ModelConfig(9, hidden_size=4, attention=3))
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    x = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        outputs, _ = layer(x, layer.initial_state(2))
        for row in range(2):
            for t in range(9):
                past = x[row, max(t - 3, 0) : t + 1]  # padding before the text gets no weight
                scores = past @ (layer.query @ x[row, t]) / 4**0.5
                expected = x[row, t] + layer.output @ (scores.softmax(0) @ past)
                torch.testing.assert_close(outputs[row, t], expected)


def test_the_convolution_is_that_of_torch() -> None:
    layer = Convolution(ModelConfig(9, embedding_size=4, convolution=3))
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    x = torch.randn(2, 9, 4, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        outputs, _ = layer(x, layer.initial_state(2))
        padded = torch.nn.functional.pad(x.transpose(1, 2), (2, 0))
        expected = x + torch.conv1d(padded, layer.weight, layer.bias).relu().transpose(1, 2)
    torch.testing.assert_close(outputs, expected)


def test_a_reset_row_starts_from_the_initial_state() -> None:
    model = tiny_model(**STRUCTURES["everything"])
    with torch.no_grad():
        _, state = model(TOKENS, model.initial_state(3))
        reset = torch.tensor([True, False, True])
        mixed = state.merge(
            model.initial_state(3),
            lambda carried, empty: torch.where(reset.view(-1, *[1] * (carried.dim() - 1)), empty, carried),
        )
        logits, _ = model(TOKENS[:, :5], mixed)
        empty, _ = model(TOKENS[:, :5], model.initial_state(3))
    assert torch.equal(logits[reset], empty[reset])
    assert isinstance(mixed, State)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cell": "gru,elman", "num_layers": 2}, "cell is 'elman'"),
        ({"cell": "gru,lstm", "num_layers": 3}, "cell names 2 cells, and num layers is 3"),
        ({"cell": ""}, "cell is ''"),
        ({"cell": "gru", "mogrifier": 2}, "mogrifier does not apply"),
        ({"convolution": 1}, "convolution is 1; it must be 0 or at least 2"),
        ({"attention": -1}, "attention is -1"),
    ],
)
def test_contradictory_structures_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        tiny_model(**settings)
