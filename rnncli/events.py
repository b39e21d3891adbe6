"""What a command says on its way, as plain frozen values: planned, stepped, evaluated, saved."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rnncli.results import Score


@dataclass(frozen=True)
class Noted:
    """Something about the text or the model that its owner should know; never fatal."""

    message: str


@dataclass(frozen=True)
class SymbolCount:
    """A character, how often it occurs, and what Unicode calls it."""

    symbol: str
    count: int
    code_point: str
    name: str


@dataclass(frozen=True)
class LevelSize:
    """What a text is at one level: so many symbols, and characters to a token."""

    level: str
    vocab_size: int
    tokens: int
    characters_per_token: float


@dataclass(frozen=True)
class CorpusReport:
    """What a text is like, before anything is learned from it.

    Counts of symbols are of the whole text; what needs words or lines was looked at in
    `sample_characters` of it. `growth` has pairs of words read (characters, where
    spaces do not set words apart: `growth_unit`) and different ones among them. The
    shares are of lines that are not empty, None where there is none: `duplicate_lines` repeat an
    earlier one in the sample, `valid_lines_in_train` of the held-out lines occur anywhere in the
    training part (None too where there was no time to seek them in a long text). `levels`, and `level` with
    its size, are those of a thorough look.
    """

    name: str
    encoding: str
    disk_bytes: int
    bytes: int
    characters: int
    lines: int
    distinct_symbols: int
    han_characters: int
    frequent: tuple[SymbolCount, ...]
    rare: tuple[SymbolCount, ...]
    sample_characters: int
    growth_unit: Literal["word", "character"]
    growth: tuple[tuple[int, int], ...]
    duplicate_lines: float | None
    valid_lines_in_train: float | None
    levels: tuple[LevelSize, ...]
    level: str | None
    vocab_size: int | None
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Planned:
    """What is about to be trained and what that will take on this machine.

    `train_tokens` counts every visit of a token, all epochs together; of the `valid_tokens` that are
    held out, each validation scores `validation_tokens`. Without a budget steps, tokens, epochs and
    seconds are None, and `patience` ends it. `reasons` are those of the choices, `dropped` the ways of
    computing that cannot be used here, with why.
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
    kernels: str
    threads: int | None
    device: str
    steps: int | None
    train_tokens: int | None
    epochs: float | None
    seconds: float | None
    patience: int | None
    tokens_per_second: float
    memory_bytes: int
    reasons: tuple[str, ...] = field(default=())
    dropped: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Stepped:
    """Where training stands; loss is the mean over the steps since the last report.

    Gradient norms are those of the last step before clipping, of all weights and by layer. Without a
    budget there is no progress, and nothing is known of the seconds that are left.
    """

    step: int
    epoch: float
    seconds: float
    seconds_left: float | None
    progress: float | None
    nats_per_token: float
    tokens_per_second: float
    learning_rate: float
    gradient_norm: float
    gradient_norms: dict[str, float]
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
class Savepoint:
    """Steps made; so long after the last save the caller may want another."""

    step: int


@dataclass(frozen=True)
class Saved:
    """A run that can be used and resumed, at `path`; `interrupted` where its budget is not used up."""

    path: str
    step: int
    seconds: float
    interrupted: bool


Report = Noted | CorpusReport | Planned | Stepped | Evaluated | Sampled | Saved


def to_json(record: Mapping[str, Any]) -> str:
    """One line of strict JSON: a number that is not finite becomes null, since JSON has no NaN."""
    return json.dumps(_finite(record), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value
