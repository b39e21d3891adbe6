"""Text of models and corpora made safe for a terminal: shown, never obeyed."""

import unicodedata

# Cc: control; Cf: invisible formatting, bidi overrides among it; Cs: half characters; Zl, Zp: line ends.
_LIVE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
# What ordinary text needs of those: line ends, tabs, the joiners of emoji and of many scripts.
_HARMLESS = {"\n", "\t", "\N{ZERO WIDTH NON-JOINER}", "\N{ZERO WIDTH JOINER}"}


def visible(text: str) -> str:
    """Control characters as \\x1b and the like; line ends, tabs and joiners stay."""
    return "".join(character if _is_harmless(character) else _escaped(character) for character in text)


def one_line(text: str) -> str:
    """As visible, with line ends and tabs shown too: for names, symbols and messages."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def symbol_label(symbol: str) -> str:
    """A symbol of its own: white space can be seen, and so can nothing."""
    return {" ": "␣", "\n": "↵", "\t": "⇥"}.get(symbol, one_line(symbol)) or "∅"


def _is_harmless(character: str) -> bool:
    return character in _HARMLESS or unicodedata.category(character) not in _LIVE


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
