"""RNN: one network from token ids to hidden states and logits, its state, and its dropout masks.

Shapes:
    B: batch size
    T: time steps
    E: embedding size
    D: hidden size
    V: vocabulary size

    tokens (B, T) -> embedding (B, T, E) -> [convolution] -> layer -> ... -> layer (B, T, D)
                                                             dropout ^           dropout ^
                  -> [attention] -> logits (B, T, V)
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnncli.nn.config import ModelConfig
from rnncli.nn.layers import Attention, Convolution, Layer, LayerState, RecurrentLayer
from rnncli.nn.linear_recurrence import LINEAR_LAYERS
from rnncli.nn.recurrent import GATED_LAYERS

# The torch layer of every cell, by its name.
LAYERS = GATED_LAYERS | LINEAR_LAYERS


class State(NamedTuple):
    """The state of a model: one LayerState for each layer, the batch first in every tensor.

    An ensemble's state has the layers of the first member, then those of the second, and so on.
    """

    layers: tuple[LayerState, ...]

    def map(self, function: Callable[[Tensor], Tensor]) -> "State":
        """Return the state with `function` applied to each tensor."""
        return State(tuple(tuple(function(tensor) for tensor in layer) for layer in self.layers))

    def merge(self, other: "State", combine: Callable[[Tensor, Tensor], Tensor]) -> "State":
        """Return the state with `combine` applied to each tensor and its counterpart in `other`."""
        pairs = (
            zip(mine, theirs, strict=True) for mine, theirs in zip(self.layers, other.layers, strict=True)
        )
        return State(tuple(tuple(combine(a, b) for a, b in layer) for layer in pairs))

    def detach(self) -> "State":
        """Return the same state without gradients: back-propagation through time stops here."""
        return self.map(torch.Tensor.detach)

    def tensors(self) -> list[Tensor]:
        """Return the tensors of all layers in order."""
        return [tensor for layer in self.layers for tensor in layer]


class DropoutMasks(NamedTuple):
    """The source of dropout masks in training.

    Masks are sampled for a batch of `batch_size` rows, of which this process has those from `first` on.
    Every process of a distributed training samples the masks of all rows, so that each row gets the
    mask that it would get in a single process.
    """

    rng: torch.Generator
    batch_size: int
    first: int = 0

    def sample(self, rate: float, rows: int, hidden_size: int) -> Tensor:
        """Return a mask (rows, 1, D): 0 with probability `rate`, else 1 / (1 - rate)."""
        mask = torch.empty(self.batch_size, 1, hidden_size).bernoulli_(1.0 - rate, generator=self.rng)
        return mask.div_(1.0 - rate)[self.first : self.first + rows]


class RNN(nn.Module):
    """One ensemble member: an embedding, recurrent layers, and the logits of the next token."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size + 1, config.embedding_size)
        if config.convolution:
            self.convolution = Convolution(config)
        self.layers = nn.ModuleList(
            LAYERS[cell](config, input_size)
            for cell, input_size in zip(config.cells, config.input_sizes, strict=True)
        )
        if config.attention:
            self.attention = Attention(config)
        self.output_bias = nn.Parameter(torch.zeros(config.vocab_size))
        if not config.tied_embeddings:
            self.output_weight = nn.Parameter(torch.zeros(config.vocab_size, config.hidden_size))

    @torch.no_grad()
    def initialize(self, rng: torch.Generator) -> None:
        """Initialize all weights; they depend on `rng` alone."""
        bound = self.config.hidden_size**-0.5  # as in torch's own recurrent layers
        for name, parameter in self.named_parameters():
            if name == "embedding.weight":
                parameter.normal_(0.0, bound if self.config.tied_embeddings else 1.0, generator=rng)
            elif name == "output_bias":
                parameter.zero_()
            else:
                parameter.uniform_(-bound, bound, generator=rng)
        for layer in self.layers:
            if isinstance(layer, RecurrentLayer):
                layer.initialize(rng)

    def initial_state(self, batch_size: int) -> State:
        """Return the state at the beginning of a text: zeros."""
        return State(tuple(layer.initial_state(batch_size) for layer in self._all_layers()))

    def hidden(self, tokens: Tensor, state: State, masks: DropoutMasks | None = None) -> tuple[Tensor, State]:
        """Compute the hidden states that the logits are made of.

        Args:
            tokens: Token ids (B, T).
            state: The state before them.
            masks: Dropout masks; without them (outside training) there is no dropout.

        Returns:
            The outputs of the last layer (B, T, D) and the state after step T.
        """
        hidden = self.embedding(tokens)
        after = []
        for layer, before in zip(self._all_layers(), state.layers, strict=True):
            hidden, own_after = layer(hidden, before)
            if not isinstance(layer, Convolution | Attention):
                hidden = _dropout(hidden, self.config.dropout, masks)
            after.append(own_after)
        return hidden, State(tuple(after))

    def logits(self, hidden: Tensor) -> Tensor:
        """Map hidden states (..., D) to logits (..., V)."""
        return F.linear(hidden, self.output_matrix, self.output_bias)

    @property
    def output_matrix(self) -> Tensor:
        """The output weights (V, D): if embeddings are tied, those of all tokens but BOS."""
        return self.embedding.weight[:-1] if self.config.tied_embeddings else self.output_weight

    def _all_layers(self) -> list[Layer]:
        """Convolution, recurrent layers and attention, in the order of ModelConfig.state_shapes."""
        layers = [getattr(self, name) for name in ("convolution",) if hasattr(self, name)]
        layers += list(self.layers)
        return layers + ([self.attention] if hasattr(self, "attention") else [])


def _dropout(hidden: Tensor, rate: float, masks: DropoutMasks | None) -> Tensor:
    """Locked dropout: one mask (B, 1, D) for all steps of a batch (Gal and Ghahramani 2016).

    Compared with a new mask at every step it costs next to nothing to sample and disturbs the hidden
    state less. It is sampled on the CPU, so that a training can be resumed on another device.
    """
    if masks is None or rate == 0.0:
        return hidden
    return hidden * masks.sample(rate, hidden.shape[0], hidden.shape[2]).to(hidden)
