r"""A regular expression as an automaton over kinds of characters. Shapes: C characters, K kinds, Q states.

What is left of an expression after a character is an expression again, its derivative (Brzozowski 1964;
Owens, Reppy and Turon 2009): these are the states. It accepts where nothing more is needed.

    (ab)*c   --a-->   b(ab)*c   --b-->   (ab)*c   --c-->   nothing more: accepted

Characters that no part of the expression tells apart are of one kind, so that ten thousand of them cost no
more than three. What one of them is, [a-z], \w or (?i)é, is asked of Python's own `re`.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rnncli.errors import ConfigError
from rnncli.text.counting import code_points

# More would be a mistake, as in (a|b)*a(a|b){20}, or take long.
_MOST_STATES = 5_000
DEAD = -1

_FLAGS = re.compile(r"\(\?[aisu]+\)")
_OPENS = re.compile(r"\((?:\?:|\?P<\w+>|(?!\?))")
_TIMES = re.compile(r"([*+?]|\{(?=[\d,])(\d*)(,?)(\d*)\})([?+]?)")
_SPECIAL = re.compile(r"[\\.^$*+?{}\[\]|()]")
_ONE = re.compile(
    r"\[\^?\]?(?:\\.|[^\]\\])*\]"
    r"|\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|0[0-7]{0,2}|[^0-9bBAZ])"
    r"|[^\\()\[*+?|^$]",
    re.DOTALL,
)


class _One(NamedTuple):
    """One character, of those that the atom of this number matches."""

    atom: int


class _Some(NamedTuple):
    """What is repeated, at least and at most so often; None is without an end."""

    what: "_Chain"
    least: int
    most: int | None


class _Either(NamedTuple):
    of: "frozenset[_Chain]"


# One after another. The empty one needs nothing more.
_Chain = tuple[_One | _Some | _Either, ...]


@dataclass(frozen=True)
class Automaton:
    """`kinds` (C,) of the characters it was made for; `following` (Q, K): the state after a kind, or DEAD.

    It begins in state 0; `accepts` (Q,) says where a text may end. `missing` are the parts of the expression
    that none of the characters matches.
    """

    kinds: npt.NDArray[np.int32]
    following: npt.NDArray[np.int32]
    accepts: npt.NDArray[np.bool_]
    missing: tuple[str, ...]


def compiled(pattern: str, alphabet: str) -> Automaton:
    """The automaton of what Python's `re.fullmatch` matches, in texts of these characters (C,), each once.

    Raises ConfigError for what is no regular expression, for what needs memory of what was matched or a
    look around, and for more than 5,000 states.
    """
    atoms, whole = _Parser(pattern).parsed()
    points = code_points(alphabet)
    matching = [np.isin(points, code_points("".join(re.findall(atom, alphabet)))) for atom in atoms]
    kinds = np.zeros(len(points), np.int32)
    for matched in matching:
        finer = 2 * kinds + matched
        kinds = (np.cumsum(np.bincount(finer) > 0) - 1).astype(np.int32)[finer]
    count = int(kinds.max(initial=-1)) + 1
    of_kind = np.zeros((count, len(atoms)), np.bool_)
    for atom, matched in enumerate(matching):
        of_kind[kinds, atom] = matched
    states, numbers, following = [whole], {whole: 0}, list[list[int]]()
    for state in states:  # grows while it is walked
        following.append([])
        for kind in of_kind.tolist():
            left = _derived(state, kind)
            if left is not None and left not in numbers:
                numbers[left] = len(states)
                states.append(left)
            following[-1].append(DEAD if left is None else numbers[left])
        if len(states) > _MOST_STATES:
            raise ConfigError(
                f"{pattern} needs more than {_MOST_STATES:,} states",
                hint="repeat less of it, or less often",
            )
    return Automaton(
        kinds,
        np.array(following, np.int32).reshape(len(states), count),
        np.array([_nullable(state) for state in states]),
        tuple(atom for atom, matched in zip(atoms, matching, strict=True) if not matched.any()),
    )


def template_pattern(template: str) -> str:
    r"""The expression of a template: {} is at least one character up to the one that comes next in it.

    "Dear {}:"           ->  Dear [^:\n]+:
    "{[A-Z]\w+} is {}."  ->  (?:[A-Z]\w+) is [^\.\n]+\.

    An expression may stand between the braces, and {{ and }} are braces. Raises ConfigError.
    """
    parts = list[tuple[str, str]]()
    place = 0
    while place < len(template):
        pair = template[place : place + 2]
        if pair in ("{{", "}}"):
            parts.append(("text", pair[0]))
            place += 2
        elif pair[0] == "{":
            end = _closing(template, place)
            parts.append(("hole", template[place + 1 : end]))
            place = end + 1
        elif pair[0] == "}":
            raise ConfigError(f"the template has a }} at {place} that closes nothing", hint="}} is a brace")
        else:
            parts.append(("text", pair[0]))
            place += 1
    written = list[str]()
    for index, (kind, content) in enumerate(parts):
        after = parts[index + 1] if index + 1 < len(parts) else None
        if kind == "text":
            written.append(_SPECIAL.sub(r"\\\g<0>", content))
        elif content:
            written.append(f"(?:{content})")
        else:
            ends = _SPECIAL.sub(r"\\\g<0>", after[1]) if after and after[0] == "text" else ""
            written.append(rf"[^{ends}\n]+")
    return "".join(written)


def _closing(template: str, opened: int) -> int:
    """Where the brace is closed that is opened there; those inside come in pairs, or after a backslash."""
    depth, place = 0, opened
    while place < len(template):
        depth += {"{": 1, "}": -1}.get(template[place], 0)
        if not depth:
            return place
        place += 2 if template[place] == "\\" else 1
    raise ConfigError(f"the template has a {{ at {opened} that nothing closes", hint="{{ is a brace")


def _derived(chain: _Chain, of_kind: list[bool]) -> _Chain | None:
    """What is left of a chain after a character of a kind; None where that cannot stand there."""
    left = set[_Chain]()
    for place, part in enumerate(chain):
        rest = chain[place + 1 :]
        if isinstance(part, _One):
            left |= {rest} if of_kind[part.atom] else set()
            break
        for of in part.of if isinstance(part, _Either) else [part.what]:
            begun = _derived(of, of_kind)
            if begun is not None:
                left.add((*begun, *(_again(part) if isinstance(part, _Some) else ()), *rest))
        if not _nullable((part,)):
            break
    flat = {one for chain in left for one in _alternatives(chain)}
    if not flat:
        return None
    return flat.pop() if len(flat) == 1 else (_Either(frozenset(flat)),)


def _alternatives(chain: _Chain) -> frozenset[_Chain]:
    """Nested choices are one choice: without that there would be no end of new states."""
    if len(chain) == 1 and isinstance(chain[0], _Either):
        return chain[0].of
    return frozenset([chain])


def _again(part: _Some) -> _Chain:
    most = None if part.most is None else part.most - 1
    return () if most == 0 else (_Some(part.what, max(part.least - 1, 0), most),)


def _nullable(chain: _Chain) -> bool:
    """Whether nothing more is needed."""
    return all(_optional(part) for part in chain)


def _optional(part: _One | _Some | _Either) -> bool:
    if isinstance(part, _One):
        return False
    if isinstance(part, _Either):
        return any(_nullable(chain) for chain in part.of)
    return part.least == 0 or _nullable(part.what)


class _Parser:
    """By recursive descent; Python's own `re` has said before that the syntax is right."""

    def __init__(self, pattern: str) -> None:
        self._pattern, self._place = pattern, 0
        self._atoms = dict[str, int]()

    def parsed(self) -> tuple[list[str], _Chain]:
        """The atoms, with the flags that they are under, and the whole expression."""
        try:
            re.compile(self._pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise self._refusal(str(error)) from error
        flags = self._taken(_FLAGS)
        self._flags = flags.group() if flags else ""
        self._place += self._pattern.startswith("^", self._place)
        whole = self._choice()
        if self._pattern[self._place :] not in ("", "$"):
            raise self._refusal(f"at {self._place} is what an automaton cannot do")
        return list(self._atoms), whole

    def _choice(self) -> _Chain:
        chains = [self._chain()]
        while self._pattern.startswith("|", self._place):
            self._place += 1
            chains.append(self._chain())
        return chains[0] if len(chains) == 1 else (_Either(frozenset(chains)),)

    def _chain(self) -> _Chain:
        parts: _Chain = ()
        while (one := self._part()) is not None:
            times = self._taken(_TIMES)
            parts = (*parts, *one) if times is None else (*parts, *self._repeated(one, times))
        return parts

    def _part(self) -> _Chain | None:
        if self._taken(_OPENS):
            inner = self._choice()
            if not self._pattern.startswith(")", self._place):
                raise self._refusal(f"at {self._place} is what an automaton cannot do")
            self._place += 1
            return inner
        one = self._taken(_ONE)
        return (
            None
            if one is None
            else (_One(self._atoms.setdefault(self._flags + one.group(), len(self._atoms))),)
        )

    def _repeated(self, what: _Chain, times: re.Match[str]) -> _Chain:
        sign, least, comma, most, greed = times.groups()
        if greed == "+":
            raise self._refusal("it repeats possessively, which an automaton cannot do")
        if sign in ("*", "+", "?"):
            bounds = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        else:
            bounds = int(least or 0), int(most) if most else None if comma else int(least)
        return () if bounds[1] == 0 or not what else (_Some(what, *bounds),)

    def _taken(self, expected: re.Pattern[str]) -> re.Match[str] | None:
        found = expected.match(self._pattern, self._place)
        if found is not None:
            self._place = found.end()
        return found

    def _refusal(self, why: str) -> ConfigError:
        return ConfigError(
            f"{self._pattern} cannot be matched: {why}",
            hint="give characters, [classes], groups, | and * + ? {m,n}",
        )
