r"""Regular expressions as finite automata over kinds of characters.

The expression becomes a nondeterministic automaton of nodes (Thompson 1968), built from its end to its
beginning, so that alternatives that end alike share their end. A set of atoms of it with which a text may
continue is one state of the deterministic automaton.

    (ab)*c     fork --> a --> b --> fork        {a, c} --a--> {b} --b--> {a, c} --c--> {}, where it may end
                  '---> c --> end

Characters that no part of the expression distinguishes are of one kind, so that ten thousand of them cost no
more than three. Which characters match [a-z], \w or (?i)é is asked of Python's own `re`. The work is counted,
not timed: every expression is compiled or rejected within about a second, and the same one always alike.

Shapes:
  C: characters of the alphabet
  K: kinds of characters
  Q: states
"""

import re
import sys
import warnings
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnncli.data.tokenizers.base import code_points
from rnncli.errors import ConfigError
from rnncli.generation.constraints.regex_parser import Atom, Expression, Parser, too_large, unsupported

DEAD = -1

# More states are most likely a mistake, as with (a|b)*a(a|b){20}. Entries are states times kinds.
_MAX_STATES, _MAX_ENTRIES, _MAX_NODES, _MAX_CHARACTERS = 5_000, 2**24, 20_000, 20_000
# In steps of about 80 nanoseconds: a literal takes 200, a class 40,000 plus one for 15 characters.
_MAX_WORK, _LITERAL_WORK, _CLASS_WORK, _CHARACTERS_PER_STEP = 8_000_000, 200, 40_000, 15


@dataclass(frozen=True)
class Automaton:
    """A deterministic automaton that begins in state 0.

    Attributes:
        kinds: The kind of each character of the alphabet (C,).
        transitions: The state after a character of each kind, or DEAD (Q, K).
        accepts: Whether a text may end in a state (Q,).
        missing: Parts of the expression that match no character of the alphabet.
    """

    kinds: npt.NDArray[np.int32]
    transitions: npt.NDArray[np.int32]
    accepts: npt.NDArray[np.bool_]
    missing: tuple[str, ...]


def compile_pattern(pattern: str, alphabet: str) -> Automaton:
    """Return the automaton of the texts that `re.fullmatch` matches.

    Args:
        pattern: The regular expression, in the syntax of Python's `re`.
        alphabet: The characters of the texts (C,), each once.

    Raises:
        ConfigError: The pattern is not a regular expression; or it has backreferences or lookaround; or it is
          too large: more than 20,000 characters, 5,000 states or about a second of work.
    """
    try:
        if len(pattern) > _MAX_CHARACTERS:
            raise ConfigError(f"it has more than {_MAX_CHARACTERS:,} characters", hint="give a shorter one")
        with warnings.catch_warnings():  # about what a later Python may read differently, such as [[a]
            warnings.simplefilter("ignore")
            return _compile(pattern, alphabet)
    except (RecursionError, ConfigError) as error:
        too_deep = ConfigError("it is nested too deeply", hint="use fewer groups")
        reason = error if isinstance(error, ConfigError) else too_deep
        shown = pattern if len(pattern) <= 200 else pattern[:200] + "…"
        raise ConfigError(f"{shown} cannot be matched: {reason}", hint=reason.hint) from error


def _compile(pattern: str, alphabet: str) -> Automaton:
    parser, work = Parser(pattern), _WorkLimit()
    expression = parser.parse()
    # $ also matches before the last line end, which therefore has to be a kind of its own.
    atoms = [*parser.atoms, *[Atom("", "", "\n")] * ("$" in pattern)]
    kinds, kinds_of_atoms, count = _partition(atoms, alphabet, work)
    nodes = _Nodes(kinds_of_atoms, work)
    transitions, accepts = nodes.determinize(nodes.build(expression, 0), count)
    missing = [atom.source for atom, of in zip(parser.atoms, kinds_of_atoms, strict=False) if not of]
    return Automaton(kinds, transitions, accepts, tuple(dict.fromkeys(missing)))


class _WorkLimit:
    """The work that may still be spent on one expression."""

    def __init__(self) -> None:
        self._remaining = _MAX_WORK

    def spend(self, steps: int) -> None:
        """Raise ConfigError if the limit is exceeded."""
        self._remaining -= steps
        if self._remaining < 0:
            raise too_large("it takes too long to compile")


