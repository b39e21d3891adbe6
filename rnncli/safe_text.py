"""Make text of models and corpora safe for a terminal: control characters are shown, never executed."""

import unicodedata

# Cc: control; Cf: invisible formatting, bidi overrides among it; Cs: half characters; Zl, Zp: line ends.
_LIVE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# What ordinary text needs of those: line ends, tabs, the joiners of emoji and of many scripts.
_HARMLESS = {"\n", "\t", "\N{ZERO WIDTH NON-JOINER}", "\N{ZERO WIDTH JOINER}"}


def visible(text: str) -> str:
    """Escape control characters, as \\x1b; line ends, tabs and joiners stay."""
    return "".join(character if _is_harmless(character) else _escaped(character) for character in text)


def one_line(text: str) -> str:
    """Escape line ends and tabs too: for names, tokens and messages."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def token_label(token: str) -> str:
    """Return a visible form of one token: whitespace and the empty token have signs of their own."""
    return {" ": "␣", "\n": "↵", "\t": "⇥"}.get(token, one_line(token)) or "∅"


def _is_harmless(character: str) -> bool:
    return character in _HARMLESS or unicodedata.category(character) not in _LIVE


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
