"""Out-of-vocabulary (OOV) tokens of a text, for messages."""

import unicodedata

from rnncli.data.tokenizers.base import Tokenizer
from rnncli.safe_text import one_line

_MAX_OOV_SHOWN = 5


def describe_oov(tokenizer: Tokenizer, text: str) -> str | None:
    """Name the first out-of-vocabulary tokens of `text`, or return None if there are none."""
    found = tokenizer.oov_tokens(text)
    if not found:
        return None
    named = ", ".join(_describe_token(token) for token in found[:_MAX_OOV_SHOWN])
    more = f" and {len(found) - _MAX_OOV_SHOWN} more" if len(found) > _MAX_OOV_SHOWN else ""
    return f"{named}{more}"


def _describe_token(token: str) -> str:
    if len(token) > 1:
        return repr(one_line(token))
    return f"{one_line(token)!r} (U+{ord(token):04X} {unicodedata.name(token, 'unnamed')})"
