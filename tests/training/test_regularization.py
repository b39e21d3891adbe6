"""What activations cost, against gradients of the sums written out; and that training pays it."""

import gc
import weakref
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from rnncli.data.batching import PADDING, Window
from rnncli.nn.config import BLOCK, ModelConfig
from rnncli.nn.fused.support import missing
from rnncli.training.config import TrainConfig
from rnncli.training.regularization import penalize
from rnncli.training.step import Run, train_step

B, T, D = 3, 5, 4
needs_kernels = pytest.mark.skipif(missing() is not None, reason=f"no fused kernels: {missing()}")


def config(alpha: float, beta: float) -> TrainConfig:
    return TrainConfig(steps=1, activation_regularization=alpha, temporal_regularization=beta)


@pytest.fixture
def hidden() -> Tensor:
    return torch.randn(B, T, D, generator=torch.Generator().manual_seed(1), requires_grad=True)


@pytest.fixture
def targets() -> Tensor:
    """The second lane is two tokens long, the third has none."""
    targets = torch.zeros(B, T, dtype=torch.int64)
    targets[1, 2:] = targets[2] = PADDING
    return targets


def gradient(hidden: Tensor, targets: Tensor, settings: TrainConfig) -> Tensor:
    """Beside that of a loss of its own, which is here one everywhere."""
    read = hidden.clone()
    penalize(read, targets, 7, settings)
    (found,) = torch.autograd.grad(read.sum(), hidden)
    return found - 1.0


def test_it_is_the_gradient_of_squares_and_squared_changes_where_there_are_targets(
    hidden: Tensor, targets: Tensor
) -> None:
    known = [(0, t) for t in range(T)] + [(1, t) for t in range(2)]
    squares = sum(hidden[b, t, d] ** 2 for b, t in known for d in range(D))
    changes = sum((hidden[b, t, d] - hidden[b, t - 1, d]) ** 2 for b, t in known if t for d in range(D))
    (expected,) = torch.autograd.grad((2.0 * squares + 3.0 * changes) / (7 * D), hidden)
    torch.testing.assert_close(gradient(hidden, targets, config(2.0, 3.0)), expected)


def test_a_share_of_the_lanes_pays_what_it_pays_among_all(hidden: Tensor, targets: Tensor) -> None:
    settings = config(2.0, 1.0)
    alone = gradient(hidden[1:], targets[1:], settings)
    torch.testing.assert_close(gradient(hidden, targets, settings)[1:], alone)


def test_several_networks_pay_the_mean_of_what_each_would(hidden: Tensor, targets: Tensor) -> None:
    both = gradient(torch.cat([hidden, 3.0 * hidden], -1), targets, config(2.0, 1.0))
    alone = gradient(hidden, targets, config(2.0, 1.0))
    torch.testing.assert_close(both, torch.cat([alone, 3.0 * alone], -1) / 2)


def test_bfloat16_pays_about_the_same(hidden: Tensor, targets: Tensor) -> None:
    brief = hidden.detach().bfloat16().requires_grad_()
    read = brief.clone()
    penalize(read, targets, 7, config(2.0, 1.0))
    (found,) = torch.autograd.grad(read.sum() * 0.0, brief)
    expected = gradient(hidden, targets, config(2.0, 1.0))
    torch.testing.assert_close(found.float(), expected, rtol=0.02, atol=0.003)


def test_what_is_penalized_is_let_go_with_its_step(targets: Tensor) -> None:
    """Not only when Python looks for cycles, as if its hook held it."""
    gc.disable()
    try:
        read = torch.ones(B, T, D, requires_grad=True) * 2.0
        penalize(read, targets, 7, config(2.0, 1.0))
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


@pytest.mark.parametrize("computed", COMPUTED, ids=lambda chosen: " ".join(chosen.values()))
@pytest.mark.parametrize(("alpha", "beta"), [(20.0, 0.0), (0.0, 20.0)])
def test_training_pays_it_and_reports_nats_alone(alpha: float, beta: float, computed: dict[str, Any]) -> None:
    """Twenty steps on one window: activations, or their changes, become smaller than without."""
    ids = torch.randint(0, 11, (2, 9), generator=torch.Generator().manual_seed(3)).numpy()
    window = Window(ids[:, :-1], ids[:, 1:], ids[:, 0] >= 0)
    sizes, first_nats = [], []
    for settings in (config(0.0, 0.0), config(alpha, beta)):
        settings = replace(settings, **computed)
        model = ModelConfig(11, cell="gru", hidden_size=BLOCK, embedding_size=5, members=2)
        run = Run.new(model, settings, torch.device("cpu"))
        nats = [train_step(run, window, settings, 0.01).nats for _ in range(20)]
        first_nats.append(nats[0])
        with torch.no_grad():
            hidden, _ = run.model.hidden(torch.from_numpy(window.inputs), run.model.initial_state(2))
        sizes.append(float((hidden.square() if alpha else hidden.diff(dim=1).square()).mean()))
    assert first_nats[0] == first_nats[1]
    assert sizes[1] < 0.7 * sizes[0]
