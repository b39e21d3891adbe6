"""Lines, their tokens and words, and how surprising each is. Shapes: N tokens of a line.

The probability of a word is that of its tokens and of a boundary after them: "the" is a word only where
nothing goes on with "then". So the mass of the boundary moves from what follows the word to the word itself
(Pimentel and Meister 2024, How to compute the probability of a word; Oh and Schuler 2024):

    tokens      t   h   e   _ b   o   y  \\n         "_ b": a piece that begins with its blank
    the word    p(t) p(h) p(e)  P(boundary)
    the next                    p(_ b) / P(boundary)  p(o) p(y)  P(boundary)

Summed over all words these probabilities are one.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from rnncli.data.tokenizers.base import Ids, Tokenizer, word_boundaries
from rnncli.errors import ConfigError, ModelError
from rnncli.evaluation.metrics import surprisal_measures
from rnncli.evaluation.scoring import line_measures
from rnncli.ngram.interpolation import Mixture
from rnncli.ngram.kneser_ney import Ngram
from rnncli.nn.language_model import LanguageModel

Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Unit:
    """A token, word, character or line: its text, -ln p, and what the network thought before it.

    `rank` and `entropy` are those of the token that it begins with; `oov` says that any of it is <unk>.
    """

    text: str
    nats: float
    rank: int
    entropy: float
    oov: bool


@dataclass(frozen=True)
class ScoredLine:
    """A line without its end, and what is known of its ids (N,), its end among them.

    `boundary` (N,) is -ln P(a boundary) before each of them, `breaks` the ids that are one. Units are made
    when they are asked for: of a million lines of which only the sum is wanted, none.
    """

    text: str
    ids: Ids
    token_nats: Reals
    entropy: Reals
    rank: Reals
    boundary: Reals
    breaks: frozenset[int]
    tokenizer: Tokenizer

    @property
    def nats(self) -> float:
        return float(self.token_nats.sum())

    @cached_property
    def tokens(self) -> tuple[Unit, ...]:
        unknown, columns = self.tokenizer.unknown_id, (self.ids, self.token_nats, self.rank, self.entropy)
        return tuple(
            Unit(self.tokenizer.symbol(token), nats, int(rank), entropy, token == unknown)
            for token, nats, rank, entropy in zip(*(column.tolist() for column in columns), strict=True)
        )

    @cached_property
    def pieces(self) -> tuple[str, ...]:
        """What each token adds to the text: nothing where a character is not whole yet."""
        decoder = self.tokenizer.decoder()
        return tuple(decoder.push(token) for token in self.ids.tolist())

    @cached_property
    def words(self) -> tuple[Unit, ...]:
        """What stands between white space, with the mass of the boundary after each."""
        _check_words(self.tokenizer, self.breaks)
        if self.tokenizer.level == "word":
            return tuple(token for token in self.tokens[:-1] if token.text.strip())
        found: list[Unit] = []
        parts: list[int] = []
        for at, (token, piece) in enumerate(zip(self.ids.tolist(), self.pieces, strict=True)):
            ends = token in self.breaks
            if ends and parts:
                tokens = [self.tokens[part] for part in parts]
                nats = sum(part.nats for part in tokens) + float(self.boundary[at])
                if int(self.ids[parts[0]]) in self.breaks:
                    nats -= float(self.boundary[parts[0]])
                text = "".join(self.pieces[part] for part in parts).strip()
                found.append(Unit(text, nats, tokens[0].rank, tokens[0].entropy, any(t.oov for t in tokens)))
                parts.clear()
            if piece.strip() or not ends:
                parts.append(at)
        return tuple(found)

    @cached_property
    def characters(self) -> tuple[Unit, ...]:
        """Of the levels char and byte, bytes added up; raises ConfigError of others."""
        refuse_no_characters(self.tokenizer)
        found: list[Unit] = []
        held: list[Unit] = []
        for token, piece in zip(self.tokens, self.pieces, strict=True):
            held.append(token)
            if piece:
                nats = sum(part.nats for part in held)
                found.append(Unit(piece, nats, held[0].rank, held[0].entropy, any(part.oov for part in held)))
                held.clear()
        return tuple(found)


class LineScorer:
    """A model with its tokenizer, and the n-gram beside it, if any: lines in, scored lines out."""

    def __init__(
        self,
        model: LanguageModel,
        tokenizer: Tokenizer,
        beside: tuple[Ngram, Mixture] | None,
        words: bool = False,
    ) -> None:
        """`words` says that words will be asked for; raises ConfigError where they cannot be told."""
        self._model = model
        self._tokenizer = tokenizer
        self._beside = beside
        self._boundaries = word_boundaries(tokenizer)
        if words:
            _check_words(tokenizer, self._boundaries)

    def score(self, lines: Sequence[str]) -> list[ScoredLine]:
        """Lines without their ends, each read with its end from an empty memory."""
        encoded = [self._tokenizer.encode(line + "\n") for line in lines]
        lengths = np.array([len(ids) for ids in encoded])
        starts = np.cumsum(lengths) - lengths
        ids = np.concatenate(encoded)
        measure = surprisal_measures(self._boundaries)
        blocks = line_measures(self._model, ids, starts, measure)
        nats, entropy, rank, boundary = np.concatenate(list(blocks)).astype(np.float64).T
        if np.isnan(nats).any():
            raise ModelError("the model's numbers overflow", hint="it cannot be used; train another")
        if self._beside is not None:
            ngram, mixture = self._beside
            text = np.insert(ids.astype(np.int64), starts, ngram.start)
            inside = text != ngram.start
            others, known = (column[inside] for column in ngram.nats(text))
            nats = mixture.nats(nats, others, known, entropy)
            if self._boundaries:
                weight = mixture.weight(known, entropy)
                mass = ngram.mass(text, self._boundaries)[inside]
                boundary = -np.log(weight * np.exp(-boundary) + (1.0 - weight) * mass)
        breaks = frozenset(self._boundaries)
        return [
            ScoredLine(
                line,
                own,
                nats[start : start + len(own)],
                entropy[start : start + len(own)],
                rank[start : start + len(own)],
                boundary[start : start + len(own)],
                breaks,
                self._tokenizer,
            )
            for line, own, start in zip(lines, encoded, starts.tolist(), strict=True)
        ]


def refuse_no_characters(tokenizer: Tokenizer) -> None:
    """Raises ConfigError where tokens may be longer than a character."""
    if tokenizer.level not in ("char", "byte"):
        raise ConfigError(
            f"the tokens of level {tokenizer.level} are longer than a character",
            hint="--unit character is for the levels char and byte",
        )


def _check_words(tokenizer: Tokenizer, boundaries: Collection[int]) -> None:
    """Raises ConfigError where a model cannot tell them."""
    if not boundaries and tokenizer.level != "word":
        raise ConfigError("the model has never seen white space, and knows no words", hint="use --unit token")
