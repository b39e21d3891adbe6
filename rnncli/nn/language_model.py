"""The recurrent language model: an ensemble of networks that makes one distribution over the next token.

Shapes:
  B: batch size
  T: time steps
  K: ensemble members
  E: embedding size
  D: hidden size
  V: vocabulary size

One member, an RNN:

    tokens (B, T) -> embedding (B, T, E) -> [convolution] -> layer -> ... -> layer (B, T, D)
                                                             dropout ^           dropout ^
                  -> [attention] -> logits (B, T, V)

The ensemble, an RNNLanguageModel:

    tokens (B, T) -> hidden states of all members, concatenated (B, T, K D) -> mean probabilities (B, T, V)
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnncli.nn.config import ModelConfig
from rnncli.nn.layers import Attention, Convolution, Layer, LayerState, RecurrentLayer
from rnncli.nn.linear_recurrence import LINEAR_LAYERS
from rnncli.nn.loss import mean_nll
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


class RNNLanguageModel(nn.Module):
    """P(next token | all tokens before it): the mean over the ensemble members, of which there is often one.

    Members differ in their initial weights and their dropout masks. Each is trained on its own loss, and
    since their errors differ, the mean of their probabilities is better than the best of them
    (Lakshminarayanan et al. 2017, Simple and scalable predictive uncertainty estimation using deep
    ensembles). The state is an argument and a result, never an attribute.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.members = nn.ModuleList(RNN(config) for _ in range(config.ensemble_size))

    @classmethod
    def initialized(cls, config: ModelConfig, rng: torch.Generator) -> "RNNLanguageModel":
        """Return a model with initial weights, which depend on `rng` alone."""
        model = cls(config)
        for member in model._rnns():
            member.initialize(rng)
        return model

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.parameters()).device

    def initial_state(self, batch_size: int) -> State:
        """Return the state at the beginning of a text: zeros."""
        return _concatenated([member.initial_state(batch_size) for member in self._rnns()])

    def forward(
        self, tokens: Tensor, state: State, masks: DropoutMasks | None = None
    ) -> tuple[Tensor, State]:
        """Compute the logits of the next token after each step.

        Args:
            tokens: Token ids (B, T), from 0 to V, where V is config.bos_id.
            state: The state before them.
            masks: Dropout masks; without them (outside training) there is no dropout.

        Returns:
            Logits (B, T, V) and the state after step T.
        """
        hidden, after = self.hidden(tokens, state, masks)
        return self.logits(hidden), after

    def hidden(self, tokens: Tensor, state: State, masks: DropoutMasks | None = None) -> tuple[Tensor, State]:
        """Return the last outputs of all members (B, T, K D) and the state after step T: see `forward`."""
        depth = len(self.config.state_shapes)
        outputs, after = [], []
        for number, member in enumerate(self._rnns()):
            own = State(state.layers[number * depth : (number + 1) * depth])
            hidden, own_after = member.hidden(tokens, own, masks)
            outputs.append(hidden)
            after.append(own_after)
        return torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0], _concatenated(after)

    def logits(self, hidden: Tensor) -> Tensor:
        """Map hidden states (..., K D) to logits (..., V); with a large vocabulary most of the cost is here.

        The logits of an ensemble are the logarithms of the mean probabilities.
        """
        first, *others = (member.logits(own) for member, own in self._split(hidden))
        if not others:
            return first
        total = torch.log_softmax(first.float(), -1)
        for one in others:
            total = torch.logaddexp(total, torch.log_softmax(one.float(), -1))
        return total - math.log(len(self.members))

    def mean_nll(self, hidden: Tensor, targets: Tensor, tokens: int) -> Tensor:
        """Return the training loss: the mean over the members of each one's mean NLL, in nats.

        Args:
            hidden: Hidden states (B, T, K D).
            targets: Token ids (B, T), negative where there is none.
            tokens: The number that each member's sum is divided by.
        """
        losses = [
            mean_nll(
                own.flatten(0, -2), member.output_matrix, member.output_bias, targets.flatten(), tokens=tokens
            )
            for member, own in self._split(hidden)
        ]
        return torch.stack(losses).mean() if len(losses) > 1 else losses[0]

    def _rnns(self) -> Iterator[RNN]:
        """The members with their type, which nn.ModuleList does not keep."""
        for member in self.members:
            assert isinstance(member, RNN)
            yield member

    def _split(self, hidden: Tensor) -> Iterator[tuple[RNN, Tensor]]:
        """Each member with its own hidden states (..., D)."""
        return zip(self._rnns(), torch.split(hidden, self.config.hidden_size, -1), strict=True)


def _concatenated(states: list[State]) -> State:
    return State(tuple(layer for state in states for layer in state.layers))


def _dropout(hidden: Tensor, rate: float, masks: DropoutMasks | None) -> Tensor:
    """Locked dropout: one mask (B, 1, D) for all steps of a batch (Gal and Ghahramani 2016).

    Compared with a new mask at every step it costs next to nothing to sample and disturbs the hidden
    state less. It is sampled on the CPU, so that a training can be resumed on another device.
    """
    if masks is None or rate == 0.0:
        return hidden
    return hidden * masks.sample(rate, hidden.shape[0], hidden.shape[2]).to(hidden)
