"""Each gated cell against a loop written from its equations.

Shapes: B batch size, T time steps, E input size, D hidden size.
"""

import pytest
import torch
from torch import Tensor

from rnncli.nn.config import ModelConfig
from rnncli.nn.layers import LayerState
from rnncli.nn.rnn import LAYERS

B, T, E, D = 3, 7, 5, 4


def layer_and_weights(cell: str, **settings: str) -> tuple[torch.nn.Module, tuple[Tensor, ...]]:
    torch.manual_seed(3)
    config = ModelConfig(vocab_size=9, cell=cell, hidden_size=D, embedding_size=E, **settings)  # type: ignore[arg-type]
    layer = LAYERS[cell](config, E)
    kernel = layer.kernel
    weights = (kernel.weight_ih_l0, kernel.weight_hh_l0, kernel.bias_ih_l0, kernel.bias_hh_l0)
    return layer, tuple(weight.detach() for weight in weights)


def run(layer: torch.nn.Module, state: LayerState) -> tuple[Tensor, Tensor, LayerState]:
    torch.manual_seed(4)
    inputs = torch.randn(B, T, E)
    with torch.no_grad():
        outputs, after = layer(inputs, state)
    return inputs, outputs, after


@pytest.mark.parametrize(("nonlinearity", "f"), [("tanh", torch.tanh), ("relu", torch.relu)])
def test_the_elman_network_follows_its_equation(nonlinearity: str, f: type) -> None:
    layer, (w, u, b, b2) = layer_and_weights("rnn", nonlinearity=nonlinearity)
    start = torch.randn(B, D)
    inputs, outputs, (after,) = run(layer, (start,))
    h = start
    for t in range(T):
        h = f(inputs[:, t] @ w.T + b + h @ u.T + b2)
        torch.testing.assert_close(outputs[:, t], h)
    torch.testing.assert_close(after, h)


def test_the_gru_follows_its_equations() -> None:
    layer, (w, u, b, b2) = layer_and_weights("gru")
    start = torch.randn(B, D)
    inputs, outputs, (after,) = run(layer, (start,))
    (wr, wz, wn), (ur, uz, un), (br, bz, bn), (cr, cz, cn) = (m.split(D) for m in (w, u, b, b2))
    h = start
    for t in range(T):
        x = inputs[:, t]
        r = torch.sigmoid(x @ wr.T + br + h @ ur.T + cr)
        z = torch.sigmoid(x @ wz.T + bz + h @ uz.T + cz)
        n = torch.tanh(x @ wn.T + bn + r * (h @ un.T + cn))
        h = (1 - z) * n + z * h
        torch.testing.assert_close(outputs[:, t], h)
    torch.testing.assert_close(after, h)


def test_the_lstm_follows_its_equations() -> None:
    layer, (w, u, b, b2) = layer_and_weights("lstm")
    h, c = torch.randn(B, D), torch.randn(B, D)
    inputs, outputs, after = run(layer, (h, c))
    for t in range(T):
        i, f, g, o = (inputs[:, t] @ w.T + b + h @ u.T + b2).split(D, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        torch.testing.assert_close(outputs[:, t], h)
    torch.testing.assert_close(after, (h, c))
