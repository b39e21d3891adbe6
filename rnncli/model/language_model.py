"""Embedding, recurrent stack, logits. Shapes: B lanes, T time, E embedding, D width, V vocabulary.

tokens (B, T) -> embedding (B, T, E) -> layer -> ... -> layer (B, T, D) -> logits (B, T, V)
                                              ^ dropout               ^ dropout
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnncli.model.config import ModelConfig
from rnncli.model.recurrent import LAYERS, Layer, State


class LanguageModel(nn.Module):
    """P(next token | all before). The memory is an argument and a result, never an attribute."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size + 1, config.embedding_size)
        self.layers = nn.ModuleList(LAYERS[config.cell](config, width) for width, _ in config.layer_widths)
        self.output_bias = nn.Parameter(torch.zeros(config.vocab_size))
        if not config.tied_embeddings:
            self.output_weight = nn.Parameter(torch.zeros(config.vocab_size, config.hidden_size))

    @classmethod
    def initialized(cls, config: ModelConfig, rng: torch.Generator) -> "LanguageModel":
        """Fresh weights from `rng` and nothing else."""
        model = cls(config)
        bound = config.hidden_size**-0.5  # as torch's own recurrent layers choose
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if name == "embedding.weight":
                    parameter.normal_(0.0, bound if config.tied_embeddings else 1.0, generator=rng)
                elif name == "output_bias":
                    parameter.zero_()
                else:
                    parameter.uniform_(-bound, bound, generator=rng)
        return model

    @property
    def device(self) -> torch.device:
        return self.embedding.weight.device

    def initial_state(self, batch_size: int) -> State:
        """The state before any text: zeros, B lanes."""
        return State(tuple(_as_layer(layer).initial_state(batch_size) for layer in self.layers))

    def forward(
        self, tokens: Tensor, state: State, dropout_rng: torch.Generator | None = None
    ) -> tuple[Tensor, State]:
        """tokens (B, T) -> logits (B, T, V) and the state after T.

        Token ids run from 0 to V; V is `config.start`, "text begins". Dropout acts where a generator
        for its masks is given, that is in training, and nowhere else.
        """
        hidden, after = self.hidden(tokens, state, dropout_rng)
        return self.logits(hidden), after

    def hidden(
        self, tokens: Tensor, state: State, dropout_rng: torch.Generator | None = None
    ) -> tuple[Tensor, State]:
        """tokens (B, T) -> the last layer's outputs (B, T, D) and the state after T."""
        hidden = self.embedding(tokens)
        after = []
        for layer, layer_state in zip(self.layers, state.layers, strict=True):
            hidden, layer_after = _as_layer(layer)(hidden, layer_state)
            hidden = _dropout(hidden, self.config.dropout, dropout_rng)
            after.append(layer_after)
        return hidden, State(tuple(after))

    def logits(self, hidden: Tensor) -> Tensor:
        """hidden (..., D) -> logits (..., V): the expensive half where the vocabulary is large."""
        return F.linear(hidden, self.output_matrix, self.output_bias)

    @property
    def output_matrix(self) -> Tensor:
        """(V, D): the embedding without "text begins" where both are one."""
        return self.embedding.weight[:-1] if self.config.tied_embeddings else self.output_weight


def _as_layer(module: nn.Module) -> Layer:
    return module  # type: ignore[return-value]  # every member of LAYERS is a Layer


def _dropout(hidden: Tensor, rate: float, rng: torch.Generator | None) -> Tensor:
    """Locked dropout (Gal and Ghahramani 2016): one mask (B, 1, D) for all steps of a window.

    Units go to zero with probability `rate`, the others grow to make up for them. One mask a window
    costs next to nothing to draw and disturbs the memory less than a new one at every step. It is
    drawn on the processor, so that a run can be resumed on another device.
    """
    if rng is None or rate == 0.0:
        return hidden
    mask = torch.empty(hidden.shape[0], 1, hidden.shape[2]).bernoulli_(1.0 - rate, generator=rng)
    return hidden * mask.div_(1.0 - rate).to(hidden)
