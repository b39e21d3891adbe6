"""The texts a person names, as token stores: what tokenize and train share."""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from rnncli.console.safe_text import one_line
from rnncli.errors import ConfigError
from rnncli.text.config import Level, TextConfig
from rnncli.text.reading import Text
from rnncli.text.store import TokenStore, is_store
from rnncli.text.tokenizers import Tokenizer, spaces_are_scarce

_MOST_NAMED = 5


def text_config(level: Level, given: Mapping[str, Any]) -> TextConfig:
    """Settings by name, `level` where none is given; raises ConfigError for one that would do nothing."""
    names = {entry.name for entry in fields(TextConfig)}
    settings = {name: value for name, value in given.items() if name in names and value is not None}
    config = TextConfig(**{"level": level, **settings})
    if "subword_kind" in settings and config.level != "subword":
        raise ConfigError(
            f"subword-kind has no meaning at {config.level} level",
            hint="leave it out, or add --level subword",
        )
    return config


def build(text: Text, config: TextConfig, note: Callable[[str], None]) -> TokenStore:
    """A store in memory; says so where the level does not suit the text."""
    if config.level == "word" and spaces_are_scarce(text.content):
        note(
            f"{text.name} has hardly any spaces, so that words between spaces are whole phrases; "
            "--level subword or --level char suits it better"
        )
    return TokenStore.build(text, config)


def describe_unseen(tokenizer: Tokenizer, text: str) -> str | None:
    """The symbols of `text` that the tokenizer lacks, by name, or None where it has them all."""
    unseen = tokenizer.unseen(text)
    if not unseen:
        return None
    named = ", ".join(_named(symbol) for symbol in unseen[:_MOST_NAMED])
    more = f" and {len(unseen) - _MOST_NAMED} more" if len(unseen) > _MOST_NAMED else ""
    return f"{named}{more}"


def store_at(paths: Sequence[str]) -> Path | None:
    """The token store, where that is what was named and all that was."""
    return Path(paths[0]) if len(paths) == 1 and is_store(Path(paths[0])) else None


def _named(symbol: str) -> str:
    if len(symbol) > 1:
        return repr(one_line(symbol))
    return f"{one_line(symbol)!r} (U+{ord(symbol):04X} {unicodedata.name(symbol, 'unnamed')})"
