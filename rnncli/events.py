"""Typed progress events of workflows, as frozen dataclasses: planned, stepped, evaluated, saved."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from rnncli.metrics import Score


@dataclass(frozen=True)
class Remark:
    """Something the user should know about the text or the training; never an error."""

    message: str


@dataclass(frozen=True)
class CharacterCount:
    """A character, its count, and its Unicode name."""

    character: str
    count: int
    code_point: str
    name: str


@dataclass(frozen=True)
class LevelSize:
    """What a text is at one level: its vocabulary size and characters per token."""

    level: str
    vocab_size: int
    tokens: int
    characters_per_token: float


@dataclass(frozen=True)
class CorpusReport:
    """Statistics of a text, computed before training.

    Character counts are of the whole text; statistics of words and lines are of a sample of
    `sample_characters`. `growth` holds pairs of (words read, different words among them), or of characters
    where spaces do not separate words (`growth_unit`). The fractions are of lines that are not empty, or
    None:
    `duplicate_lines` repeat an earlier line of the sample; `valid_lines_in_train` of the validation split
    occur in the training split (None too where a long text left no time to search). `levels`, `level` and
    `vocab_size` are those of a thorough report.
    """

    name: str
    encoding: str
    disk_bytes: int
    bytes: int
    characters: int
    lines: int
    distinct_characters: int
    han_characters: int
    frequent: tuple[CharacterCount, ...]
    rare: tuple[CharacterCount, ...]
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
    """The plan of a training and its cost on this machine.

    `train_tokens` counts tokens over all epochs. Each validation scores `validation_tokens` of the
    `valid_tokens` of the validation split. Without a budget, steps, tokens, epochs and seconds are None, and
    `patience` ends the training. `reasons` explain the decisions; `unusable` lists the precisions, kernels
    and devices that cannot be used here, with the reason.
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
    unusable: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Stepped:
    """Progress of a training; the loss is the mean over the steps since the previous event.

    Gradient norms are those of the last step before clipping, of all weights and by layer. Without a budget,
    `progress` and `seconds_left` are None.
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
    """A validation: the score of a sample of the validation split, and the training loss before it."""

    step: int
    epoch: float
    seconds: float
    train_nats_per_token: float
    score: Score
    best: bool


@dataclass(frozen=True)
class Sampled:
    """A text that the model generated during training."""

    step: int
    text: str


@dataclass(frozen=True)
class CheckpointDue:
    """The interval between checkpoints has passed: the caller should save one."""

    step: int


@dataclass(frozen=True)
class Saved:
    """A model that can be used and resumed, at `path`; `interrupted` if its budget is not exhausted."""

    path: str
    step: int
    seconds: float
    interrupted: bool


Event = Remark | CorpusReport | Planned | Stepped | Evaluated | Sampled | Saved


def to_json(record: Mapping[str, Any]) -> str:
    """Return one line of strict JSON; numbers that are not finite become null, because JSON has no NaN."""
    return json.dumps(_finite(record), allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    return [_finite(inner) for inner in value] if isinstance(value, list | tuple) else value
