"""Plain frozen values that cross rooms: what was scored, planned, stepped, evaluated, saved."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Score:
    """Sums over a scored text; they add, and are divided once, here.

    `nats` is the total of -ln p over `tokens`; words are runs between white space, line ends not
    counted; characters are code points; bytes are those of UTF-8; oov_tokens are scored as <unk>.
    """

    nats: float
    tokens: int
    words: int
    characters: int
    bytes: int
    oov_tokens: int = 0

    def __add__(self, other: "Score") -> "Score":
        return Score(
            self.nats + other.nats,
            self.tokens + other.tokens,
            self.words + other.words,
            self.characters + other.characters,
            self.bytes + other.bytes,
            self.oov_tokens + other.oov_tokens,
        )

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
            "bits_per_character": self.bits_per_character,
            "bits_per_byte": self.bits_per_byte,
        }


@dataclass(frozen=True)
class Noted:
    """Something about the text or the model that its owner should know; never fatal."""

    message: str


@dataclass(frozen=True)
class Planned:
    """What is about to be trained and what that will take on this machine.

    `train_tokens` counts every visit of a token, all epochs together; of the `valid_tokens` that are
    held out, each validation scores `validation_tokens`.
    """

    corpus: str
    encoding: str
    level: str
    vocab_size: int
    corpus_tokens: int
    valid_tokens: int
    validation_tokens: int
    architecture: str
    parameters: int
    batch_size: int
    bptt: int
    precision: str
    device: str
    steps: int
    train_tokens: int
    epochs: float
    seconds: float
    tokens_per_second: float
    memory_bytes: int
    reasons: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Stepped:
    """Where training stands; loss is the mean over the steps since the last report."""

    step: int
    epoch: float
    seconds: float
    progress: float
    nats_per_token: float
    tokens_per_second: float
    learning_rate: float
    gradient_norm: float
    skipped_steps: int


@dataclass(frozen=True)
class Evaluated:
    """A validation: a look at held-out tokens from all over, beside the training loss since the last one."""

    step: int
    epoch: float
    seconds: float
    train_nats_per_token: float
    score: Score
    best: bool


@dataclass(frozen=True)
class Sampled:
    """What the model writes by now."""

    step: int
    text: str


@dataclass(frozen=True)
class Saved:
    """A run that can be used and resumed, at `path`; `interrupted` where its budget is not used up."""

    path: str
    step: int
    seconds: float
    interrupted: bool


Report = Noted | Planned | Stepped | Evaluated | Sampled | Saved


def to_json(record: Mapping[str, Any]) -> str:
    """One line of strict JSON: a number that is not finite becomes null, since JSON has no NaN."""
    return json.dumps(_finite(record), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value


def _ratio(numerator: float, denominator: int) -> float:
    return numerator / denominator if denominator else math.nan


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < 700.0 or math.isnan(nats) else math.inf
