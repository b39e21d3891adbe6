"""Gradients through time, held against a network whose gradients are known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from rnncli.analysis.gradient_norms import DISTANCES, STRETCHES, gradient_reach, stretches
from rnncli.data.lines import line_starts
from rnncli.errors import CorpusError
from rnncli.nn.config import Cell
from rnncli.nn.language_model import LanguageModel
from tests.conftest import tiny_model

TOKENS = np.random.default_rng(0).integers(0, 11, (5, 12))


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_the_norm_at_a_distance_is_that_of_a_gradient_taken_by_hand(cell: Cell) -> None:
    model = tiny_model(cell=cell, num_layers=2)
    reach = gradient_reach(model, TOKENS)
    assert [len(norms) for norms in reach.norms.values()] == [12, 12]
    ids = torch.cat([torch.full((5, 1), model.config.start), torch.from_numpy(TOKENS)], dim=1)
    for distance in (1, 4, 12):
        with torch.no_grad():
            before = ids[:, : 12 - distance]
            state = model.initial_state(5)
            if before.shape[1]:
                _, state = model(before, state)
        state = state.map(lambda tensor: tensor.clone().requires_grad_())
        logits, _ = model(ids[:, 12 - distance : 12], state)
        F.cross_entropy(logits[:, -1], ids[:, -1], reduction="sum").backward()
        for layer, memory in enumerate(state.blocks):
            squares = sum((tensor.grad**2).sum(1) for tensor in memory if tensor.grad is not None)
            assert isinstance(squares, torch.Tensor)
            assert reach.norms[f"layers.{layer}"][distance - 1] == pytest.approx(
                float(squares.sqrt().mean()), rel=1e-4
            )


def test_members_count_as_one_memory() -> None:
    """Of two members that are alike, each has half of the loss: the norm of both is a root of two less."""
    model = tiny_model(num_layers=2)
    twins = LanguageModel(replace(model.config, members=2))
    for member in twins.members:
        member.load_state_dict(model.members[0].state_dict())
    one, two = gradient_reach(model, TOKENS), gradient_reach(twins, TOKENS)
    assert np.array([*two.norms.values()]) == pytest.approx(
        np.array([*one.norms.values()]) / np.sqrt(2.0), rel=1e-3
    )


@pytest.mark.parametrize("strength", [0.01, 0.25, 0.5])
def test_a_linear_network_forgets_by_the_same_factor_every_step(strength: float) -> None:
    """relu of sums that stay positive, and U = strength * identity: every Jacobian is that."""
    model = tiny_model(cell="rnn", nonlinearity="relu", num_layers=1)
    kernel = model.members[0].layers[0].kernel
    with torch.no_grad():
        kernel.weight_hh_l0.copy_(strength * torch.eye(8))
        kernel.bias_ih_l0.fill_(10.0)
    (norms,) = gradient_reach(model, TOKENS).norms.values()
    ratios = np.array(norms[1:]) / np.array(norms[:-1])
    assert ratios == pytest.approx(np.full(11, strength), rel=1e-4)


def test_logits_are_computed_for_the_last_token_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, real = [], LanguageModel.logits

    def counted(model: LanguageModel, hidden: torch.Tensor) -> torch.Tensor:
        rows.append(hidden.shape[:-1].numel())
        return real(model, hidden)

    monkeypatch.setattr(LanguageModel, "logits", counted)
    gradient_reach(tiny_model(), stretches(np.arange(300, dtype=np.uint16) % 11))
    assert rows == [STRETCHES], "a large vocabulary would take gigabytes"


def test_stretches_come_from_all_over_the_text() -> None:
    ids = np.arange(10_000, dtype=np.uint16)
    cut = stretches(ids)
    assert len(cut) == STRETCHES
    assert cut.shape[1] > DISTANCES
    assert cut[0, 0] == 0
    assert cut[-1, -1] == 9_999
    assert (np.diff(cut, axis=1) == 1).all()


def test_a_short_text_is_one_stretch() -> None:
    assert stretches(np.arange(20, dtype=np.uint8)).tolist() == [list(range(20))]


def test_lines_are_taken_from_their_beginnings() -> None:
    ids = np.array([1, 1, 0, 2, 2, 2, 2, 0, 3, 3, 3, 0], np.uint8)
    assert stretches(ids, line_starts(ids, 0)).tolist() == [[2, 2, 2], [3, 3, 3], [1, 1, 0]]


def test_short_lines_do_not_shorten_the_long_ones() -> None:
    long, blank, short = [1] * 40 + [0], [0], [2, 2, 0]
    ids = np.array(long * 3 + blank + short + long * 2, np.uint8)
    assert stretches(ids, line_starts(ids, 0)).tolist() == [long] * 5


def test_many_lines_of_two_tokens_do_not_hide_one_of_three() -> None:
    ids = np.array([1, 0] * 30 + [2, 2, 0], np.uint8)
    assert stretches(ids, line_starts(ids, 0)).tolist() == [[2, 2, 0]]


@pytest.mark.parametrize("lines", [False, True])
def test_too_short_a_text_is_refused(lines: bool) -> None:
    ids = np.array([1, 0], np.uint8)
    with pytest.raises(CorpusError, match="too few for gradients"):
        stretches(ids, line_starts(ids, 0) if lines else None)
