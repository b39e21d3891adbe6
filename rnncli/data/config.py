"""How bytes are read, how a text is divided into parts, how it is cut into symbols."""

import re
import warnings
from dataclasses import dataclass
from typing import Any, Literal, get_args

from rnncli.errors import ConfigError

Level = Literal["char", "byte", "word", "subword"]
SubwordKind = Literal["bpe", "unigram"]
Errors = Literal["strict", "replace"]
Newlines = Literal["keep", "unix"]
Split = Literal["end", "lines"]
Reset = Literal["never", "line", "sentence", "document"]
Unit = Literal["stream", "line"]

DEFAULT_VALID_FRACTION = 0.1
_LONGEST_PATTERN = 1_000


def _check_choice(config: object, field: str, choices: object) -> None:
    value = getattr(config, field)
    if value not in get_args(choices):
        raise ConfigError(
            f"{field.replace('_', '-')} is {value!r}", hint=f"it is one of {', '.join(get_args(choices))}"
        )


@dataclass(frozen=True)
class ReadConfig:
    """How bytes become characters. Without `encoding` UTF-8; a byte order mark has the last word.

    errors "replace" puts U+FFFD for what does not decode, and counts it; newlines "unix" turns \\r\\n
    and lone \\r into \\n.
    """

    encoding: str | None = None
    errors: Errors = "strict"
    newlines: Newlines = "keep"

    def __post_init__(self) -> None:
        _check_choice(self, "errors", Errors)
        _check_choice(self, "newlines", Newlines)


@dataclass(frozen=True)
class TextConfig:
    """How a text becomes parts and tokens.

    vocab_size None lets the text decide; char and byte have no choice and take none. `pattern` says
    what a word is, at word level. valid_fraction None holds out a tenth, but at most five million
    tokens. `split` takes the held-out parts from the end, or draws their lines with `split_seed`.
    With `unit` line each line is a sample of its own, which nothing comes before.
    """

    level: Level = "char"
    vocab_size: int | None = None
    subword_kind: SubwordKind = "bpe"
    pattern: str | None = None
    valid_fraction: float | None = None
    test_fraction: float = 0.0
    split: Split = "end"
    split_seed: int = 1
    unit: Unit = "stream"

    def __post_init__(self) -> None:
        for field, choices in (
            ("level", Level),
            ("subword_kind", SubwordKind),
            ("split", Split),
            ("unit", Unit),
        ):
            _check_choice(self, field, choices)
        if self.vocab_size is not None and not 3 <= self.vocab_size <= 4_000_000:
            raise ConfigError(
                f"vocab-size is {self.vocab_size}", hint="it lies between 3 and 4,000,000 symbols"
            )
        if self.vocab_size is not None and self.level in ("char", "byte"):
            raise ConfigError(
                f"vocab-size has no meaning at {self.level} level",
                hint="leave it out, or add --level word or --level subword",
            )
        if self.pattern is not None:
            _check_pattern(self.pattern, self.level)
        if self.valid_fraction is not None and not 0.0 < self.valid_fraction < 1.0:
            raise ConfigError(
                f"valid-fraction is {self.valid_fraction}", hint="it lies between 0 and 1, both left out"
            )
        if not 0.0 <= self.test_fraction < 1.0 - (self.valid_fraction or DEFAULT_VALID_FRACTION):
            raise ConfigError(
                f"test-fraction is {self.test_fraction}",
                hint="it is at least 0, and leaves something to train on beside the held-out part",
            )
        if not 0 <= self.split_seed < 2**62:  # what a record of it may hold: strict.py
            raise ConfigError(
                f"split-seed is {self.split_seed}", hint="it is a whole number from 0 to 2^62 - 1"
            )


def _check_pattern(pattern: str, level: Any) -> None:
    if level != "word":
        raise ConfigError(
            f"pattern has no meaning at {level} level", hint="leave it out, or add --level word"
        )
    if not 0 < len(pattern) <= _LONGEST_PATTERN:
        raise ConfigError(
            f"pattern has {len(pattern):,} characters", hint=f"it has from 1 to {_LONGEST_PATTERN:,}"
        )
    try:
        with warnings.catch_warnings():  # of what a later Python may read differently
            warnings.simplefilter("ignore")
            re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise ConfigError(
            f"pattern {pattern!r} is no regular expression: {error}",
            hint=r"for example --pattern '\w+|[^\w\s]'",
        ) from error
