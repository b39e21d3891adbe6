"""Torch layers of the cells whose gates depend on the hidden state: rnn, lstm and gru.

Each has a matrix product at every step. A layer maps inputs (B, T, E) and its state to outputs (B, T, D)
and the state after step T. The state is h (B, D), and for the lstm also c (B, D).

Shapes:
  B: batch size
  T: time steps
  E: input size
  D: hidden size
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnncli.nn.cell_registry import implements
from rnncli.nn.config import ModelConfig
from rnncli.nn.fused.support import fused_for
from rnncli.nn.layers import LayerState, RecurrentLayer

GATED_LAYERS: dict[str, type[RecurrentLayer]] = {}


class _GatedLayer(RecurrentLayer):
    """A layer that torch's own recurrent module computes, or the fused CPU kernels."""

    kernel: nn.RNNBase

    def forward(self, inputs: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        fused = fused_for(self.kernel, inputs)
        if fused is not None:
            outputs, *after = fused.recurrence(self.kernel, inputs, *state)
            return outputs, tuple(after)
        before = tuple(tensor.unsqueeze(0) for tensor in state)
        outputs, end = self.kernel(inputs, before if len(before) > 1 else before[0])
        return outputs, tuple(tensor.squeeze(0) for tensor in (end if isinstance(end, tuple) else (end,)))


@implements("rnn", GATED_LAYERS)
class ElmanLayer(_GatedLayer):
    """The Elman network: h_t = f(W x_t + b + U h_{t-1} + b'), where f is tanh or relu.

    Elman 1990, Finding structure in time.
    """

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__(config, input_size)
        self.kernel = nn.RNN(
            input_size, config.hidden_size, nonlinearity=config.nonlinearity, batch_first=True
        )


@implements("gru", GATED_LAYERS)
class GruLayer(_GatedLayer):
    """The gated recurrent unit, with the reset gate after the recurrent product.

        r = σ(W_r x + U_r h),  z = σ(W_z x + U_z h),  n = tanh(W_n x + r * U_n h),  h' = (1-z) n + z h

    Cho et al. 2014, Learning phrase representations using RNN encoder-decoder.
    """

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__(config, input_size)
        self.kernel = nn.GRU(input_size, config.hidden_size, batch_first=True)


@implements("lstm", GATED_LAYERS)
class LstmLayer(_GatedLayer):
    """Long short-term memory with a forget gate.

        i, f, o = σ(W x + U h),  g = tanh(W_g x + U_g h),  c' = f c + i g,  h' = o tanh(c')

    Hochreiter and Schmidhuber 1997, Long short-term memory; forget gate of Gers et al. 2000, Learning to
    forget.
    """

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__(config, input_size)
        self.kernel = nn.LSTM(input_size, config.hidden_size, batch_first=True)
        shapes = self.cell.more_weights(self.sizes).values()
        self.mogrifier = nn.ParameterList(nn.Parameter(torch.zeros(shape)) for shape in shapes)

    def forward(self, inputs: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        return self._mogrified(inputs, *state) if len(self.mogrifier) else super().forward(inputs, state)

    def _mogrified(self, inputs: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, LayerState]:
        """Alternate x = 2 σ(Q h) x and h = 2 σ(R x) h before each step.

        Melis et al. 2020, Mogrifier LSTM, equations 1 and 2.
        """
        outputs = []
        w, u, b, b2 = (tensor for tensor in self.kernel._flat_weights if tensor is not None)
        for x in inputs.unbind(1):
            for number, matrix in enumerate(self.mogrifier):
                if number % 2:
                    h = 2.0 * torch.sigmoid(F.linear(x, matrix)) * h
                else:
                    x = 2.0 * torch.sigmoid(F.linear(h, matrix)) * x
            i, f, g, o = (F.linear(x, w, b) + F.linear(h, u, b2)).float().chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            outputs.append(h)
        return torch.stack(outputs, 1), (h, c)
