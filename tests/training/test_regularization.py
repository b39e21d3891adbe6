"""What activations cost, against sums written out; and that training pays it."""

import pytest
import torch
from torch import Tensor

from rnncli.text.lanes import PADDING, Window
from rnncli.training.config import TrainConfig
from rnncli.training.regularization import activation_penalty
from rnncli.training.step import Run, train_step
from tests.conftest import tiny_model

B, T, D = 3, 5, 4


def config(alpha: float, beta: float) -> TrainConfig:
    return TrainConfig(steps=1, activation_regularization=alpha, temporal_regularization=beta)


@pytest.fixture
def hidden() -> Tensor:
    return torch.randn(B, T, D, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def targets() -> Tensor:
    """The second lane is two tokens long, the third has none."""
    targets = torch.zeros(B, T, dtype=torch.int64)
    targets[1, 2:] = targets[2] = PADDING
    return targets


def test_squares_of_what_has_a_target_and_of_its_changes_are_added_up(
    hidden: Tensor, targets: Tensor
) -> None:
    known = [(0, t) for t in range(T)] + [(1, t) for t in range(2)]
    squares = sum(float(hidden[b, t, d]) ** 2 for b, t in known for d in range(D))
    changes = sum(float(hidden[b, t, d] - hidden[b, t - 1, d]) ** 2 for b, t in known if t for d in range(D))
    found = activation_penalty(hidden, targets, 7, config(2.0, 3.0))
    assert float(found) == pytest.approx((2.0 * squares + 3.0 * changes) / (7 * D))


def test_shares_of_the_lanes_add_up_to_the_whole(hidden: Tensor, targets: Tensor) -> None:
    whole, *shares = (
        activation_penalty(hidden[share], targets[share], 7, config(2.0, 1.0))
        for share in (slice(None), slice(0, 1), slice(1, 3))
    )
    assert float(whole) == pytest.approx(float(sum(shares)))


def test_several_networks_pay_the_mean_of_what_each_would(hidden: Tensor, targets: Tensor) -> None:
    both = activation_penalty(torch.cat([hidden, 3.0 * hidden], -1), targets, 7, config(2.0, 1.0))
    alone = activation_penalty(hidden, targets, 7, config(2.0, 1.0))
    assert float(both) == pytest.approx(float(alone) * (1.0 + 9.0) / 2)


def test_nothing_is_computed_where_nothing_is_asked(hidden: Tensor, targets: Tensor) -> None:
    assert activation_penalty(hidden, targets, 7, config(0.0, 0.0)) is None


@pytest.mark.parametrize(("alpha", "beta"), [(20.0, 0.0), (0.0, 20.0)])
def test_training_pays_it_and_reports_nats_alone(alpha: float, beta: float) -> None:
    """Twenty steps on one window: activations, or their changes, become smaller than without."""
    ids = torch.randint(0, 11, (2, 9), generator=torch.Generator().manual_seed(3)).numpy()
    window = Window(ids[:, :-1], ids[:, 1:], ids[:, 0] >= 0)
    sizes, first_nats = [], []
    for settings in (config(0.0, 0.0), config(alpha, beta)):
        run = Run.new(tiny_model(cell="gru").config, settings, torch.device("cpu"))
        nats = [float(train_step(run, window, settings, 0.01).nats) for _ in range(20)]
        first_nats.append(nats[0])
        with torch.no_grad():
            hidden, _ = run.model.hidden(torch.from_numpy(window.inputs), run.model.initial_state(2))
        sizes.append(float((hidden.square() if alpha else hidden.diff(dim=1).square()).mean()))
    assert first_nats[0] == first_nats[1]
    assert sizes[1] < 0.7 * sizes[0]
