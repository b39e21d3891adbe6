"""The NumPy decoder agrees with the torch model."""

import numpy as np
import pytest
import torch

from rnncli.nn.ensemble import RNNLanguageModel
from tests.conftest import STRUCTURES, numpy_decoder_of, tiny_model

TOKENS = np.random.default_rng(0).integers(0, 11, (3, 40))


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("tabulated", [False, True])
@pytest.mark.parametrize(
    ("cell", "nonlinearity"), [("rnn", "tanh"), ("rnn", "relu"), ("gru", "tanh"), ("lstm", "tanh")]
)
def test_logits_agree_with_torch(
    monkeypatch: pytest.MonkeyPatch,
    cell: str,
    nonlinearity: str,
    tabulated: bool,
    tied: bool,
    layers: int,
    members: int,
) -> None:
    monkeypatch.setattr("rnncli.numpy_decoder.decoder.MAX_TABLE_ENTRIES", 2**20 if tabulated else 0)
    assert_agrees_with_torch(
        tiny_model(
            cell=cell,
            nonlinearity=nonlinearity,
            num_layers=layers,
            ensemble_size=members,
            embedding_size=8 if tied else 5,
            tied_embeddings=tied,
        )
    )


@pytest.mark.parametrize("tabulated", [False, True])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_every_structure_agrees_with_torch(
    monkeypatch: pytest.MonkeyPatch, structure: str, tabulated: bool
) -> None:
    monkeypatch.setattr("rnncli.numpy_decoder.decoder.MAX_TABLE_ENTRIES", 2**20 if tabulated else 0)
    assert_agrees_with_torch(tiny_model(**STRUCTURES[structure]))


def assert_agrees_with_torch(model: RNNLanguageModel) -> None:
    numpy = numpy_decoder_of(model)
    inputs = np.concatenate([np.full((3, 1), model.config.bos_id), TOKENS], axis=1)
    with torch.no_grad():
        expected, end = model(torch.from_numpy(inputs), model.initial_state(3))
    state = numpy.initial_state(3)
    for place, tokens in enumerate(inputs.T):
        logits, state = numpy.step(tokens, state)
        np.testing.assert_allclose(
            logits - logits.max(1, keepdims=True),
            (expected[:, place] - expected[:, place].amax(1, keepdim=True)).numpy(),
            atol=1e-4,
        )
    for mine, theirs in zip(state, end.layers, strict=True):
        for array, tensor in zip(mine, theirs, strict=True):
            np.testing.assert_allclose(array, tensor.numpy(), atol=1e-5)


def test_a_step_does_not_change_the_given_state() -> None:
    model = tiny_model()
    numpy = numpy_decoder_of(model)
    _, state = numpy.step(np.array([3]), numpy.initial_state(1))
    copies = [[array.copy() for array in layer] for layer in state]
    first, _ = numpy.step(np.array([4]), state)
    again, _ = numpy.step(np.array([4]), state)
    assert np.array_equal(first, again)
    for layer, before in zip(state, copies, strict=True):
        for array, copy in zip(layer, before, strict=True):
            assert np.array_equal(array, copy)