def _partition(
    atoms: list[Atom], alphabet: str, work: _WorkLimit
) -> tuple[npt.NDArray[np.int32], list[list[int]], int]:
    """Partition the alphabet into kinds of characters that no atom distinguishes.

    At first all characters are of one kind; each atom splits the kinds of which it matches only a part.

    Returns:
        The kind of each character (C,), the kinds that each atom matches, and the number of kinds.

    Raises:
        ConfigError: An atom is not valid.
    """
    index_of = np.full(sys.maxunicode + 1, -1, np.int32)
    index_of[code_points(alphabet)] = np.arange(len(alphabet))
    kinds, sizes = np.zeros(len(alphabet), np.int32), np.array([len(alphabet)])
    for atom in atoms:
        work.spend(_LITERAL_WORK if atom.characters else _CLASS_WORK + len(alphabet) // _CHARACTERS_PER_STEP)
        matched = _matched(atom, alphabet, index_of)
        counts = np.bincount(kinds[matched], minlength=len(sizes))
        split = np.flatnonzero((counts > 0) & (counts < sizes))
        new_kinds = np.arange(len(sizes))
        new_kinds[split] = len(sizes) + np.arange(len(split))
        kinds[matched] = new_kinds[kinds[matched]]
        sizes[split] -= counts[split]
        sizes = np.append(sizes, counts[split])
    example_of = np.zeros(len(sizes) if alphabet else 0, np.int32)
    example_of[kinds] = np.arange(len(alphabet))
    examples = "".join(alphabet[index] for index in example_of.tolist())
    index_of[:] = -1
    index_of[code_points(examples)] = np.arange(len(examples))
    work.spend(len(atoms) * len(examples) // _CHARACTERS_PER_STEP)
    return kinds, [_matched(atom, examples, index_of).tolist() for atom in atoms], len(examples)


def _matched(atom: Atom, text: str, index_of: npt.NDArray[np.int32]) -> npt.NDArray[np.integer]:
    """Return the indices of the characters of `text` that an atom matches.

    Args:
        atom: The atom.
        text: Distinct characters.
        index_of: The index in `text` of every code point, or -1.
    """
    if atom.characters:
        indices = index_of[code_points(atom.characters)]
        return indices[indices >= 0]
    try:
        runs = re.compile(f"(?{atom.flags}:{atom.source})+").finditer(text)
    except re.error as error:
        raise unsupported(f"{atom.source}: {error.msg}") from error
    return np.concatenate([np.zeros(0, np.intp), *[np.arange(*run.span()) for run in runs]])


# The kind of a node ("atom", "fork", "end", ^, $ or \Z), its atom, and the nodes after it.
_Node = tuple[str, int, tuple[int, ...]]


class _Nodes:
    """The nondeterministic automaton, and the deterministic one that is made of it."""

    def __init__(self, kinds_of_atoms: list[list[int]], work: _WorkLimit) -> None:
        self._kinds_of_atoms, self._work = kinds_of_atoms, work
        line_end = set(kinds_of_atoms[-1]) if kinds_of_atoms else set()
        self._line_end_atoms = {
            atom for atom, kinds in enumerate(kinds_of_atoms) if line_end.intersection(kinds)
        }
        self._nodes: list[_Node] = [("end", 0, ())]
        self._numbers = dict[_Node, int]()
        self._partitions = dict[tuple[int, ...], list[tuple[tuple[int, ...], list[int]]]]()

    def build(self, part: Expression, then: int) -> int:
        """Return the first node of a part that continues at node `then`; raises ConfigError if too large."""
        if part.kind == "chain":
            for one in reversed(part.parts):
                then = self.build(one, then)
            return then
        if part.kind == "repeat":
            return self._build_repeat(part, then)
        if part.kind == "choice":
            return self._shared("fork", 0, tuple([self.build(one, then) for one in part.parts]))
        return self._shared(part.kind, part.atom, (then,))

    def _build_repeat(self, part: Expression, then: int) -> int:
        repeated, first, minimum = part.parts[0], then, part.minimum
        if part.maximum is None:
            loop = self._add("fork", 0, ())
            inside = self.build(repeated, loop)
            self._nodes[loop] = ("fork", 0, (inside, then))
            first, minimum = (inside, minimum - 1) if minimum else (loop, 0)
        else:  # a?a?a? as (a(aa?)?)?, in which every text has only one path
            for _ in range(part.maximum - minimum):
                first = self._shared("fork", 0, (self.build(repeated, first), then))
        for _ in range(minimum):
            first = self.build(repeated, first)
        return first

    def _shared(self, kind: str, atom: int, after: tuple[int, ...]) -> int:
        """Return the only node with these properties."""
        key = kind, atom, after
        if key not in self._numbers:
            self._numbers[key] = self._add(*key)
        return self._numbers[key]

    def _add(self, kind: str, atom: int, after: tuple[int, ...]) -> int:
        if len(self._nodes) == _MAX_NODES:
            raise too_large(f"with its repeats written out it has more than {_MAX_NODES:,} characters")
        self._nodes.append((kind, atom, after))
        return len(self._nodes) - 1

    def determinize(self, first: int, count: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
        """Return the deterministic automaton that begins at a node, by the subset construction.

        Args:
            first: The first node.
            count: The number of kinds (K).

        Returns:
            `transitions` (Q, K) and `accepts` (Q,) of an Automaton.

        Raises:
            ConfigError: The automaton is too large.
        """
        states = [self._closure((first,), at_beginning=True)]
        numbers, rows = {states[0]: 0}, list[npt.NDArray[np.int32]]()
        known = dict[tuple[int, ...], int]()
        for ready, _ in states:  # grows during the loop
            after = defaultdict[int, list[int]](list)
            for node in ready:
                _, atom, then = self._nodes[node]
                after[atom].extend(then)
            row = np.full(count, DEAD, np.int32)
            for atoms, kinds in self._kinds_by_atoms(tuple(sorted(after))):
                nodes = tuple(sorted({node for atom in atoms for node in after[atom]}))
                if nodes not in known:
                    state = self._closure(nodes, at_beginning=False)
                    known[nodes] = numbers.setdefault(state, len(states)) if any(state) else DEAD
                    if known[nodes] == len(states):
                        states.append(state)
                row[kinds] = known[nodes]
                self._work.spend(5 + 2 * len(nodes))
            rows.append(row)
            self._work.spend(10 + 2 * len(ready) + count // 50)
            if len(states) > _MAX_STATES:
                raise too_large(f"it needs more than {_MAX_STATES:,} states")
            if len(states) * count > _MAX_ENTRIES:
                raise too_large("it needs too large a table")
        return np.stack(rows), np.array([accepts for _, accepts in states])

    def _kinds_by_atoms(self, atoms: tuple[int, ...]) -> list[tuple[tuple[int, ...], list[int]]]:
        """Group the kinds that any of these atoms match by the atoms that match them."""
        if atoms not in self._partitions:
            matching, groups = (
                defaultdict[int, list[int]](list),
                defaultdict[tuple[int, ...], list[int]](list),
            )
            for atom in atoms:
                self._work.spend(3 * len(self._kinds_of_atoms[atom]))
                for kind in self._kinds_of_atoms[atom]:
                    matching[kind].append(atom)
            for kind, matched_by in matching.items():
                groups[tuple(matched_by)].append(kind)
            self._partitions[atoms] = list(groups.items())
        return self._partitions[atoms]

    def _closure(self, nodes: tuple[int, ...], *, at_beginning: bool) -> tuple[tuple[int, ...], bool]:
        r"""Return the atoms with which a text may continue from these nodes, and whether it may end there.

        The nodes are followed in three passes: before any anchor of the end; after a $, where only a line end
        may follow; and after a \Z, where nothing may follow.
        """
        ready, accepts = set[int](), False
        passes = [list(nodes), list[int](), list[int]()]
        for anchors, waiting in enumerate(passes):
            seen = set[int]()
            while waiting:
                node = waiting.pop()
                if node in seen:
                    continue
                seen.add(node)
                kind, atom, after = self._nodes[node]
                if kind == "fork" or (kind == "^" and at_beginning):
                    waiting.extend(after)
                elif kind in ("$", r"\Z"):
                    passes[2 if kind == r"\Z" else max(anchors, 1)].extend(after)
                elif kind == "end":
                    accepts = True
                elif kind == "atom" and anchors == 0:
                    ready.add(node)
                elif kind == "atom" and anchors == 1 and atom in self._line_end_atoms:
                    last = self._shared(r"\Z", 0, after)
                    ready.add(self._shared("atom", len(self._kinds_of_atoms) - 1, (last,)))
            self._work.spend(2 * len(seen))
        return tuple(sorted(ready)), accepts
