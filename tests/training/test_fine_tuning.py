"""A fine-tuned model starts with the outputs of the pretrained model."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rnncli.nn.config import ModelConfig
from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.training.config import TrainConfig
from rnncli.training.fine_tuning import transfer_weights
from rnncli.training.state import TrainState
from tests.conftest import tiny_model

CPU = torch.device("cpu")


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("tied", [False, True])
def test_known_tokens_have_the_logits_of_the_pretrained_model(cell: str, tied: bool) -> None:
    old = tiny_model(cell=cell, tied_embeddings=tied, embedding_size=8 if tied else 5)
    matches = np.array([10, -1, 3, 0, -1])
    config = replace(old.config, vocab_size=5)
    state = TrainState.new(config, TrainConfig(steps=1, batch_size=1), CPU, weights_for(old, matches, config))
    known, rows = [0, 2, 3], [10, 3, 0]
    with torch.no_grad():
        # The BOS id is the vocabulary size: 11 in the pretrained model, 5 in the new one.
        expected, _ = old(torch.tensor([[11, *rows]]), old.initial_state(1))
        found, _ = state.model(torch.tensor([[5, *known]]), state.model.initial_state(1))
    torch.testing.assert_close(found[..., known], expected[..., rows])


def test_new_tokens_have_the_rows_of_a_newly_initialized_model() -> None:
    old = tiny_model()
    config = replace(old.config, vocab_size=3)
    fresh = RNNLanguageModel.initialized(config, torch.Generator().manual_seed(1)).state_dict()
    begun = weights_for(old, np.array([-1, 4, -1]), config)
    for name in ("members.0.embedding.weight", "members.0.output_weight"):
        assert torch.equal(begun[name][[0, 2]], fresh[name][[0, 2]])
        assert not torch.equal(begun[name][1], fresh[name][1])


def test_a_rollback_before_the_first_validation_restores_the_pretrained_weights() -> None:
    old = tiny_model()
    state = TrainState.new(old.config, TrainConfig(steps=1, batch_size=1), CPU, old.state_dict())
    assert state.best is not None
    assert state.best.score is None
    assert torch.equal(state.best.weights["members.0.output_weight"], old.members[0].output_weight)


def weights_for(
    old: RNNLanguageModel, matches: np.ndarray[tuple[int], np.dtype[np.int64]], config: ModelConfig
) -> dict[str, torch.Tensor]:
    return transfer_weights(old.state_dict(), matches, config, seed=1)
