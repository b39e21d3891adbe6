"""Surprisal of the tokens, words and characters of lines.

The probability of a word is that of its tokens and of a word boundary after them: "the" is a word only if it
is not continued, as in "then". If a token includes the space before it, then the probability of the boundary
is moved from the next word to the word that it ends (Pimentel and Meister 2024, "How to Compute the
Probability of a Word"; Oh and Schuler 2024, "Leading Whitespaces of Language Models' Subword Vocabulary Pose
a Confound for Calculating Word Probabilities"):

    tokens           t   h   e   _b   o   y   \\n           "_b" begins with a space
    first word       p(t) p(h) p(e) P(boundary)
    second word      p(_b) / P(boundary)  p(o) p(y)  P(boundary)

With this correction the probabilities of all words sum to one.

Shapes:
  N: tokens of a line
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rnncli.data.tokenizers.base import Ids, Tokenizer, word_boundaries
from rnncli.errors import ConfigError
from rnncli.evaluation.language_models import NeuralLanguageModel

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ScoredUnit:
    """A scored token, word or character.

    Attributes:
        text: Its text.
        nll_nats: Its surprisal: -ln p given everything before it.
        rank: The rank of its first token by probability, from 1, under the network.
        entropy: The entropy of the network's distribution before its first token, in nats.
        oov: Whether any of its tokens is out of vocabulary.
    """

    text: str
    nll_nats: float
    rank: int
    entropy: float
    oov: bool


@dataclass(frozen=True)
class ScoredLine:
    """A scored line; its units are computed when they are read.

    Attributes:
        text: The line, without its line end.
        ids: Its token ids, with the line end (N,).
        token_nll: -ln p of each token (N,).
        entropy: The entropy before each token, in nats (N,).
        rank: The rank of each token by probability, from 1 (N,).
        boundary: -ln P(word boundary) before each token (N,).
        boundary_ids: The token ids that are word boundaries.
        tokenizer: The tokenizer of the ids.
    """

    text: str
    ids: Ids
    token_nll: Floats
    entropy: Floats
    rank: Floats
    boundary: Floats
    boundary_ids: frozenset[int]
    tokenizer: Tokenizer

    @property
    def nll_nats(self) -> float:
        """-ln p of the line and its line end."""
        return float(self.token_nll.sum())

    @cached_property
    def tokens(self) -> tuple[ScoredUnit, ...]:
        """The tokens; the last one is the line end."""
        unk_id, columns = self.tokenizer.unk_id, (self.ids, self.token_nll, self.rank, self.entropy)
        return tuple(
            ScoredUnit(self.tokenizer.id_to_token(token), nll, int(rank), entropy, token == unk_id)
            for token, nll, rank, entropy in zip(*(column.tolist() for column in columns), strict=True)
        )

    @cached_property
    def token_texts(self) -> tuple[str, ...]:
        """The text that each token adds; empty if the token ends within a character."""
        decoder = self.tokenizer.decode_stream()
        return tuple(decoder.push(token) for token in self.ids.tolist())

    @cached_property
    def words(self) -> tuple[ScoredUnit, ...]:
        """The words between whitespace, each with the probability of the boundary after it.

        Raises:
            ConfigError: The model has no word boundaries.
        """
        _check_word_boundaries(self.tokenizer, self.boundary_ids)
        if self.tokenizer.level == "word":
            return tuple(token for token in self.tokens[:-1] if token.text.strip())
        words: list[ScoredUnit] = []
        word: list[int] = []  # positions of tokens
        for position, (token, text) in enumerate(zip(self.ids.tolist(), self.token_texts, strict=True)):
            is_boundary = token in self.boundary_ids
            if is_boundary and word:
                words.append(self._word(word, end=position))
                word = []
            if text.strip() or not is_boundary:
                word.append(position)
        return tuple(words)

    @cached_property
    def characters(self) -> tuple[ScoredUnit, ...]:
        """The characters; the surprisals of the bytes of one character are added.

        Raises:
            ConfigError: Tokens may be longer than a character.
        """
        require_character_tokens(self.tokenizer)
        characters: list[ScoredUnit] = []
        parts: list[ScoredUnit] = []
        for token, text in zip(self.tokens, self.token_texts, strict=True):
            parts.append(token)
            if text:
                nll = sum(part.nll_nats for part in parts)
                oov = any(part.oov for part in parts)
                characters.append(ScoredUnit(text, nll, parts[0].rank, parts[0].entropy, oov))
                parts = []
        return tuple(characters)

    def _word(self, positions: list[int], end: int) -> ScoredUnit:
        """The word of the tokens at these positions; the boundary after it is at `end`."""
        tokens = [self.tokens[position] for position in positions]
        nll = sum(token.nll_nats for token in tokens) + float(self.boundary[end])
        if int(self.ids[positions[0]]) in self.boundary_ids:
            nll -= float(self.boundary[positions[0]])
        text = "".join(self.token_texts[position] for position in positions).strip()
        oov = any(token.oov for token in tokens)
        return ScoredUnit(text, nll, tokens[0].rank, tokens[0].entropy, oov)


class LineScorer:
    """Scores lines of text with a model and its tokenizer."""

    def __init__(self, model: NeuralLanguageModel, tokenizer: Tokenizer, words: bool = False) -> None:
        """Create a scorer.

        Args:
            model: The model.
            tokenizer: The tokenizer of the model.
            words: Whether words of the scored lines will be read.

        Raises:
            ConfigError: `words` is true, and the model has no word boundaries.
        """
        self._model = model
        self._tokenizer = tokenizer
        self._boundary_ids = word_boundaries(tokenizer)
        if words:
            _check_word_boundaries(tokenizer, self._boundary_ids)

    def score(self, lines: Sequence[str]) -> list[ScoredLine]:
        """Score lines (without line ends), each with its line end, from the initial state.

        Raises:
            ModelError: The network's numbers overflow.
        """
        encoded = [self._tokenizer.encode(line + "\n") for line in lines]
        lengths = np.array([len(ids) for ids in encoded])
        starts = np.cumsum(lengths) - lengths
        scores = self._model.line_scores(np.concatenate(encoded), starts, self._boundary_ids)
        boundary_ids = frozenset(self._boundary_ids)
        return [
            ScoredLine(
                text=line,
                ids=ids,
                token_nll=scores.nll[start : start + len(ids)],
                entropy=scores.entropy[start : start + len(ids)],
                rank=scores.rank[start : start + len(ids)],
                boundary=scores.boundary[start : start + len(ids)],
                boundary_ids=boundary_ids,
                tokenizer=self._tokenizer,
            )
            for line, ids, start in zip(lines, encoded, starts.tolist(), strict=True)
        ]


def require_character_tokens(tokenizer: Tokenizer) -> None:
    """Check that no token is longer than a character.

    Raises:
        ConfigError: A token may be.
    """
    if tokenizer.level not in ("char", "byte"):
        raise ConfigError(
            f"the tokens of level {tokenizer.level} are longer than a character",
            hint="use --unit character with models of level char or byte",
        )


def _check_word_boundaries(tokenizer: Tokenizer, boundary_ids: Collection[int]) -> None:
    """Raise ConfigError if the model cannot score words."""
    if not boundary_ids and tokenizer.level != "word":
        raise ConfigError(
            "the model's vocabulary has no whitespace, so it has no words", hint="use --unit token"
        )
