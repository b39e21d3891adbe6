"""One network: embedding, recurrent stack, logits. Shapes: B lanes, T time, E embedding, D width, V symbols.

tokens (B, T) -> embedding (B, T, E) -> [convolution] -> layer -> ... -> layer (B, T, D) -> [attention]
                                                         dropout ^           dropout ^     -> logits (B, T, V)
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnncli.nn.attention import Attention
from rnncli.nn.config import ModelConfig
from rnncli.nn.convolution import Convolution
from rnncli.nn.linear_recurrence import LinearLayer, MinGruLayer, MinLstmLayer, QrnnLayer, RgLruLayer
from rnncli.nn.recurrent import ElmanLayer, GruLayer, LstmLayer
from rnncli.nn.state import Block, State

LAYERS: dict[str, type[nn.Module]] = {
    "rnn": ElmanLayer,
    "gru": GruLayer,
    "lstm": LstmLayer,
    "mingru": MinGruLayer,
    "minlstm": MinLstmLayer,
    "rglru": RgLruLayer,
    "qrnn": QrnnLayer,
}


class DropoutMasks(NamedTuple):
    """Where the masks of training come from: drawn for `lanes`, of which these begin at `first`.

    Processes that share the lanes draw all of them, so that each lane has the mask it would have in
    one process.
    """

    rng: torch.Generator
    lanes: int
    first: int = 0

    def draw(self, rate: float, lanes: int, width: int) -> Tensor:
        """(lanes, 1, width): 0 with probability `rate`, and else what makes up for it."""
        mask = torch.empty(self.lanes, 1, width).bernoulli_(1.0 - rate, generator=self.rng)
        return mask.div_(1.0 - rate)[self.first : self.first + lanes]


class Network(nn.Module):
    """Scores for the next token, given all before. The memory is an argument and a result."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size + 1, config.embedding_size)
        if config.convolution:
            self.convolution = Convolution(config)
        self.layers = nn.ModuleList(
            LAYERS[cell](config, width) for cell, width in zip(config.cells, config.input_widths, strict=True)
        )
        if config.attention:
            self.attention = Attention(config)
        self.output_bias = nn.Parameter(torch.zeros(config.vocab_size))
        if not config.tied_embeddings:
            self.output_weight = nn.Parameter(torch.zeros(config.vocab_size, config.hidden_size))

    @torch.no_grad()
    def initialize(self, rng: torch.Generator) -> None:
        """Fresh weights from `rng` and nothing else."""
        bound = self.config.hidden_size**-0.5  # as torch's own recurrent layers choose
        for name, parameter in self.named_parameters():
            if name == "embedding.weight":
                parameter.normal_(0.0, bound if self.config.tied_embeddings else 1.0, generator=rng)
            elif name == "output_bias":
                parameter.zero_()
            else:
                parameter.uniform_(-bound, bound, generator=rng)
        for layer in self.layers:
            if isinstance(layer, LinearLayer):
                layer.initialize(rng)

    def initial_state(self, batch_size: int) -> State:
        """The state before any text: zeros, B lanes."""
        return State(tuple(block.initial_state(batch_size) for block in self._blocks()))

    def hidden(self, tokens: Tensor, state: State, masks: DropoutMasks | None = None) -> tuple[Tensor, State]:
        """tokens (B, T) -> the last layer's outputs (B, T, D) and the state after T.

        Dropout acts where masks are given, that is in training, and nowhere else.
        """
        hidden = self.embedding(tokens)
        after = []
        for block, before in zip(self._blocks(), state.blocks, strict=True):
            hidden, own_after = block(hidden, before)
            if not isinstance(block, Convolution | Attention):
                hidden = _dropout(hidden, self.config.dropout, masks)
            after.append(own_after)
        return hidden, State(tuple(after))

    def logits(self, hidden: Tensor) -> Tensor:
        """hidden (..., D) -> logits (..., V): the expensive half where the vocabulary is large."""
        return F.linear(hidden, self.output_matrix, self.output_bias)

    @property
    def output_matrix(self) -> Tensor:
        """(V, D): the embedding without "text begins" where both are one."""
        return self.embedding.weight[:-1] if self.config.tied_embeddings else self.output_weight

    def _blocks(self) -> list[Block]:
        """In the order of ModelConfig.memories."""
        blocks = [getattr(self, name) for name in ("convolution",) if hasattr(self, name)]
        blocks += list(self.layers)
        return blocks + ([self.attention] if hasattr(self, "attention") else [])


def _dropout(hidden: Tensor, rate: float, masks: DropoutMasks | None) -> Tensor:
    """Locked dropout (Gal and Ghahramani 2016): one mask (B, 1, D) for all steps of a window.

    Units go to zero with probability `rate`, the others grow to make up for them. One mask a window
    costs next to nothing to draw and disturbs the memory less than a new one at every step. It is
    drawn on the processor, so that a run can be resumed on another device.
    """
    if masks is None or rate == 0.0:
        return hidden
    return hidden * masks.draw(rate, hidden.shape[0], hidden.shape[2]).to(hidden)
