"""Cells with a linear recurrence against loops written from their equations.

Shapes: B batch size, T time steps, E input size, D hidden size.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from rnncli.nn import linear_recurrence
from rnncli.nn.cell_registry import CELLS
from rnncli.nn.config import ModelConfig
from rnncli.nn.linear_recurrence import doubling, scan, stepwise
from rnncli.nn.rnn import LAYERS, RNN
from tests.conftest import numpy_decoder_of, tiny_model

B, T, E, D = 3, 13, 5, 4


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape)), dtype=torch.float64)


@pytest.mark.parametrize("time", [1, 2, 13, 64])
@pytest.mark.parametrize("implementation", [stepwise, doubling])
def test_both_implementations_follow_the_recurrence(time: int, implementation: Callable[..., Tensor]) -> None:
    decay, new, h = torch.sigmoid(random(time, B, D)), random(time, B, D), random(B, D)
    states = implementation(decay, new, h)
    for t in range(time):
        h = decay[t] * h + new[t]
        torch.testing.assert_close(states[t], h)


@pytest.mark.parametrize("implementation", [stepwise, doubling])
def test_the_gradient_is_that_of_finite_differences(
    monkeypatch: pytest.MonkeyPatch, implementation: Callable[..., Tensor]
) -> None:
    monkeypatch.setattr(linear_recurrence, "run_scan", implementation)
    decay = torch.sigmoid(random(T, B, D)).requires_grad_()
    new, h = random(T, B, D).requires_grad_(), random(B, D).requires_grad_()
    assert torch.autograd.gradcheck(scan, (decay, new, h))


def mingru(gates: list[Tensor], h: Tensor, _: Tensor | None) -> tuple[Tensor, Tensor]:
    z = torch.sigmoid(gates[0])
    h = (1 - z) * h + z * gates[1]
    return h, h


def minlstm(gates: list[Tensor], h: Tensor, _: Tensor | None) -> tuple[Tensor, Tensor]:
    f, i = torch.sigmoid(gates[0]), torch.sigmoid(gates[1])
    h = f / (f + i) * h + i / (f + i) * gates[2]
    return h, h


def rglru(gates: list[Tensor], h: Tensor, decay: Tensor | None) -> tuple[Tensor, Tensor]:
    assert decay is not None
    value, r, i, o = gates[0], torch.sigmoid(gates[1]), torch.sigmoid(gates[2]), gates[3]
    a = torch.exp(-8.0 * torch.log1p(decay.exp()) * r)
    h = a * h + torch.sqrt(1 - a**2) * i * value
    return F.gelu(o, approximate="tanh") * h, h


@pytest.mark.parametrize("implementation", [stepwise, doubling])
@pytest.mark.parametrize("equation", [mingru, minlstm, rglru])
def test_every_cell_follows_its_equations(
    monkeypatch: pytest.MonkeyPatch,
    equation: Callable[..., tuple[Tensor, Tensor]],
    implementation: Callable[..., Tensor],
) -> None:
    monkeypatch.setattr(linear_recurrence, "run_scan", implementation)
    cell = equation.__name__
    config = ModelConfig(9, cell=cell, hidden_size=D, embedding_size=E)
    layer = LAYERS[cell](config, E).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(parameter.numel()))
    inputs, h = random(B, T, E), random(B, D)
    with torch.no_grad():
        outputs, (after,) = layer.float()(inputs.float(), (h.float(),))
        products = inputs.float() @ layer.weight.T + layer.bias
        h = h.float()
        for t in range(T):
            gates = products[:, t].split(D, -1)
            expected, h = equation(gates, h, getattr(layer, "decay", None))
            torch.testing.assert_close(outputs[:, t], expected)
    torch.testing.assert_close(after, h)


@pytest.mark.parametrize("lengths", [[T], [1, 4, 8]])
def test_a_qrnn_follows_its_equations_over_several_calls(lengths: list[int]) -> None:
    layer = LAYERS["qrnn"](ModelConfig(9, cell="qrnn", hidden_size=D, embedding_size=E), E)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(parameter.numel()))
    inputs, c, before = random(B, T, E).float(), random(B, D).float(), random(B, 1, E).float()
    with torch.no_grad():
        found, state = [], (c, before)
        for part in inputs.split(lengths, 1):
            outputs, state = layer(part, state)
            found.append(outputs)
        x = before[:, 0]
        for t in range(T):
            earlier, x = x, inputs[:, t]
            gates = earlier @ layer.weight[:, :E].T + x @ layer.weight[:, E:].T + layer.bias
            z, f, o = gates[:, :D].tanh(), gates[:, D : 2 * D].sigmoid(), gates[:, 2 * D :].sigmoid()
            c = f * c + (1 - f) * z
            torch.testing.assert_close(torch.cat(found, 1)[:, t], o * c)
    torch.testing.assert_close(state, (c, inputs[:, -1:]))


@pytest.mark.parametrize("cell", ["minlstm", "rglru"])
def test_nearly_closed_gates_are_exact_and_have_gradients(cell: str) -> None:
    model = tiny_model(cell=cell, num_layers=1)
    layer = model.members[0].layers[0]
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.fill_(-20.0)
        layer.bias[: len(layer.bias) // CELLS[cell].gates] += 1.0
    tokens = torch.arange(6)[None]
    logits, state = model(tokens, model.initial_state(1))
    logits.sum().backward()
    assert all(bool(weight.grad.isfinite().all()) for weight in model.parameters())
    numpy = numpy_decoder_of(model)
    own = numpy.initial_state(1)
    for token in range(6):
        _, own = numpy.step(np.array([token]), own)
    np.testing.assert_allclose(own[0][0], state.layers[0][0].detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("cell", ["mingru", "minlstm", "rglru", "qrnn"])
def test_initial_time_constants_range_from_one_step_to_many(cell: str) -> None:
    """How long a hidden state lasts if the inputs have no weight."""
    network = RNN(ModelConfig(9, cell=cell, hidden_size=256, embedding_size=E))
    network.initialize(torch.Generator().manual_seed(0))
    layer = network.layers[0]
    with torch.no_grad():
        layer.weight.zero_()
        _, *others = layer.initial_state(1)
        _, (after, *_) = layer(torch.zeros(1, 1, E), (torch.ones(1, 256), *others))
    time_constants = -1.0 / after.log()
    assert 0.5 < time_constants.min() < 2.0
    assert 45.0 < time_constants.max() < 80.0
