"""How a text is cut into symbols and into parts."""

from dataclasses import dataclass
from typing import Literal, get_args

from rnncli.errors import ConfigError

Level = Literal["char", "byte", "word", "subword"]
SubwordKind = Literal["bpe", "unigram"]


@dataclass(frozen=True)
class TextConfig:
    """vocab_size None lets the text decide; char and byte have no choice and ignore it."""

    level: Level = "char"
    vocab_size: int | None = None
    subword_kind: SubwordKind = "bpe"
    valid_fraction: float = 0.1

    def __post_init__(self) -> None:
        for field, value, allowed in (
            ("level", self.level, get_args(Level)),
            ("subword-kind", self.subword_kind, get_args(SubwordKind)),
        ):
            if value not in allowed:
                raise ConfigError(f"{field} is {value!r}", hint=f"it is one of {', '.join(allowed)}")
        if self.vocab_size is not None and not 3 <= self.vocab_size <= 4_000_000:
            raise ConfigError(
                f"vocab-size is {self.vocab_size}", hint="it lies between 3 and 4,000,000 symbols"
            )
        if self.vocab_size is not None and self.level in ("char", "byte"):
            raise ConfigError(
                f"vocab-size has no meaning at {self.level} level",
                hint="leave it out, or add --level word or --level subword",
            )
        if not 0.0 < self.valid_fraction < 1.0:
            raise ConfigError(
                f"valid-fraction is {self.valid_fraction}", hint="it lies between 0 and 1, both left out"
            )
