r"""A regular expression as an automaton over kinds of characters. Shapes: C characters, K kinds, Q states.

It becomes a net of places (Thompson 1968), built from its end to its beginning, so that alternatives that end
alike share their end. The atoms of the net that a text may go on with are a state of the automaton.

    (ab)*c     fork --> a --> b --> fork        {a, c} --a--> {b} --b--> {a, c} --c--> {}, where it may end
                  '---> c --> end

Characters that no part of the expression tells apart are of one kind, so that ten thousand of them cost no
more than three. What one of them is, [a-z], \w or (?i)é, is asked of Python's own `re`. Work is counted, not
timed: every expression becomes an automaton, or is refused, in about a second, and always the same of both.
"""

import re
import sys
import warnings
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnncli.data.counting import code_points
from rnncli.errors import ConfigError
from rnncli.generation.expression import Atom, Parser, Part, too_much, unfit

DEAD = -1

# More states would be a mistake, as in (a|b)*a(a|b){20}; entries are states times kinds.
_MOST_STATES, _MOST_ENTRIES, _MOST_PLACES, _MOST_CHARACTERS = 5_000, 2**24, 20_000, 20_000
# In steps of some 80 nanoseconds: a literal takes 200, a class 40,000 and one more for 15 characters.
_MOST_WORK, _LITERAL_WORK, _CLASS_WORK, _CHARACTERS_A_STEP = 8_000_000, 200, 40_000, 15


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
    look around, and for what is too much: 20,000 characters, 5,000 states, a second of work.
    """
    try:
        if len(pattern) > _MOST_CHARACTERS:
            raise ConfigError(f"it has more than {_MOST_CHARACTERS:,} characters", hint="give a shorter one")
        with warnings.catch_warnings():  # of what a later Python may read differently, as [[a]
            warnings.simplefilter("ignore")
            return _automaton(pattern, alphabet)
    except (RecursionError, ConfigError) as error:
        deep = ConfigError("it is nested too deeply", hint="use fewer groups")
        why = error if isinstance(error, ConfigError) else deep
        shown = pattern if len(pattern) <= 200 else pattern[:200] + "…"
        raise ConfigError(f"{shown} cannot be matched: {why}", hint=why.hint) from error


def _automaton(pattern: str, alphabet: str) -> Automaton:
    parser, work = Parser(pattern), _Work()
    whole = parser.parsed()
    # $ stands before the last line end too, which then has to be of a kind of its own.
    atoms = [*parser.atoms, *[Atom("", "", "\n")] * ("$" in pattern)]
    kinds, of_atom, count = _kinds(atoms, alphabet, work)
    net = _Net(of_atom, work)
    following, accepts = net.states(net.place(whole, 0), count)
    missing = [atom.typed for atom, of in zip(parser.atoms, of_atom, strict=False) if not of]
    return Automaton(kinds, following, accepts, tuple(dict.fromkeys(missing)))


class _Work:
    """What may still be done for one expression."""

    def __init__(self) -> None:
        self._left = _MOST_WORK

    def spend(self, steps: int) -> None:
        """Raises ConfigError where that is too much."""
        self._left -= steps
        if self._left < 0:
            raise too_much("it takes too long to work out")


def _kinds(
    atoms: list[Atom], alphabet: str, work: _Work
) -> tuple[npt.NDArray[np.int32], list[list[int]], int]:
    """The kind of every character (C,), the kinds that every atom matches, and how many there are.

    At first all are of one kind; each atom parts those of a kind that it matches from those that it does not.
    Raises ConfigError for an atom that is none.
    """
    where = np.full(sys.maxunicode + 1, -1, np.int32)
    where[code_points(alphabet)] = np.arange(len(alphabet))
    kinds, sizes = np.zeros(len(alphabet), np.int32), np.array([len(alphabet)])
    for atom in atoms:
        work.spend(_LITERAL_WORK if atom.characters else _CLASS_WORK + len(alphabet) // _CHARACTERS_A_STEP)
        found = _matched(atom, alphabet, where)
        counts = np.bincount(kinds[found], minlength=len(sizes))
        split = np.flatnonzero((counts > 0) & (counts < sizes))
        renamed = np.arange(len(sizes))
        renamed[split] = len(sizes) + np.arange(len(split))
        kinds[found] = renamed[kinds[found]]
        sizes[split] -= counts[split]
        sizes = np.append(sizes, counts[split])
    one_of = np.zeros(len(sizes) if alphabet else 0, np.int32)
    one_of[kinds] = np.arange(len(alphabet))
    examples = "".join(alphabet[place] for place in one_of.tolist())
    where[:] = -1
    where[code_points(examples)] = np.arange(len(examples))
    work.spend(len(atoms) * len(examples) // _CHARACTERS_A_STEP)
    return kinds, [_matched(atom, examples, where).tolist() for atom in atoms], len(examples)


def _matched(atom: Atom, text: str, where: npt.NDArray[np.int32]) -> npt.NDArray[np.integer]:
    """Which characters of a text an atom matches; `where` it has each character that there is, or -1."""
    if atom.characters:
        found = where[code_points(atom.characters)]
        return found[found >= 0]
    try:
        runs = re.compile(f"(?{atom.flags}:{atom.typed})+").finditer(text)
    except re.error as error:
        raise unfit(f"{atom.typed}: {error.msg}") from error
    return np.concatenate([np.zeros(0, np.intp), *[np.arange(*run.span()) for run in runs]])


class _Net:
    r"""Places, each of a kind ("atom", "fork", "end", ^, $ or \Z), with its atom and the places after it."""

    def __init__(self, of_atom: list[list[int]], work: _Work) -> None:
        self._of_atom, self._work = of_atom, work
        line_end = set(of_atom[-1]) if of_atom else set()
        self._line_ends = {atom for atom, kinds in enumerate(of_atom) if line_end.intersection(kinds)}
        self._places: list[tuple[str, int, tuple[int, ...]]] = [("end", 0, ())]
        self._numbers = dict[tuple[str, int, tuple[int, ...]], int]()
        self._parted = dict[tuple[int, ...], list[tuple[tuple[int, ...], list[int]]]]()

    def place(self, part: Part, then: int) -> int:
        """Where a part begins that goes on at `then`. Raises ConfigError for too many places."""
        if part.kind == "chain":
            for one in reversed(part.of):
                then = self.place(one, then)
            return then
        if part.kind == "repeat":
            return self._repeated(part, then)
        if part.kind == "choice":
            return self._numbered("fork", 0, tuple([self.place(one, then) for one in part.of]))
        return self._numbered(part.kind, part.atom, (then,))

    def _repeated(self, part: Part, then: int) -> int:
        what, first, least = part.of[0], then, part.least
        if part.most is None:
            loop = self._added("fork", 0, ())
            inside = self.place(what, loop)
            self._places[loop] = ("fork", 0, (inside, then))
            first, least = (inside, least - 1) if least else (loop, 0)
        else:  # a?a?a? as (a(aa?)?)?, in which no text has two ways
            for _ in range(part.most - least):
                first = self._numbered("fork", 0, (self.place(what, first), then))
        for _ in range(least):
            first = self.place(what, first)
        return first

    def _numbered(self, kind: str, atom: int, after: tuple[int, ...]) -> int:
        """One place for all that is the same."""
        key = kind, atom, after
        if key not in self._numbers:
            self._numbers[key] = self._added(*key)
        return self._numbers[key]

    def _added(self, kind: str, atom: int, after: tuple[int, ...]) -> int:
        if len(self._places) == _MOST_PLACES:
            raise too_much(f"with its repeats written out it has more than {_MOST_PLACES:,} characters")
        self._places.append((kind, atom, after))
        return len(self._places) - 1

    def states(self, first: int, count: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
        """`following` (Q, K) and `accepts` (Q,) of what begins there. Raises ConfigError for too many."""
        states = [self._reached((first,), True)]
        numbers, rows = {states[0]: 0}, list[npt.NDArray[np.int32]]()
        known = dict[tuple[int, ...], int]()
        for ready, _ in states:  # grows while it is walked
            after = defaultdict[int, list[int]](list)
            for place in ready:
                _, atom, then = self._places[place]
                after[atom].extend(then)
            row = np.full(count, DEAD, np.int32)
            for atoms, kinds in self._told_apart(tuple(sorted(after))):
                inside = tuple(sorted({place for atom in atoms for place in after[atom]}))
                if inside not in known:
                    state = self._reached(inside, False)
                    known[inside] = numbers.setdefault(state, len(states)) if any(state) else DEAD
                    if known[inside] == len(states):
                        states.append(state)
                row[kinds] = known[inside]
                self._work.spend(5 + 2 * len(inside))
            rows.append(row)
            self._work.spend(10 + 2 * len(ready) + count // 50)
            if len(states) > _MOST_STATES:
                raise too_much(f"it needs more than {_MOST_STATES:,} states")
            if len(states) * count > _MOST_ENTRIES:
                raise too_much("it needs too large a table")
        return np.stack(rows), np.array([accepts for _, accepts in states])

    def _told_apart(self, atoms: tuple[int, ...]) -> list[tuple[tuple[int, ...], list[int]]]:
        """The kinds that any of these atoms match, by which of them do."""
        if atoms not in self._parted:
            matching, alike = defaultdict[int, list[int]](list), defaultdict[tuple[int, ...], list[int]](list)
            for atom in atoms:
                self._work.spend(3 * len(self._of_atom[atom]))
                for kind in self._of_atom[atom]:
                    matching[kind].append(atom)
            for kind, those in matching.items():
                alike[tuple(those)].append(kind)
            self._parted[atoms] = list(alike.items())
        return self._parted[atoms]

    def _reached(self, places: tuple[int, ...], begins: bool) -> tuple[tuple[int, ...], bool]:
        r"""The atoms that a text may go on with from these places, and whether it may end there.

        First without a sign of the end, then after a $, where a line end may be the last, then after a \Z.
        """
        ready, accepts = set[int](), False
        waiting = [list(places), list[int](), list[int]()]
        for signs in range(3):
            seen, now = set[int](), waiting[signs]
            while now:
                place = now.pop()
                if place in seen:
                    continue
                seen.add(place)
                kind, atom, after = self._places[place]
                if kind == "fork" or (kind == "^" and begins):
                    now.extend(after)
                elif kind in ("$", r"\Z"):
                    waiting[2 if kind == r"\Z" else max(signs, 1)].extend(after)
                elif kind == "end":
                    accepts = True
                elif kind == "atom" and signs == 0:
                    ready.add(place)
                elif kind == "atom" and signs == 1 and atom in self._line_ends:
                    last = self._numbered(r"\Z", 0, after)
                    ready.add(self._numbered("atom", len(self._of_atom) - 1, (last,)))
            self._work.spend(2 * len(seen))
        return tuple(sorted(ready)), accepts
