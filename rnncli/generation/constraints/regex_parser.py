r"""Parser of regular expressions in the syntax of Python's `re`: atoms, chains, choices, repeats, anchors.

(ab)*c     chain --> repeat, 0 to any number --> chain --> a, b
                '--> c
"""

import re
import sys
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

from rnncli.errors import ConfigError

_TOKEN = re.compile(
    r"""(?P<comment>\(\?\#(?:\\.|[^\\)])*\))
    |(?P<flags>\(\?[a-zA-Z]+\))
    |(?P<group>\((?:\?P<[^>]*>|\?[a-zA-Z]*(?:-[a-zA-Z]+)?:|(?!\?)))
    |(?P<close>\))
    |(?P<bar>\|)
    |(?P<repeat>(?P<sign>[*+?]|\{(?=[0-9,])(?P<minimum>[0-9]*)(?P<comma>,?)(?P<maximum>[0-9]*)\})(?P<mode>[?+]?))
    |(?P<anchor>[\^$]|\\[AZz])
    |(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])
    |(?P<class>\\[dDsSwW]|\.)
    |(?P<literal>\\(?:x..|u.{4}|U.{8}|N\{[^}]*\}|0[0-7]{0,2}|[1-3][0-7]{2}|[^0-9bB])|[^\\\[(])
    |(?P<lookaround>\(\?<?[=!]|\\[bB])
    |(?P<backreference>\(\?P=\w+\)|\(\?\(\w+\)|\\[1-9][0-9]?)
    |(?P<atomic>\(\?>)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_UNSUPPORTED = {
    "lookaround": "looks around",
    "backreference": "refers back",
    "atomic": "does not backtrack",
    "other": "is not known",
    "m": "lets ^ and $ match within a text",
    "x": "ignores whitespace",
}


class Atom(NamedTuple):
    """A part that matches one character.

    Attributes:
        source: The atom as it is written in the pattern.
        flags: The flags that apply to it, of a, i and s.
        characters: The characters that it matches if it is a literal.
    """

    source: str
    flags: str
    characters: str = ""


class Expression(NamedTuple):
    r"""A regular expression or a part of one.

    Attributes:
        kind: "chain", "choice", "repeat", "atom", "^", "$" or "\Z".
        parts: The parts of a chain or choice, or the one part that is repeated.
        atom: The number of an atom.
        minimum: How often a part is repeated at least.
        maximum: How often a part is repeated at most; None: any number of times.
    """

    kind: str
    parts: "tuple[Expression, ...]" = ()
    atom: int = 0
    minimum: int = 0
    maximum: int | None = None


_EMPTY = Expression("chain")


def too_large(message: str) -> ConfigError:
    """Return the error for an expression that is too large."""
    return ConfigError(message, hint="repeat less of it, or less often")


def unsupported(message: str) -> ConfigError:
    """Return the error for syntax that is wrong or not supported."""
    return ConfigError(message, hint="use characters, [classes], groups, | and * + ? {m,n}")


def _unsupported_syntax(text: str, what: str) -> ConfigError:
    return unsupported(f"{text} {what}, which an automaton cannot do")


class Parser:
    """A recursive descent parser; the syntax is first checked by Python's own `re`.

    Attributes:
        atoms: The number of each distinct atom, filled by `parse`.
    """

    def __init__(self, pattern: str) -> None:
        self._all_tokens = list(_TOKEN.finditer(pattern))
        self._tokens = iter(self._all_tokens)
        self.atoms = dict[Atom, int]()

    def parse(self) -> Expression:
        """Return the whole expression; raises ConfigError for syntax that is wrong or not supported."""
        # Sets are checked later, each once: for a thousand of them with ranges, `re` would take a minute.
        simple = (
            f"[{'a' * (len(token.group()) - 2)}]" if token.lastgroup == "set" else token.group()
            for token in self._all_tokens
        )
        try:
            re.compile("".join(simple))
        except re.error as error:
            raise unsupported(str(error)) from error
        except (ValueError, OverflowError) as error:  # a number that is too long or too large
            raise too_large("it repeats too often") from error
        return self._choice("")

    def _choice(self, flags: str) -> Expression:
        """Parse up to the end of the group."""
        chains = [list[Expression]()]
        for token in self._tokens:
            kind, text = str(token.lastgroup), token.group()
            if kind == "close":
                break
            if kind == "bar":
                chains.append([])
            elif kind == "flags":
                flags = _with_flags(flags, text)
            elif kind == "group":
                chains[-1].append(self._choice(flags if "<" in text else _with_flags(flags, text)))
            elif kind == "repeat":
                chains[-1].append(_parse_repeat(chains[-1].pop(), token))
            elif kind == "anchor":
                chains[-1].append(Expression({r"\A": "^", r"\z": r"\Z"}.get(text, text)))
            elif kind in _UNSUPPORTED:
                shown = text if text[0] == "\\" or text[-1] == ")" else f"{text}...)"
                raise _unsupported_syntax(shown, _UNSUPPORTED[kind])
            elif kind != "comment":
                atom = _literal(text, flags) if kind == "literal" else Atom(text, flags)
                chains[-1].append(Expression("atom", atom=self.atoms.setdefault(atom, len(self.atoms))))
        parts = [_chain(chain) for chain in chains]
        nonempty = tuple(part for part in parts if part != _EMPTY)
        choice = Expression("choice", nonempty) if len(nonempty) > 1 else _chain(nonempty)
        return choice if len(nonempty) == len(parts) else _repeat(choice, 0, 1)


def _chain(parts: Iterable[Expression]) -> Expression:
    parts = tuple(part for part in parts if part != _EMPTY)
    return parts[0] if len(parts) == 1 else Expression("chain", parts)


def _parse_repeat(part: Expression, token: re.Match[str]) -> Expression:
    sign, minimum, comma, maximum, mode = token.group("sign", "minimum", "comma", "maximum", "mode")
    if mode == "+":
        raise _unsupported_syntax(token.group(), "repeats possessively")
    if sign in ("*", "+", "?"):
        return _repeat(part, int(sign == "+"), 1 if sign == "?" else None)
    return _repeat(part, int(minimum or 0), int(maximum) if maximum else None if comma else int(minimum))


def _repeat(part: Expression, minimum: int, maximum: int | None) -> Expression:
    """Repeat a part; (a{x,y}){minimum,maximum} becomes one repeat if x is 0 or 1: no count is left out."""
    if maximum == 0 or part == _EMPTY:
        return _EMPTY
    if part.kind == "repeat" and part.minimum <= 1:
        maximum = None if maximum is None or part.maximum is None else maximum * part.maximum
        return Expression("repeat", part.parts, 0, minimum * part.minimum, maximum)
    return Expression("repeat", (part,), 0, minimum, maximum)


def _with_flags(flags: str, text: str) -> str:
    """Return the flags of a, i and s that apply after (?i) or within (?i-s:...); u cancels a."""
    on, _, off = text.strip("(?:)").partition("-")
    for flag in sorted(set(on) - set("aisu")):
        raise _unsupported_syntax(f"(?{flag})", _UNSUPPORTED.get(flag, _UNSUPPORTED["other"]))
    return "".join(sorted(set(flags) - set(off) - set("a" * ("u" in on)) | set(on) - {"u"}))


def _literal(text: str, flags: str) -> Atom:
    escape = re.match(r"\\[0-9NUafnrtuvx]", text)
    character = text.encode("ascii").decode("unicode_escape") if escape else text[-1]
    return Atom(text, flags, _same_in_either_case(character, flags) if "i" in flags else character)


@cache
def _same_in_either_case(character: str, flags: str) -> str:
    """Return the characters that one character matches if case is ignored."""
    if character not in _cased_characters():
        return character
    return "".join(re.findall(f"(?{flags}:{re.escape(character)})", _cased_characters()))


@cache
def _cased_characters() -> str:
    """Return all blocks of 64 characters in which some have another case."""
    blocks = ("".join(map(chr, range(first, first + 64))) for first in range(0, sys.maxunicode, 64))
    return "".join(block for block in blocks if block != block.lower() or block != block.upper())
