"""Configurations of data: how bytes are read, how a text is tokenized, and how it is split."""

import re
import warnings
from dataclasses import dataclass
from typing import Literal

from rnncli.errors import ConfigError, OptionError
from rnncli.options import OptionGroup, check, option

Level = Literal["char", "byte", "word", "subword"]
SubwordKind = Literal["bpe", "unigram"]
Errors = Literal["strict", "replace"]
Newlines = Literal["keep", "unix"]
SplitMethod = Literal["end", "lines"]
Reset = Literal["never", "line", "sentence", "document"]

DEFAULT_VALID_FRACTION = 0.1
_LONGEST_PATTERN = 1_000
_TEXT = "Text"


@dataclass(frozen=True, kw_only=True)
class ReadOptions(OptionGroup):
    """How bytes become characters. A byte order mark takes precedence over `encoding`."""

    encoding: str | None = option(
        None,
        help="Encoding of the text.",
        metavar="NAME",
        shown="utf-8",
        panel=_TEXT,
    )
    errors: Errors = option(
        "strict",
        help="What to do with bytes that do not decode: stop, or replace them by U+FFFD and count them.",
        panel=_TEXT,
        advanced=True,
    )
    newlines: Newlines = option(
        "keep",
        help="Keep line ends as they are, or convert all of them to \\n.",
        panel=_TEXT,
        advanced=True,
    )


@dataclass(frozen=True, kw_only=True)
class TextOptions(OptionGroup):
    """How a text is tokenized and split; None leaves a choice to the text, or to the planner.

    With `line_by_line` each line is a sample of its own, which nothing comes before.
    """

    level: Level | None = option(None, help="Tokenization level.", shown="by the text", panel=_TEXT)
    vocab_size: int | None = option(
        None,
        help="Maximum vocabulary size at word and subword level.",
        min=3,
        max=4_000_000,
        metavar="N",
        shown="by the text",
        panel=_TEXT,
    )
    line_by_line: bool | None = option(
        None,
        help="Train on each line as a sample of its own.",
        flags=("--line-by-line",),
        panel=_TEXT,
    )
    subword_kind: SubwordKind | None = option(
        None, help="Algorithm that learns subwords.", shown="bpe", panel=_TEXT, advanced=True
    )
    pattern: str | None = option(
        None,
        help="Regular expression for a word, at word level; the text between two matches is a word too.",
        metavar="REGEX",
        shown="split at whitespace",
        panel=_TEXT,
        advanced=True,
    )
    tokenizer: str | None = option(
        None,
        help="Use the tokenizer of a token dataset or a model instead of training one.",
        metavar="DIR|NAME",
        panel=_TEXT,
        advanced=True,
    )
    workers: int | None = option(
        None,
        help="Number of processes that tokenize words and subwords; the result is the same.",
        min=1,
        metavar="N",
        shown="one per processor",
        panel=_TEXT,
        advanced=True,
    )
    valid: tuple[str, ...] = option(
        (), help="Text to use as the validation split.", metavar="TEXT", panel=_TEXT
    )
    valid_fraction: float | None = option(
        None,
        help="Fraction of the text in the validation split.",
        above=0.0,
        below=1.0,
        metavar="F",
        shown="0.1, at most 5 million tokens",
        panel=_TEXT,
        advanced=True,
    )
    test_fraction: float = option(
        0.0,
        help="Fraction of the text in the test split.",
        min=0.0,
        below=1.0,
        metavar="F",
        panel=_TEXT,
    )
    split_method: SplitMethod = option(
        "end",
        help="Take the validation and test splits from the end of the text, or draw their lines at random.",
        panel=_TEXT,
        advanced=True,
    )
    split_seed: int | None = option(
        None,
        help="Random seed of --split-method lines.",
        min=0,
        max=2**62 - 1,
        metavar="N",
        shown="1",
        panel=_TEXT,
        advanced=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.valid and self.valid_fraction is not None:
            raise ConfigError("both --valid and --valid-fraction are given", hint="give one of them")
        for name in ("level", "vocab_size", "subword_kind", "pattern"):
            if self.tokenizer is not None and getattr(self, name) is not None:
                raise ConfigError(
                    f"both --tokenizer and --{name.replace('_', '-')} are given",
                    hint="an existing tokenizer has its level and vocabulary; leave the other out",
                )
        for value, name, needed, met in (
            (
                self.vocab_size,
                "vocab size",
                "--level word or --level subword",
                self.level in ("word", "subword"),
            ),
            (self.subword_kind, "subword kind", "--level subword", self.level == "subword"),
            (self.pattern, "pattern", "--level word", self.level == "word"),
            (self.split_seed, "split seed", "--split-method lines", self.split_method == "lines"),
        ):
            if value is not None and not met:
                raise ConfigError(
                    f"{name} has no meaning without {needed}", hint=f"leave it out, or add {needed}"
                )
        self.config(self.level or "char")

    def config(self, level: Level) -> "TextConfig":
        """Return the configuration, with `level` where none was chosen."""
        return TextConfig(
            level=self.level or level,
            vocab_size=self.vocab_size,
            subword_kind=self.subword_kind or TextConfig.subword_kind,
            pattern=self.pattern,
            valid_fraction=self.valid_fraction,
            test_fraction=self.test_fraction,
            split_method=self.split_method,
            split_seed=TextConfig.split_seed if self.split_seed is None else self.split_seed,
            line_by_line=bool(self.line_by_line),
        )


@dataclass(frozen=True)
class TextConfig:
    """How a text was tokenized and split, with nothing left open.

    Without `vocab_size` the text decides; the levels char and byte take none. Without `valid_fraction` the
    validation split is a tenth of the text, but at most five million tokens.
    """

    level: Level = "char"
    vocab_size: int | None = None
    subword_kind: SubwordKind = "bpe"
    pattern: str | None = None
    valid_fraction: float | None = None
    test_fraction: float = 0.0
    split_method: SplitMethod = "end"
    split_seed: int = 1
    line_by_line: bool = False

    def __post_init__(self) -> None:
        check(self, TextOptions)
        if self.vocab_size is not None and self.level in ("char", "byte"):
            raise ConfigError(
                f"vocab size has no meaning at {self.level} level",
                hint="leave it out, or add --level word or --level subword",
            )
        if self.pattern is not None:
            _check_pattern(self.pattern, self.level)
        if self.test_fraction + (self.valid_fraction or DEFAULT_VALID_FRACTION) >= 1.0:
            raise OptionError(
                f"test fraction is {self.test_fraction}; it must leave text for the training split",
                hint="use a smaller --test-fraction or --valid-fraction",
            )


def _check_pattern(pattern: str, level: Level) -> None:
    if level != "word":
        raise ConfigError(
            f"pattern has no meaning at {level} level", hint="leave it out, or add --level word"
        )
    if not 0 < len(pattern) <= _LONGEST_PATTERN:
        raise OptionError(
            f"pattern has {len(pattern):,} characters; it must have from 1 to {_LONGEST_PATTERN:,}",
            hint=r"for example --pattern '\w+|[^\w\s]'",
        )
    try:
        with warnings.catch_warnings():  # about what a later Python may read differently
            warnings.simplefilter("ignore")
            re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as error:
        raise OptionError(
            f"pattern {pattern!r} is not a regular expression: {error}",
            hint=r"for example --pattern '\w+|[^\w\s]'",
        ) from error


@dataclass(frozen=True, kw_only=True)
class TokenizeOptions(OptionGroup):
    """All options of tokenizing a text."""

    read: ReadOptions = ReadOptions()
    text: TextOptions = TextOptions()
