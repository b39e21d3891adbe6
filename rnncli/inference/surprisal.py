"""Lines, their tokens and words, and how surprising each is. Shapes: N tokens of a line.

The probability of a word is that of its tokens and of a boundary after them: "the" is a word only where
nothing goes on with "then". So the mass of the boundary moves from what follows the word to the word itself
(Pimentel and Meister 2024, How to compute the probability of a word; Oh and Schuler 2024):

    tokens      t   h   e   _ b   o   y  \\n         "_ b": a piece that begins with its blank
    the word    p(t) p(h) p(e)  P(boundary)
    the next                    p(_ b) / P(boundary)  p(o) p(y)  P(boundary)

Summed over all words these probabilities are one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnncli.errors import ConfigError
from rnncli.inference.likelihood import line_measures, surprisal_measures
from rnncli.model.language_model import LanguageModel
from rnncli.model.mixture import Mixture
from rnncli.model.ngram import Ngram
from rnncli.text.tokenizers import Tokenizer

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
    """A line without its end, and its tokens with it, with the text that each adds to those before.

    `boundary` (N,) is -ln P(a boundary) before each token, `breaks` (N,) whether it is one.
    """

    text: str
    tokens: tuple[Unit, ...]
    pieces: tuple[str, ...]
    boundary: Reals
    breaks: npt.NDArray[np.bool_]

    @property
    def nats(self) -> float:
        return sum(token.nats for token in self.tokens)


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
        self._boundaries = _boundaries(tokenizer)
        if words and not self._boundaries:
            raise ConfigError(
                "the model has never seen white space, and knows no words", hint="use --unit token"
            )
        if words and beside is not None and tokenizer.level == "subword":
            raise ConfigError(
                "words of a subword model are not told with an n-gram beside it",
                hint="use --unit token, or remove the model's ngram.safetensors",
            )

    def score(self, lines: Sequence[str]) -> list[ScoredLine]:
        """Lines without their ends, each read with its end from an empty memory."""
        encoded = [self._tokenizer.encode(line + "\n") for line in lines]
        lengths = np.array([len(ids) for ids in encoded])
        starts = np.cumsum(lengths) - lengths
        ids = np.concatenate(encoded)
        measure = surprisal_measures(self._boundaries)
        columns = np.concatenate(list(line_measures(self._model, ids, starts, measure))).astype(np.float64)
        nats, entropy, rank, boundary = columns.T
        if self._beside is not None:
            ngram, mixture = self._beside
            text = np.insert(ids.astype(np.int64), starts, ngram.start)
            inside = text != ngram.start
            others, known = (column[inside] for column in ngram.nats(text))
            nats = mixture.nats(nats, others, known, entropy)
            if self._tokenizer.level in ("char", "byte"):
                weight = mixture.weight(known, entropy)
                mass = ngram.mass(text, self._boundaries)[inside]
                boundary = -np.log(weight * np.exp(-boundary) + (1.0 - weight) * mass)
        scored = []
        for line, own, start in zip(lines, encoded, starts.tolist(), strict=True):
            decoder = self._tokenizer.decoder()
            tokens = tuple(
                Unit(
                    self._tokenizer.symbol(token),
                    float(nats[start + at]),
                    int(rank[start + at]),
                    float(entropy[start + at]),
                    token == self._tokenizer.unknown_id,
                )
                for at, token in enumerate(own.tolist())
            )
            pieces = tuple(decoder.push(token) for token in own.tolist())
            scored.append(
                ScoredLine(
                    line, tokens, pieces, boundary[start : start + len(own)], np.isin(own, self._boundaries)
                )
            )
        return scored


def words(line: ScoredLine, tokenizer: Tokenizer) -> list[Unit]:
    """The words of a line, what stands between white space, with the mass of the boundary after each."""
    if tokenizer.level == "word":
        return [token for token in line.tokens[:-1] if token.text.strip()]
    found: list[Unit] = []
    parts: list[int] = []
    for at, piece in enumerate(line.pieces):
        if line.breaks[at] and parts:
            tokens = [line.tokens[part] for part in parts]
            nats = sum(token.nats for token in tokens) + float(line.boundary[at])
            if line.breaks[parts[0]]:
                nats -= float(line.boundary[parts[0]])
            text = "".join(line.pieces[part] for part in parts).strip()
            found.append(Unit(text, nats, tokens[0].rank, tokens[0].entropy, any(t.oov for t in tokens)))
            parts.clear()
        if piece.strip() or not line.breaks[at]:
            parts.append(at)
    return found


def characters(line: ScoredLine) -> list[Unit]:
    """The characters of a line whose tokens are no longer than one: bytes are added up."""
    found: list[Unit] = []
    held: list[Unit] = []
    for token, piece in zip(line.tokens, line.pieces, strict=True):
        held.append(token)
        if len(piece) > 1:
            raise ConfigError(
                f"the token {piece!r} is longer than a character",
                hint="--unit character is for the levels char and byte",
            )
        if piece:
            nats = sum(part.nats for part in held)
            found.append(Unit(piece, nats, held[0].rank, held[0].entropy, any(part.oov for part in held)))
            held.clear()
    return found


def _boundaries(tokenizer: Tokenizer) -> list[int]:
    """The tokens before which a word is over: those that begin with white space."""
    if tokenizer.level == "word":
        return list(range(tokenizer.vocab_size))
    return [token for token in range(tokenizer.vocab_size) if _alone(tokenizer, token)[:1].isspace()]


def _alone(tokenizer: Tokenizer, token: int) -> str:
    decoder = tokenizer.decoder()
    return decoder.push(token) + decoder.finish()
