"""Embeddings of words from their letters. Shapes: U words, L bytes, C letter width, E embedding.

tokens (B, T) -> letters of each word once (U, L, C) -> convolutions, their most at any place (U, E)
              -> highway (U, E) -> embeddings (B, T, E)
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnncli.model.config import LETTER_WIDTH, NORM_EPSILON, PADDING_BYTE, ModelConfig, filters_by_width

# At first a highway carries nine tenths of what comes in (Srivastava et al. 2015).
_CARRY = -2.0
# Convolutions prepare themselves anew for every new number of words and letters: there are few of either.
_WORDS_STEP, _LETTERS_STEP = 128, 8


class Spelling(nn.Module):
    """y = norm(tanh(max over places of W x + b)), then g relu(H y + c) + (1 - g) y, g = σ(G y + d).

    (Kim et al. 2016, Character-aware neural language models, sections 2.2 and 2.3; letters are bytes.) So a
    word that the vocabulary lacks has its embedding too. The norm (layer normalization, Ba et al. 2016) is
    not theirs: without it all words look alike at first, and much of a short training goes into telling them
    apart (docs/recipes.md).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        e = config.embedding_size
        self.letters = nn.Parameter(torch.zeros(256, LETTER_WIDTH))
        self.filters = nn.ParameterDict(
            {
                str(width): nn.Parameter(torch.zeros(number, LETTER_WIDTH, width))
                for width, number in filters_by_width(e).items()
            }
        )
        self.bias = nn.Parameter(torch.zeros(e))
        self.gate, self.change = nn.Linear(e, e), nn.Linear(e, e)

    @torch.no_grad()
    def initialize(self, rng: torch.Generator) -> None:
        self.letters.normal_(0.0, 1.0, generator=rng)
        for filters in self.filters.values():
            bound = (filters.shape[1] * filters.shape[2]) ** -0.5
            filters.uniform_(-bound, bound, generator=rng)
        self.gate.bias.fill_(_CARRY)

    def forward(self, tokens: Tensor, spellings: Tensor) -> Tensor:
        """tokens (B, T), rows of the spellings (N, L) -> embeddings (B, T, E) in float32."""
        words, places = torch.unique(tokens, return_inverse=True)
        missing = -len(words) % _WORDS_STEP
        rows = F.pad(spellings[words], (0, 0, 0, missing), value=PADDING_BYTE)
        return F.embedding(places, self.vectors(rows)[: len(words)].float())

    def vectors(self, rows: Tensor) -> Tensor:
        """Spellings (U, L) -> embeddings (U, E)."""
        there = rows != PADDING_BYTE
        lengths = there.sum(1)
        longest = -(-max(int(lengths.max()), 1) // _LETTERS_STEP) * _LETTERS_STEP
        rows, there = rows[:, :longest], there[:, :longest]
        letters = F.embedding(rows.long(), self.letters) * there[..., None]
        found = []
        for filters in self.filters.values():
            places = F.conv1d(letters.transpose(1, 2), filters)  # (U, n, L - width + 1)
            last = (lengths - filters.shape[2]).clamp(min=0)
            beyond = torch.arange(places.shape[2], device=rows.device) > last[:, None]
            found.append(places.masked_fill(beyond[:, None], -torch.inf).amax(2))
        y = torch.tanh(torch.cat(found, 1) + self.bias)
        y = F.layer_norm(y, y.shape[1:], eps=NORM_EPSILON)
        gate = torch.sigmoid(self.gate(y))
        return gate * F.relu(self.change(y)) + (1.0 - gate) * y
