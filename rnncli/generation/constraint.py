r"""What a model may write so that its text matches an expression. Shapes: B lanes, V tokens, S states.

The automaton over characters (generation/regex.py) becomes one over tokens, each of which is some
characters, or a byte of one. From some of its states no tokens of this model lead to a match, though characters would: in a
vocabulary without "b" nothing that begins with "a" matches "ab". Tokens that lead there are not allowed, and
neither are those after which a match is further away than the end of the text: so it always gets there.

    "ab|ac", tokens a, ab, c:     0 --ab--> match        0 --a--> 1 --c--> match

Tokens that the automaton does not tell apart are of one class, C in all.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rnncli.data.counting import code_points
from rnncli.data.tokenizers.base import Tokenizer, line_end, spelled
from rnncli.errors import ConfigError
from rnncli.generation.regex import DEAD, Automaton, compiled

Numbers = npt.NDArray[np.int32]

# Of states times classes or symbols.
_MOST_ENTRIES = 2**24
_UNREACHABLE = np.iinfo(np.int32).max
# UTF-8: how many bytes a character has, the first of such bytes, and the code point at which they end.
_LENGTHS = ((2, 0xC0, 0x800), (3, 0xE0, 0x10000), (4, 0xF0, 0x110000))
_FIRST_BYTE, _CONTINUATIONS, _BYTES = 0x80, 64, 128
# A byte that is no character stands as U+DC00 and its number (PEP 383), among code points that no text has.
_LONE_BYTE, _SURROGATES = 0xDC00, (0xD800, 0xE000)


class Constraint:
    """Where a text is in an expression, as the number of a state; DEAD after a token that is not of it."""

    def __init__(self, pattern: str, tokenizer: Tokenizer, never: tuple[int, ...] = ()) -> None:
        """`never` are tokens that the text cannot have. Raises ConfigError where `pattern` is too much."""
        # Words bring a blank, but for the first of a line.
        contexts = [spelled(tokenizer, ()), spelled(tokenizer, (0,))]
        if contexts[0] == contexts[1]:
            contexts.pop()
        symbols = _symbols(pattern, contexts[0] + contexts[-1])
        self._contexts, self._pattern = len(contexts), pattern
        self._hint = _hint(symbols.missing, words=tokenizer.level == "word", one_line=bool(never))
        impossible = {*never, tokenizer.unknown_id}
        spellings = [
            () if token in impossible else spelling
            for token, spelling in enumerate(zip(*contexts, strict=True))
        ]
        self._class, self._next = _over_tokens(pattern, symbols, spellings, line_end(tokenizer))
        self._accepts = np.repeat(symbols.accepts, len(contexts))
        self._distance = _distances(self._next, self._accepts)
        self._next[self._beyond(self._next) == _UNREACHABLE] = DEAD
        # Of the nearest match after one token more.
        self._nearest = self._beyond(self._next).min(1, initial=_UNREACHABLE)

    def begin(self, begins_line: bool, tokens: int) -> int:
        """The state of a text of at most so many tokens; raises ConfigError where none matches."""
        state = 0 if begins_line else self._contexts - 1
        least = int(self._distance[state])
        if least == _UNREACHABLE:
            raise ConfigError(f"nothing that this model can write matches {self._pattern}", hint=self._hint)
        if least > tokens:
            raise ConfigError(
                f"what matches {self._pattern} is longer than {tokens:,} tokens",
                hint=f"use --length {least} or more",
            )
        return state

    def after(self, states: npt.NDArray[np.integer] | int, tokens: npt.NDArray[np.integer] | int) -> Numbers:
        """The states (B,) after a token each; where one is DEAD the text ended before the token."""
        return np.asarray(self._next[states, self._class[tokens]])

    def over(self, state: int, tokens: int) -> bool:
        """Whether a text that matches cannot go on and match again, with so many tokens left."""
        return bool(self._accepts[state] and self._nearest[state] >= min(tokens, _UNREACHABLE))

    def complete(self, state: int) -> bool:
        """Whether it could not go on even with any number of tokens left."""
        return self.over(state, _UNREACHABLE)

    def allowed(self, states: npt.NDArray[np.integer], tokens: int) -> npt.NDArray[np.bool_]:
        """What may be drawn (B, V) with so many tokens left: what leads to a match in time.

        Where a text matches already, that may be its end: everything may be drawn that cannot belong to it.
        """
        after = self._next[states]
        fits = self._beyond(after) < min(tokens, _UNREACHABLE)
        fits |= self._accepts[states, None] & (after == DEAD)
        return fits[:, self._class]

    def _beyond(self, after: Numbers) -> Numbers:
        """How many tokens there are to a match."""
        return np.where(after == DEAD, np.int32(_UNREACHABLE), self._distance[after])


class _Symbols(NamedTuple):
    """The automaton over symbols: kinds of characters, then the 128 bytes that are none.

    `moves` (Q, K + 128) are states, `accepts` is (Q,), `of` (2^20 + 2^16,) the symbol of every code point.
    """

    moves: Numbers
    accepts: npt.NDArray[np.bool_]
    of: Numbers
    missing: tuple[str, ...]

    def walked(self, columns: Numbers) -> Numbers:
        """From every state the one after some symbols, of which there must be one (Q,)."""
        states = np.arange(len(self.moves), dtype=np.int32)
        for column in columns.tolist():
            states = np.where(states == DEAD, DEAD, self.moves[states, column])
        return states if len(columns) else np.full_like(states, DEAD)


def _symbols(pattern: str, spellings: list[str]) -> _Symbols:
    """Over the characters in which a model spells; over all that there are and bytes where it knows bytes."""
    written = sorted(set().union(*spellings))
    if any(_SURROGATES[0] <= ord(character) < _SURROGATES[1] for character in written):
        every = [*range(_SURROGATES[0]), *range(_SURROGATES[1], 0x110000)]
        alphabet = "".join(map(chr, every))
    else:
        alphabet = "".join(written)
    automaton = compiled(pattern, alphabet)
    of = np.full(0x110000, DEAD, np.int32)
    of[code_points(alphabet)] = automaton.kinds
    kinds = automaton.following.shape[1]
    inside = _inside_characters(of, kinds) if len(alphabet) != len(written) else np.arange(kinds)[None]
    of[_LONE_BYTE + _FIRST_BYTE : _LONE_BYTE + _FIRST_BYTE + _BYTES] = np.arange(kinds, kinds + _BYTES)
    return _Symbols(*_between_bytes(pattern, automaton, inside.astype(np.int32)), of, automaton.missing)


def _inside_characters(of: Numbers, kinds: int) -> Numbers:
    """Rows (1 + N, K + 128): what a symbol leads to between two characters, then inside of them.

    That is the kind of a character that is whole, or K + n for place n inside of one, n from 1, or DEAD.
    Places after which the same may come are one (as in a minimal automaton), which makes them few.
    """
    rows, first = list[Numbers](), np.full(_BYTES, DEAD, np.int32)
    below = _FIRST_BYTE
    for length, lead, end in _LENGTHS:
        level = np.append(of[:end], np.full(-end % _CONTINUATIONS ** (length - 1), DEAD, np.int32))
        level[:below] = DEAD  # they have fewer bytes
        for _ in range(length - 1):
            found, which = np.unique(level.reshape(-1, _CONTINUATIONS), axis=0, return_inverse=True)
            numbers = np.arange(len(rows) + 1, len(rows) + 1 + len(found), dtype=np.int32)
            numbers = np.where((found == DEAD).all(1), DEAD, kinds + numbers).astype(np.int32)
            rows.extend(found)
            level = numbers[which.reshape(-1)]
        first[lead - _FIRST_BYTE : lead - _FIRST_BYTE + len(level)] = level
        below = end
    inside = np.full((1 + len(rows), kinds + _BYTES), DEAD, np.int32)
    inside[0] = np.concatenate([np.arange(kinds), first])
    inside[1:, kinds : kinds + _CONTINUATIONS] = rows
    return inside


def _between_bytes(
    pattern: str, automaton: Automaton, inside: Numbers
) -> tuple[Numbers, npt.NDArray[np.bool_]]:
    """Every state at every place inside a character: moves and where a text may end."""
    states, kinds = automaton.following.shape
    places = len(inside)
    _check_size(pattern, states * inside.size)
    known = np.clip(inside, 0, max(kinds - 1, 0))
    whole = automaton.following[:, known] if kinds else np.full((states, *inside.shape), DEAD, np.int32)
    whole = np.where(whole == DEAD, DEAD, whole * places)
    here = np.arange(states, dtype=np.int32)[:, None, None] * places
    moves = np.where(inside < kinds, whole, here + inside - kinds)
    moves = np.where(inside == DEAD, DEAD, moves).astype(np.int32)
    accepts = np.zeros((states, places), np.bool_)
    accepts[:, 0] = automaton.accepts
    return moves.reshape(states * places, -1), accepts.reshape(-1)


def _over_tokens(
    pattern: str, symbols: _Symbols, spellings: list[tuple[str, ...]], end: int | None
) -> tuple[npt.NDArray[np.intp], Numbers]:
    """The class of every token (V,), and the moves (S, C) between states.

    A token has a spelling for each context that there is, at the beginning of a line and elsewhere, and none
    where it cannot be. A state is one of `symbols` in one of the contexts, which are side by side.
    """
    contexts = max(map(len, spellings))
    classes = dict[tuple[tuple[bytes, ...], bool], int]()
    class_of = np.zeros(len(spellings), np.intp)
    for token, spelling in enumerate(spellings):
        key = tuple(symbols.of[code_points(one)].tobytes() for one in spelling), token == end
        class_of[token] = classes.setdefault(key, len(classes))
    states = len(symbols.moves) * contexts
    _check_size(pattern, states * len(classes))
    moves = np.full((states, len(classes)), DEAD, np.int32)
    for (sequences, ends_line), number in classes.items():
        then = 0 if ends_line else contexts - 1
        for context, sequence in enumerate(sequences):
            after = symbols.walked(np.frombuffer(sequence, np.int32))
            moves[context::contexts, number] = np.where(after == DEAD, DEAD, after * contexts + then)
    return class_of, moves


def _hint(missing: tuple[str, ...], words: bool, one_line: bool) -> str:
    """Why nothing may match."""
    if missing:
        return f"it knows no {', '.join(missing[:5])}{' ...' if len(missing) > 5 else ''}"
    if words:
        return "it writes words that it knows, each but the first of a line after a blank"
    return "a text of a model of lines has no line end" if one_line else "its tokens do not fit together so"


def _check_size(pattern: str, entries: int) -> None:
    if entries > _MOST_ENTRIES:
        raise ConfigError(
            f"{pattern} needs too large a table with this model", hint="shorten it, or repeat less of it"
        )


def _distances(following: Numbers, accepts: npt.NDArray[np.bool_]) -> Numbers:
    """From every state (S,) the fewest tokens to one that accepts: backwards from these, level by level."""
    before, classes = np.nonzero(following != DEAD)
    after = following[before, classes]
    order = np.argsort(after, kind="stable")
    before, bounds = before[order], np.searchsorted(after[order], np.arange(len(accepts) + 1))
    distances = np.where(accepts, 0, _UNREACHABLE).astype(np.int32)
    level, reached = 0, np.flatnonzero(accepts)
    while len(reached):
        level += 1
        leading = [before[bounds[state] : bounds[state + 1]] for state in reached.tolist()]
        reached = np.unique(np.concatenate(leading))
        reached = reached[distances[reached] == _UNREACHABLE]
        distances[reached] = level
    return distances
