"""A model that begins as another computes what that one does."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from rnncli.nn.config import Cell, ModelConfig
from rnncli.nn.language_model import LanguageModel
from rnncli.training.config import TrainConfig
from rnncli.training.fine_tuning import transferred
from rnncli.training.step import Run
from tests.conftest import tiny_model

CPU = torch.device("cpu")


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("tied", [False, True])
def test_the_logits_of_known_symbols_are_those_of_before(cell: Cell, tied: bool) -> None:
    old = tiny_model(cell=cell, tied_embeddings=tied, embedding_size=8 if tied else 5)
    matches = np.array([10, -1, 3, 0, -1])
    config = replace(old.config, vocab_size=5)
    run = Run.new(config, TrainConfig(steps=1, batch_size=1), CPU, weights_for(old, matches, config))
    known, rows = [0, 2, 3], [10, 3, 0]
    with torch.no_grad():
        # "Text begins" has the id after the last, 11 there and 5 here.
        expected, _ = old(torch.tensor([[11, *rows]]), old.initial_state(1))
        found, _ = run.model(torch.tensor([[5, *known]]), run.model.initial_state(1))
    torch.testing.assert_close(found[..., known], expected[..., rows])


def test_new_symbols_have_the_rows_of_a_fresh_model() -> None:
    old = tiny_model()
    config = replace(old.config, vocab_size=3)
    fresh = LanguageModel.initialized(config, torch.Generator().manual_seed(1)).state_dict()
    begun = weights_for(old, np.array([-1, 4, -1]), config)
    for name in ("members.0.embedding.weight", "members.0.output_weight"):
        assert torch.equal(begun[name][[0, 2]], fresh[name][[0, 2]])
        assert not torch.equal(begun[name][1], fresh[name][1])


def test_the_weights_given_are_the_first_to_go_back_to() -> None:
    old = tiny_model()
    run = Run.new(old.config, TrainConfig(steps=1, batch_size=1), CPU, old.state_dict())
    assert run.best is not None
    assert run.best.score is None
    assert torch.equal(run.best.weights["members.0.output_weight"], old.members[0].output_weight)


def weights_for(
    old: LanguageModel, matches: np.ndarray[tuple[int], np.dtype[np.int64]], config: ModelConfig
) -> dict[str, torch.Tensor]:
    return transferred(old.state_dict(), matches, config, seed=1)
