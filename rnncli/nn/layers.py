"""What all layers of a network have in common, and the layers that are not recurrent.

Shapes:
  B: batch size
  T: time steps
  E: embedding size
  D: hidden size
  K: tokens in the convolution's receptive field
  W: attention window, in steps
"""

import math
from typing import ClassVar, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnncli.nn.cell_registry import Cell, LayerSizes
from rnncli.nn.config import ModelConfig

# The state of one layer; the batch is the first dimension of every tensor.
LayerState = tuple[Tensor, ...]


class Layer(Protocol):
    """A layer of a network. Every Layer is an nn.Module too.

    The shapes of its state are those of ModelConfig.state_shapes.
    """

    def initial_state(self, batch_size: int) -> LayerState:
        """Return the state at the beginning of a text: zeros."""

    def __call__(self, inputs: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """Return the outputs (B, T, ...) of inputs (B, T, ...), and the state after step T."""


class RecurrentLayer(nn.Module):
    """A recurrent layer, which implements the cell that it is registered for."""

    cell: ClassVar[Cell]

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__()
        self.sizes = LayerSizes(input_size, config.hidden_size, config.mogrifier)

    def initialize(self, rng: torch.Generator) -> None:
        """Initialize the weights that are not initialized like those of other layers: here none."""

    def initial_state(self, batch_size: int) -> LayerState:
        """Return the state at the beginning of a text: zeros of the shapes in the cell's description."""
        like = next(self.parameters())
        return tuple(like.new_zeros(batch_size, *shape) for shape in self.cell.state(self.sizes))

    def forward(self, inputs: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """Map inputs (B, T, E) to outputs (B, T, D) and the state after step T."""
        raise NotImplementedError


class Convolution(nn.Module):
    """A causal convolution over the last K embeddings, with a residual connection.

        y_t = x_t + relu(b + sum_k W_k x_{t-K+1+k})

    Its state is the last K - 1 inputs (B, K - 1, E). Waibel et al. 1989, Phoneme recognition using
    time-delay neural networks.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        e = config.embedding_size
        self.taps = config.convolution
        self.weight = nn.Parameter(torch.zeros(e, e, self.taps))
        self.bias = nn.Parameter(torch.zeros(e))

    def initial_state(self, batch_size: int) -> LayerState:
        return (self.bias.new_zeros(batch_size, self.taps - 1, len(self.bias)),)

    def forward(self, inputs: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """Map inputs (B, T, E) to outputs (B, T, E) and the state after step T."""
        padded = torch.cat([state[0], inputs.to(state[0].dtype)], 1)
        receptive_fields = padded.unfold(1, self.taps, 1).flatten(2)  # (B, T, E K)
        outputs = inputs + F.linear(receptive_fields, self.weight.flatten(1), self.bias).relu()
        return outputs, (padded[:, padded.shape[1] - self.taps + 1 :],)


class Attention(nn.Module):
    """Single-headed attention to the last W hidden states, with a residual connection.

        y_t = x_t + O sum_j softmax_j(x_j · Q x_t / sqrt(D)) x_j, over j from t - W to t

    The hidden states themselves are the keys and the values (after Merity 2019, Single headed
    attention RNN: stop thinking with your head).

         <------ state (W) -------> <--- inputs (T) --->
    step t attends to                |___________t
                                      t - W

    Its state is the last W inputs (B, W, D) and a mask (B, W): 1 for a step of the text, 0 for
    padding before it.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.steps = config.attention
        self.query = nn.Parameter(torch.zeros(config.hidden_size, config.hidden_size))
        self.output = nn.Parameter(torch.zeros(config.hidden_size, config.hidden_size))

    def initial_state(self, batch_size: int) -> LayerState:
        return (
            self.query.new_zeros(batch_size, self.steps, len(self.query)),
            self.query.new_zeros(batch_size, self.steps),
        )

    def forward(self, inputs: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        """Map inputs (B, T, D) to outputs (B, T, D) and the state after step T."""
        batch_size, time, hidden_size = inputs.shape
        keys = torch.cat([state[0], inputs.to(state[0].dtype)], 1)
        is_text = torch.cat([state[1], state[1].new_ones(batch_size, time)], 1)
        distances = (
            torch.arange(keys.shape[1], device=keys.device) - torch.arange(time, device=keys.device)[:, None]
        )
        in_window = (distances >= 0) & (distances <= self.steps)
        scores = F.linear(inputs, self.query) @ keys.transpose(1, 2)
        scores = scores.float() / math.sqrt(hidden_size)
        weights = scores.masked_fill(~(in_window & (is_text[:, None] > 0)), -math.inf).softmax(-1)
        outputs = inputs + F.linear(weights.to(inputs.dtype) @ keys.to(inputs.dtype), self.output)
        return outputs, (keys[:, -self.steps :], is_text[:, -self.steps :])
