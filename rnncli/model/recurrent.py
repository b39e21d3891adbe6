"""The recurrent cells behind one signature. Shapes: B lanes, T time, E input width, D width.

Every layer maps inputs (B, T, E) and its LayerState to outputs (B, T, D) and the state after T. A
LayerState is a tuple of tensors (B, D): h for rnn and gru, h and c for lstm. To add a cell, write
its layer, name it in LAYERS, give model/config.py its name and number of gates, and model/stepper.py
what it does in one step.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from rnncli.model.acceleration import fused_for
from rnncli.model.config import Cell, ModelConfig

LayerState = tuple[Tensor, ...]


class State(NamedTuple):
    """What the network remembers: one LayerState a layer, lanes first in every tensor."""

    layers: tuple[LayerState, ...]

    def map(self, change: Callable[[Tensor], Tensor]) -> "State":
        return State(tuple(tuple(change(tensor) for tensor in layer) for layer in self.layers))

    def merge(self, other: "State", combine: Callable[[Tensor, Tensor], Tensor]) -> "State":
        """`combine` applied to each tensor and its partner in `other`."""
        pairs = (
            zip(mine, theirs, strict=True) for mine, theirs in zip(self.layers, other.layers, strict=True)
        )
        return State(tuple(tuple(combine(a, b) for a, b in layer) for layer in pairs))

    def detach(self) -> "State":
        """The same memory with no gradient path: where back-propagation through time is cut."""
        return self.map(torch.Tensor.detach)

    def tensors(self) -> list[Tensor]:
        return [tensor for layer in self.layers for tensor in layer]


class Layer(Protocol):
    """What model/language_model.py knows of a cell; a Layer is an nn.Module too."""

    def initial_state(self, batch_size: int) -> LayerState: ...

    def __call__(self, inputs: Tensor, state: LayerState) -> tuple[Tensor, LayerState]: ...


class ElmanLayer(nn.Module):
    """h_t = f(W x_t + b + U h_{t-1} + b'), f tanh or relu (Elman 1990, Finding structure in time)."""

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__()
        self.kernel = nn.RNN(
            input_size, config.hidden_size, nonlinearity=config.nonlinearity, batch_first=True
        )

    def initial_state(self, batch_size: int) -> LayerState:
        return _zeros(self.kernel, batch_size, 1)

    def forward(self, inputs: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        return _run(self.kernel, inputs, state)


class GruLayer(nn.Module):
    """Gated recurrent unit (Cho et al. 2014) with the reset gate after the recurrent product:

    r = σ(W_r x + U_r h),  z = σ(W_z x + U_z h),  n = tanh(W_n x + r * U_n h),  h' = (1-z) n + z h
    """

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__()
        self.kernel = nn.GRU(input_size, config.hidden_size, batch_first=True)

    def initial_state(self, batch_size: int) -> LayerState:
        return _zeros(self.kernel, batch_size, 1)

    def forward(self, inputs: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        return _run(self.kernel, inputs, state)


class LstmLayer(nn.Module):
    """Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate of Gers et al. 2000):

    i, f, o = σ(W x + U h),  g = tanh(W_g x + U_g h),  c' = f c + i g,  h' = o tanh(c')
    """

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__()
        self.kernel = nn.LSTM(input_size, config.hidden_size, batch_first=True)

    def initial_state(self, batch_size: int) -> LayerState:
        return _zeros(self.kernel, batch_size, 2)

    def forward(self, inputs: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        return _run(self.kernel, inputs, state)


LAYERS: dict[Cell, type[ElmanLayer] | type[GruLayer] | type[LstmLayer]] = {
    "rnn": ElmanLayer,
    "gru": GruLayer,
    "lstm": LstmLayer,
}


def _run(kernel: nn.RNNBase, inputs: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
    fused = fused_for(kernel, inputs)
    if fused is not None:
        outputs, *after = fused.window(kernel, inputs, *state)
        return outputs, tuple(after)
    before = tuple(tensor.unsqueeze(0) for tensor in state)
    outputs, end = kernel(inputs, before if len(before) > 1 else before[0])
    return outputs, tuple(tensor.squeeze(0) for tensor in (end if isinstance(end, tuple) else (end,)))


def _zeros(kernel: nn.RNNBase, batch_size: int, tensors: int) -> LayerState:
    like = kernel.weight_hh_l0
    assert isinstance(like, Tensor)
    return tuple(like.new_zeros(batch_size, kernel.hidden_size) for _ in range(tensors))
