"""Activation regularization (AR, TAR): its gradient against that of the formula, and its effect."""

import gc
import weakref
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from rnncli.data.batching import PADDING, Batch
from rnncli.nn.config import BLOCK, ModelConfig
from rnncli.nn.fused.support import why_no_kernels
from rnncli.training.config import TrainConfig
from rnncli.training.state import TrainState
from rnncli.training.step import regularize_activations, train_step

B, T, D = 3, 5, 4
needs_kernels = pytest.mark.skipif(
    why_no_kernels() is not None, reason=f"no fused kernels: {why_no_kernels()}"
)


def config(alpha: float, beta: float) -> TrainConfig:
    return TrainConfig(steps=1, activation_regularization=alpha, temporal_regularization=beta)


@pytest.fixture
def hidden() -> Tensor:
    return torch.randn(B, T, D, generator=torch.Generator().manual_seed(1), requires_grad=True)


@pytest.fixture
def targets() -> Tensor:
    """The second row has two targets, the third has none."""
    targets = torch.zeros(B, T, dtype=torch.int64)
    targets[1, 2:] = targets[2] = PADDING
    return targets


def gradient(hidden: Tensor, targets: Tensor, settings: TrainConfig) -> Tensor:
    """Return the gradient without that of the loss, which is 1 everywhere."""
    read = hidden.clone()
    regularize_activations(read, targets, 7, settings)
    (found,) = torch.autograd.grad(read.sum(), hidden)
    return found - 1.0


def test_the_gradient_is_that_of_the_formula_where_there_are_targets(hidden: Tensor, targets: Tensor) -> None:
    known = [(0, t) for t in range(T)] + [(1, t) for t in range(2)]
    squares = sum(hidden[b, t, d] ** 2 for b, t in known for d in range(D))
    changes = sum((hidden[b, t, d] - hidden[b, t - 1, d]) ** 2 for b, t in known if t for d in range(D))
    (expected,) = torch.autograd.grad((2.0 * squares + 3.0 * changes) / (7 * D), hidden)
    torch.testing.assert_close(gradient(hidden, targets, config(2.0, 3.0)), expected)


def test_a_shard_of_the_rows_has_the_gradient_that_it_has_in_the_batch(
    hidden: Tensor, targets: Tensor
) -> None:
    settings = config(2.0, 1.0)
    alone = gradient(hidden[1:], targets[1:], settings)
    torch.testing.assert_close(gradient(hidden, targets, settings)[1:], alone)


def test_ensemble_members_have_the_mean_of_their_own_gradients(hidden: Tensor, targets: Tensor) -> None:
    both = gradient(torch.cat([hidden, 3.0 * hidden], -1), targets, config(2.0, 1.0))
    alone = gradient(hidden, targets, config(2.0, 1.0))
    torch.testing.assert_close(both, torch.cat([alone, 3.0 * alone], -1) / 2)


def test_bfloat16_has_about_the_same_gradient(hidden: Tensor, targets: Tensor) -> None:
    bf16 = hidden.detach().bfloat16().requires_grad_()
    read = bf16.clone()
    regularize_activations(read, targets, 7, config(2.0, 1.0))
    (found,) = torch.autograd.grad(read.sum() * 0.0, bf16)
    expected = gradient(hidden, targets, config(2.0, 1.0))
    torch.testing.assert_close(found.float(), expected, rtol=0.02, atol=0.003)


def test_the_hidden_states_are_freed_after_the_step(targets: Tensor) -> None:
    """At once, and not only by the garbage collector, as if the hook referred to its tensor."""
    gc.disable()
    try:
        read = torch.ones(B, T, D, requires_grad=True) * 2.0
        regularize_activations(read, targets, 7, config(2.0, 1.0))
        read.sum().backward()
        held = weakref.ref(read)
        del read
        assert held() is None
    finally:
        gc.enable()


COMPUTED = [
    {"precision": "fp32", "kernels": "torch"},
    {"precision": "bf16", "kernels": "torch"},
    pytest.param({"precision": "bf16", "kernels": "fused"}, marks=needs_kernels),
]


@pytest.mark.parametrize("backend", COMPUTED, ids=lambda chosen: " ".join(chosen.values()))
@pytest.mark.parametrize(("alpha", "beta"), [(20.0, 0.0), (0.0, 20.0)])
def test_training_reduces_activations_and_reports_the_loss_without_regularization(
    alpha: float, beta: float, backend: dict[str, Any]
) -> None:
    """After twenty steps on one batch, activations or their changes are smaller than without it."""
    ids = torch.randint(0, 11, (2, 9), generator=torch.Generator().manual_seed(3)).numpy()
    batch = Batch(ids[:, :-1], ids[:, 1:], ids[:, 0] >= 0)
    sizes, first_losses = [], []
    for settings in (config(0.0, 0.0), config(alpha, beta)):
        settings = replace(settings, **backend)
        model = ModelConfig(11, cell="gru", hidden_size=BLOCK, embedding_size=5, ensemble_size=2)
        state = TrainState.new(model, settings, torch.device("cpu"))
        losses = [train_step(state, batch, settings, 0.01).loss for _ in range(20)]
        first_losses.append(losses[0])
        with torch.no_grad():
            hidden, _ = state.model.hidden(torch.from_numpy(batch.inputs), state.model.initial_state(2))
        sizes.append(float((hidden.square() if alpha else hidden.diff(dim=1).square()).mean()))
    assert first_losses[0] == first_losses[1]
    assert sizes[1] < 0.7 * sizes[0]
