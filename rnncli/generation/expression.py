r"""The parts of a regular expression, as Python reads it: atoms, chains, choices, repeats, anchors.

(ab)*c     chain --> repeat, 0 to any --> chain --> a, b
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
    |(?P<times>(?P<sign>[*+?]|\{(?=[0-9,])(?P<least>[0-9]*)(?P<comma>,?)(?P<most>[0-9]*)\})(?P<greed>[?+]?))
    |(?P<anchor>[\^$]|\\[AZz])
    |(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])
    |(?P<class>\\[dDsSwW]|\.)
    |(?P<literal>\\(?:x..|u.{4}|U.{8}|N\{[^}]*\}|0[0-7]{0,2}|[1-3][0-7]{2}|[^0-9bB])|[^\\\[(])
    |(?P<around>\(\?<?[=!]|\\[bB])
    |(?P<back>\(\?P=\w+\)|\(\?\(\w+\)|\\[1-9][0-9]?)
    |(?P<atomic>\(\?>)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_BEYOND = {
    "around": "looks around",
    "back": "refers back",
    "atomic": "gives nothing back",
    "other": "is not known",
    "m": "lets ^ and $ match inside of a text",
    "x": "leaves blanks out",
}


class Atom(NamedTuple):
    """What matches one character: as typed, under which flags; and the characters, where it is a literal."""

    typed: str
    flags: str
    characters: str = ""


class Part(NamedTuple):
    r"""Of an expression: a "chain" or a "choice" `of` parts, a "repeat" of one, an "atom", or ^, $ or \Z."""

    kind: str
    of: "tuple[Part, ...]" = ()
    atom: int = 0
    least: int = 0
    most: int | None = None


_NOTHING = Part("chain")


def too_much(what: str) -> ConfigError:
    return ConfigError(what, hint="repeat less of it, or less often")


def unfit(what: str) -> ConfigError:
    return ConfigError(what, hint="give characters, [classes], groups, | and * + ? {m,n}")


def _beyond(text: str, why: str) -> ConfigError:
    return unfit(f"{text} {why}, which an automaton cannot do")


class Parser:
    """By recursive descent, after Python's own `re` has said that the syntax is right."""

    def __init__(self, pattern: str) -> None:
        self._all = list(_TOKEN.finditer(pattern))
        self._tokens = iter(self._all)
        self.atoms = dict[Atom, int]()

    def parsed(self) -> Part:
        """The whole expression, and `atoms` are filled. Raises ConfigError."""
        # Each set is looked at later, and once: a thousand of them, with ranges, would take `re` a minute.
        simple = (
            f"[{'a' * (len(token.group()) - 2)}]" if token.lastgroup == "set" else token.group()
            for token in self._all
        )
        try:
            re.compile("".join(simple))
        except re.error as error:
            raise unfit(str(error)) from error
        except (ValueError, OverflowError) as error:  # a number too long to be read, or too large
            raise too_much("it repeats too often") from error
        return self._choice("")

    def _choice(self, flags: str) -> Part:
        """What comes up to the end of the group."""
        chains = [list[Part]()]
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
            elif kind == "times":
                chains[-1].append(_times(chains[-1].pop(), token))
            elif kind == "anchor":
                chains[-1].append(Part({r"\A": "^", r"\z": r"\Z"}.get(text, text)))
            elif kind in _BEYOND:
                raise _beyond(text if text[0] == "\\" or text[-1] == ")" else f"{text}...)", _BEYOND[kind])
            elif kind != "comment":
                atom = _literal(text, flags) if kind == "literal" else Atom(text, flags)
                chains[-1].append(Part("atom", atom=self.atoms.setdefault(atom, len(self.atoms))))
        parts = [_chain(chain) for chain in chains]
        some = tuple(part for part in parts if part != _NOTHING)
        choice = Part("choice", some) if len(some) > 1 else _chain(some)
        return choice if len(some) == len(parts) else _repeat(choice, 0, 1)


def _chain(parts: Iterable[Part]) -> Part:
    parts = tuple(part for part in parts if part != _NOTHING)
    return parts[0] if len(parts) == 1 else Part("chain", parts)


def _times(what: Part, token: re.Match[str]) -> Part:
    sign, least, comma, most, greed = token.group("sign", "least", "comma", "most", "greed")
    if greed == "+":
        raise _beyond(token.group(), "repeats possessively")
    if sign in ("*", "+", "?"):
        return _repeat(what, int(sign == "+"), 1 if sign == "?" else None)
    return _repeat(what, int(least or 0), int(most) if most else None if comma else int(least))


def _repeat(what: Part, least: int, most: int | None) -> Part:
    """(a{x,y}){least,most} is one repeat where no number of times is left out, as for x of 0 or 1."""
    if most == 0 or what == _NOTHING:
        return _NOTHING
    if what.kind == "repeat" and what.least <= 1:
        most = None if most is None or what.most is None else most * what.most
        return Part("repeat", what.of, 0, least * what.least, most)
    return Part("repeat", (what,), 0, least, most)


def _with_flags(flags: str, text: str) -> str:
    """Those of a, i and s that hold after (?i) or in (?i-s:...), of which u ends a."""
    on, _, off = text.strip("(?:)").partition("-")
    for flag in sorted(set(on) - set("aisu")):
        raise _beyond(f"(?{flag})", _BEYOND.get(flag, _BEYOND["other"]))
    return "".join(sorted(set(flags) - set(off) - set("a" * ("u" in on)) | set(on) - {"u"}))


def _literal(text: str, flags: str) -> Atom:
    escape = re.match(r"\\[0-9NUafnrtuvx]", text)
    character = text.encode("ascii").decode("unicode_escape") if escape else text[-1]
    return Atom(text, flags, _cases(character, flags) if "i" in flags else character)


@cache
def _cases(character: str, flags: str) -> str:
    """The characters that one matches where upper and lower case are the same."""
    if character not in _cased():
        return character
    return "".join(re.findall(f"(?{flags}:{re.escape(character)})", _cased()))


@cache
def _cased() -> str:
    """The characters that have another case, and what stands beside them."""
    blocks = ("".join(map(chr, range(first, first + 64))) for first in range(0, sys.maxunicode, 64))
    return "".join(block for block in blocks if block != block.lower() or block != block.upper())
