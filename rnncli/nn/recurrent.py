"""The recurrent cells with gates that know the memory. Shapes: B lanes, T time, E input width, D width.

Every layer maps inputs (B, T, E) and its BlockState to outputs (B, T, D) and the state after T. A
BlockState is a tuple of tensors (B, D): h for rnn and gru, h and c for lstm. To add a cell, write
its layer, name it in nn/network.py's LAYERS, give nn/config.py its name, gates, weights and memory, and
numpy_decoder/layers.py what it does in one step.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnncli.nn.config import ModelConfig
from rnncli.nn.fused.support import fused_for
from rnncli.nn.state import BlockState


class ElmanLayer(nn.Module):
    """h_t = f(W x_t + b + U h_{t-1} + b'), f tanh or relu (Elman 1990, Finding structure in time)."""

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__()
        self.kernel = nn.RNN(
            input_size, config.hidden_size, nonlinearity=config.nonlinearity, batch_first=True
        )

    def initial_state(self, batch_size: int) -> BlockState:
        return _zeros(self.kernel, batch_size, 1)

    def forward(self, inputs: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
        return _run(self.kernel, inputs, state)


class GruLayer(nn.Module):
    """Gated recurrent unit (Cho et al. 2014) with the reset gate after the recurrent product:

    r = σ(W_r x + U_r h),  z = σ(W_z x + U_z h),  n = tanh(W_n x + r * U_n h),  h' = (1-z) n + z h
    """

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__()
        self.kernel = nn.GRU(input_size, config.hidden_size, batch_first=True)

    def initial_state(self, batch_size: int) -> BlockState:
        return _zeros(self.kernel, batch_size, 1)

    def forward(self, inputs: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
        return _run(self.kernel, inputs, state)


class LstmLayer(nn.Module):
    """Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate of Gers et al. 2000):

    i, f, o = σ(W x + U h),  g = tanh(W_g x + U_g h),  c' = f c + i g,  h' = o tanh(c')
    """

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__()
        self.kernel = nn.LSTM(input_size, config.hidden_size, batch_first=True)
        shapes = ((config.hidden_size, input_size), (input_size, config.hidden_size))
        rounds = range(config.mogrifier)
        self.mogrifier = nn.ParameterList(nn.Parameter(torch.zeros(shapes[n % 2 == 0])) for n in rounds)

    def initial_state(self, batch_size: int) -> BlockState:
        return _zeros(self.kernel, batch_size, 2)

    def forward(self, inputs: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
        return self._mogrified(inputs, *state) if len(self.mogrifier) else _run(self.kernel, inputs, state)

    def _mogrified(self, inputs: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, BlockState]:
        """x = 2 σ(Q h) x,  h = 2 σ(R x) h, in turns, before each step (Melis et al. 2020, Mogrifier LSTM)."""
        outputs = []
        w, u, b, b2 = (tensor for tensor in self.kernel._flat_weights if tensor is not None)
        for x in inputs.unbind(1):
            for number, matrix in enumerate(self.mogrifier):
                if number % 2:
                    h = 2.0 * torch.sigmoid(F.linear(x, matrix)) * h
                else:
                    x = 2.0 * torch.sigmoid(F.linear(h, matrix)) * x
            add, forget, new, opens = (F.linear(x, w, b) + F.linear(h, u, b2)).float().chunk(4, -1)
            c = torch.sigmoid(forget) * c + torch.sigmoid(add) * torch.tanh(new)
            h = torch.sigmoid(opens) * torch.tanh(c)
            outputs.append(h)
        return torch.stack(outputs, 1), (h, c)


def _run(kernel: nn.RNNBase, inputs: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
    fused = fused_for(kernel, inputs)
    if fused is not None:
        outputs, *after = fused.window(kernel, inputs, *state)
        return outputs, tuple(after)
    before = tuple(tensor.unsqueeze(0) for tensor in state)
    outputs, end = kernel(inputs, before if len(before) > 1 else before[0])
    return outputs, tuple(tensor.squeeze(0) for tensor in (end if isinstance(end, tuple) else (end,)))


def _zeros(kernel: nn.RNNBase, batch_size: int, tensors: int) -> BlockState:
    like = kernel.weight_hh_l0
    assert isinstance(like, Tensor)
    return tuple(like.new_zeros(batch_size, kernel.hidden_size) for _ in range(tensors))
