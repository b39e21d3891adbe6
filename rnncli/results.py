"""What was found of a text or a model, as plain frozen values: scores, texts written, copies, gradients."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True)
class Score:
    """Sums over a scored text, divided once, here.

    `nats` is the total of -ln p over `tokens`; words are runs between white space, line ends not
    counted; characters are code points; bytes are those of UTF-8; oov_tokens are scored as <unk>, and
    `oov_nats` of the total are theirs.
    """

    nats: float
    tokens: int
    words: int
    characters: int
    bytes: int
    oov_tokens: int = 0
    oov_nats: float = 0.0
    line_ends: int = 0

    @property
    def nats_per_token(self) -> float:
        return _ratio(self.nats, self.tokens)

    @property
    def token_perplexity(self) -> float:
        return _exp(self.nats_per_token)

    @property
    def word_perplexity(self) -> float:
        return _exp(_ratio(self.nats, self.words))

    @property
    def word_perplexity_with_line_ends(self) -> float:
        """A line's end counts as a word, as in the tables of Penn Treebank."""
        return _exp(_ratio(self.nats, self.words + self.line_ends))

    @property
    def oov_rate(self) -> float:
        return _ratio(self.oov_tokens, self.tokens)

    @property
    def known_token_perplexity(self) -> float:
        """Without unknown tokens and what they cost; they still stand in the history of others."""
        return _exp(_ratio(self.nats - self.oov_nats, self.tokens - self.oov_tokens))

    def open_token_perplexity(self, unseen_types: int) -> float:
        """With p(<unk>) shared out evenly among so many types that the model has never seen."""
        return _exp(_ratio(self.nats + self.oov_tokens * math.log(unseen_types), self.tokens))

    @property
    def bits_per_character(self) -> float:
        return _ratio(self.nats, self.characters) / math.log(2)

    @property
    def bits_per_byte(self) -> float:
        return _ratio(self.nats, self.bytes) / math.log(2)

    def record(self) -> dict[str, float]:
        """The sums and what follows from them, by the names that JSON output uses."""
        return {
            **asdict(self),
            "nats_per_token": self.nats_per_token,
            "token_perplexity": self.token_perplexity,
            "word_perplexity": self.word_perplexity,
            "word_perplexity_with_line_ends": self.word_perplexity_with_line_ends,
            "oov_rate": self.oov_rate,
            "known_token_perplexity": self.known_token_perplexity,
            "bits_per_character": self.bits_per_character,
            "bits_per_byte": self.bits_per_byte,
        }


@dataclass(frozen=True)
class Measured:
    """What one model says of a text; `low` and `high` bound its nats per token in 95 of 100 texts like it.

    None where the text is too short to tell.
    """

    name: str
    score: Score
    low: float | None
    high: float | None

    def record(self) -> dict[str, Any]:
        """The interval beside the figure that it is about."""
        return {**self.score.record(), "nats_per_token_low": self.low, "nats_per_token_high": self.high}


@dataclass(frozen=True)
class Difference:
    """By how many nats `better` beats `worse` on the same text, a token or a character, and its bounds."""

    better: str
    worse: str
    unit: Literal["token", "character"]
    nats: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Split:
    """A text scored as so many streams: how far its nats per token may be from those of one long pass."""

    streams: int
    overlap_tokens: int
    nats_per_token_gap: float


@dataclass(frozen=True)
class Share:
    """Some of a text's tokens, what they have in common, and their share of all nats."""

    label: str
    tokens: int
    nats_per_token: float
    share_of_nats: float


@dataclass(frozen=True)
class Adaptive:
    """The score of a model that learns from a text while it scores it, and how: another kind of figure."""

    score: Score
    how: str


@dataclass(frozen=True)
class Evaluation:
    """One text under one or several models; the last speaks for all. Differences are those of interest.

    `split` says that the figures are not exact; `unseen_types` share p(<unk>) in one of the perplexities;
    `shares` are groups of tokens `by` something.
    """

    columns: tuple[Measured, ...]
    differences: tuple[Difference, ...] = ()
    split: Split | None = None
    unseen_types: int | None = None
    by: str | None = None
    shares: tuple[Share, ...] = ()
    adaptive: Adaptive | None = None

    @property
    def score(self) -> Score:
        return self.columns[-1].score

    def record(self) -> dict[str, Any]:
        """Of the last model; of each by itself, and their differences, where there are several."""
        record = self._figures(self.columns[-1])
        if len(self.columns) > 1:
            record["models"] = [{"name": column.name, **self._figures(column)} for column in self.columns]
            record["differences"] = [asdict(difference) for difference in self.differences]
        if self.split is not None:
            record["split"] = asdict(self.split)
        if self.by is not None:
            record[f"by_{self.by}"] = [asdict(share) for share in self.shares]
        if self.adaptive is not None:  # under a key of its own, never among static figures
            record["adaptive"] = {"how": self.adaptive.how, **self.adaptive.score.record()}
        return record

    def _figures(self, column: Measured) -> dict[str, Any]:
        figures = column.record()
        if self.unseen_types is not None:
            figures["unseen_types"] = self.unseen_types
            figures["open_token_perplexity"] = column.score.open_token_perplexity(self.unseen_types)
        return figures


@dataclass(frozen=True)
class Written:
    """A text that was drawn or found, and what ended it: length, lines, stop, match, token or word.

    `tokens` and `nats` are of all that was drawn, the tokens of a stop that is not in the text among them.
    """

    number: int
    text: str
    tokens: int
    nats: float
    finish_reason: str


@dataclass(frozen=True)
class Copied:
    """A run of characters that stands in the training text too: where in the sample, and where there."""

    text: str
    length: int
    sample_start: int
    source_start: int
    source_line: int


@dataclass(frozen=True)
class Copies:
    """How much of a sample is in runs of `least` characters and more that the training text has.

    `usual_share` is that of the held-out part, None where there is none.
    """

    name: str
    characters: int
    least: int
    share: float
    usual_share: float | None
    longest: tuple[Copied, ...]

    def record(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class GradientReach:
    """Norms of a loss's gradient by block ("layers.0") and by distance in steps, from 1.

    Means over `stretches`.
    """

    stretches: int
    norms: Mapping[str, tuple[float, ...]]


def _ratio(numerator: float, denominator: int) -> float:
    return numerator / denominator if denominator else math.nan


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < 700.0 or math.isnan(nats) else math.inf
