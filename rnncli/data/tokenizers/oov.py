"""Symbols that a tokenizer lacks, by name."""

import unicodedata

from rnncli.data.tokenizers.base import Tokenizer
from rnncli.safe_text import one_line

_MOST_NAMED = 5


def describe_unseen(tokenizer: Tokenizer, text: str) -> str | None:
    """The symbols of `text` that the tokenizer lacks, by name, or None where it has them all."""
    unseen = tokenizer.unseen(text)
    if not unseen:
        return None
    named = ", ".join(_symbol(symbol) for symbol in unseen[:_MOST_NAMED])
    more = f" and {len(unseen) - _MOST_NAMED} more" if len(unseen) > _MOST_NAMED else ""
    return f"{named}{more}"


def _symbol(symbol: str) -> str:
    if len(symbol) > 1:
        return repr(one_line(symbol))
    return f"{one_line(symbol)!r} (U+{ord(symbol):04X} {unicodedata.name(symbol, 'unnamed')})"
