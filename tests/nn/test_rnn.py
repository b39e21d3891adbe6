"""The language model: shapes, carried state, dropout, tied embeddings, number of weights."""

import pytest
import torch

from rnncli.errors import ConfigError
from rnncli.nn.config import ModelConfig
from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.nn.rnn import DropoutMasks
from tests.conftest import tiny_model

CELLS: list[str] = ["rnn", "gru", "lstm"]


@pytest.mark.parametrize("cell", CELLS)
def test_carried_state_equals_one_long_pass(cell: str) -> None:
    model = tiny_model(cell=cell)
    tokens = torch.randint(0, 12, (3, 10))
    whole, end = model(tokens, model.initial_state(3))
    first, state = model(tokens[:, :4], model.initial_state(3))
    second, state = model(tokens[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    for a, b in zip(state.tensors(), end.tensors(), strict=True):
        torch.testing.assert_close(a, b)


def test_logits_cover_the_vocabulary_without_bos() -> None:
    model = tiny_model()
    logits, _ = model(torch.tensor([[model.config.bos_id, 0]]), model.initial_state(1))
    assert logits.shape == (1, 2, 11)


def test_rows_of_a_batch_are_independent() -> None:
    model = tiny_model()
    tokens = torch.randint(0, 11, (2, 6))
    together, _ = model(tokens, model.initial_state(2))
    alone, _ = model(tokens[1:], model.initial_state(1))
    torch.testing.assert_close(together[1:], alone)


def masks(first: int = 0) -> DropoutMasks:
    return DropoutMasks(torch.Generator().manual_seed(1), 2, first)


def test_dropout_acts_only_where_masks_are_given() -> None:
    model = tiny_model(dropout=0.5)
    tokens = torch.randint(0, 11, (2, 6))
    plain, _ = model(tokens, model.initial_state(2))
    again, _ = model(tokens, model.initial_state(2))
    dropped, _ = model(tokens, model.initial_state(2), masks())
    assert torch.equal(plain, again)
    assert not torch.allclose(plain, dropped)


def test_dropout_is_repeated_by_the_same_generator_and_locked_over_time() -> None:
    model = tiny_model(dropout=0.5, num_layers=1, hidden_size=64)
    tokens = torch.zeros(2, 6, dtype=torch.long)
    with torch.no_grad():
        model.members[0].output_weight.copy_(torch.eye(11, 64))
        model.members[0].output_bias.zero_()
    one, _ = model(tokens, model.initial_state(2), masks())
    two, _ = model(tokens, model.initial_state(2), masks())
    assert torch.equal(one, two)
    zeros = one == 0.0
    assert 0 < zeros.sum() < zeros.numel()
    assert torch.equal(zeros, zeros[:, :1].expand_as(zeros)), "a unit is dropped in all steps of a batch"


def test_tied_embeddings_are_one_matrix() -> None:
    model = tiny_model(tied_embeddings=True, embedding_size=8)
    assert "members.0.output_weight" not in model.state_dict()
    logits, _ = model(torch.zeros(1, 1, dtype=torch.long), model.initial_state(1))
    logits.sum().backward()
    assert model.members[0].embedding.weight.grad is not None
    assert model.members[0].embedding.weight.grad[:11].any(dim=1).all(), (
        "every token's row learns from the output"
    )


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("tied", [False, True])
def test_parameters_are_counted_without_building(cell: str, tied: bool) -> None:
    model = tiny_model(cell=cell, tied_embeddings=tied, embedding_size=8)
    assert model.config.parameters == sum(parameter.numel() for parameter in model.parameters())
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert model.config.shapes == shapes


def test_the_same_generator_gives_the_same_weights() -> None:
    config = ModelConfig(vocab_size=5, hidden_size=6, embedding_size=4)
    first, second = (RNNLanguageModel.initialized(config, torch.Generator().manual_seed(2)) for _ in range(2))
    for name, tensor in first.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"hidden_size": 0}, "hidden size is 0"),
        ({"hidden_size": 10**9}, "hidden size is 1,000,000,000"),
        ({"num_layers": 10**4}, "num layers is 10,000"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"dropout": -0.1}, "dropout"),
        ({"dropout": float("nan")}, "dropout is nan"),
        ({"cell": "transformer"}, "cell is 'transformer'"),
        ({"nonlinearity": "relu"}, "does not apply to lstm"),
        ({"tied_embeddings": True, "embedding_size": 3}, "equal sizes"),
        ({"hidden_size": 2.5}, "hidden size is 2.5"),
    ],
)
def test_a_config_refuses_invalid_values(settings: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        ModelConfig(vocab_size=9, **settings)  # type: ignore[arg-type]


def test_some_rows_get_the_masks_that_they_get_in_the_whole_batch() -> None:
    whole = masks().sample(0.5, 2, 100)
    assert torch.equal(masks(first=1).sample(0.5, 1, 100), whole[1:])
    assert not torch.equal(whole[0], whole[1])
