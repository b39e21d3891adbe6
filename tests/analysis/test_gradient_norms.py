"""Tests of gradients through time, compared with networks whose gradients are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from rnncli.analysis.gradient_norms import DISTANCES, SEGMENTS, gradient_norms, text_segments
from rnncli.data.text_units import line_starts
from rnncli.errors import CorpusError
from rnncli.nn.ensemble import RNNLanguageModel
from tests.conftest import tiny_model

TOKENS = np.random.default_rng(0).integers(0, 11, (5, 12))


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_the_norm_at_a_distance_matches_a_single_gradient(cell: str) -> None:
    model = tiny_model(cell=cell, num_layers=2)
    found = gradient_norms(model, TOKENS)
    assert [len(norms) for norms in found.norms.values()] == [12, 12]
    ids = torch.cat([torch.full((5, 1), model.config.bos_id), torch.from_numpy(TOKENS)], dim=1)
    for distance in (1, 4, 12):
        with torch.no_grad():
            before = ids[:, : 12 - distance]
            state = model.initial_state(5)
            if before.shape[1]:
                _, state = model(before, state)
        state = state.map(lambda tensor: tensor.clone().requires_grad_())
        logits, _ = model(ids[:, 12 - distance : 12], state)
        F.cross_entropy(logits[:, -1], ids[:, -1], reduction="sum").backward()
        for layer, tensors in enumerate(state.layers):
            squares = sum((tensor.grad**2).sum(1) for tensor in tensors if tensor.grad is not None)
            assert isinstance(squares, torch.Tensor)
            assert found.norms[f"layers.{layer}"][distance - 1] == pytest.approx(
                float(squares.sqrt().mean()), rel=1e-4
            )


def test_the_states_of_ensemble_members_count_as_one() -> None:
    """Each of two equal members has half of the gradient, so the norm is smaller by the square root of 2."""
    model = tiny_model(num_layers=2)
    twins = RNNLanguageModel(replace(model.config, ensemble_size=2))
    for member in twins.members:
        member.load_state_dict(model.members[0].state_dict())
    one, two = gradient_norms(model, TOKENS), gradient_norms(twins, TOKENS)
    assert np.array([*two.norms.values()]) == pytest.approx(
        np.array([*one.norms.values()]) / np.sqrt(2.0), rel=1e-3
    )


@pytest.mark.parametrize("strength", [0.01, 0.25, 0.5])
def test_the_gradient_of_a_linear_network_is_geometric(strength: float) -> None:
    """With ReLU of positive sums and U = strength * identity, every Jacobian is U."""
    model = tiny_model(cell="rnn", nonlinearity="relu", num_layers=1)
    kernel = model.members[0].layers[0].kernel
    with torch.no_grad():
        kernel.weight_hh_l0.copy_(strength * torch.eye(8))
        kernel.bias_ih_l0.fill_(10.0)
    (norms,) = gradient_norms(model, TOKENS).norms.values()
    ratios = np.array(norms[1:]) / np.array(norms[:-1])
    assert ratios == pytest.approx(np.full(11, strength), rel=1e-4)


def test_logits_are_computed_for_the_last_token_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, real = [], RNNLanguageModel.logits

    def counted(model: RNNLanguageModel, hidden: torch.Tensor) -> torch.Tensor:
        rows.append(hidden.shape[:-1].numel())
        return real(model, hidden)

    monkeypatch.setattr(RNNLanguageModel, "logits", counted)
    gradient_norms(tiny_model(), text_segments(np.arange(300, dtype=np.uint16) % 11))
    assert rows == [SEGMENTS], "logits of all tokens would need gigabytes for a large vocabulary"


def test_segments_are_evenly_distributed() -> None:
    ids = np.arange(10_000, dtype=np.uint16)
    cut = text_segments(ids)
    assert len(cut) == SEGMENTS
    assert cut.shape[1] > DISTANCES
    assert cut[0, 0] == 0
    assert cut[-1, -1] == 9_999
    assert (np.diff(cut, axis=1) == 1).all()


def test_a_short_text_is_one_segment() -> None:
    assert text_segments(np.arange(20, dtype=np.uint8)).tolist() == [list(range(20))]


def test_segments_of_lines_are_their_beginnings() -> None:
    ids = np.array([1, 1, 0, 2, 2, 2, 2, 0, 3, 3, 3, 0], np.uint8)
    assert text_segments(ids, line_starts(ids, 0)).tolist() == [[2, 2, 2], [3, 3, 3], [1, 1, 0]]


def test_short_lines_do_not_shorten_the_long_ones() -> None:
    long, empty, short = [1] * 40 + [0], [0], [2, 2, 0]
    ids = np.array(long * 3 + empty + short + long * 2, np.uint8)
    assert text_segments(ids, line_starts(ids, 0)).tolist() == [long] * 5


def test_many_short_lines_do_not_exclude_a_longer_one() -> None:
    ids = np.array([1, 0] * 30 + [2, 2, 0], np.uint8)
    assert text_segments(ids, line_starts(ids, 0)).tolist() == [[2, 2, 0]]


@pytest.mark.parametrize("lines", [False, True])
def test_a_text_that_is_too_short_is_an_error(lines: bool) -> None:
    ids = np.array([1, 0], np.uint8)
    with pytest.raises(CorpusError, match="too few for gradients"):
        text_segments(ids, line_starts(ids, 0) if lines else None)
