r"""The tokens that a model may generate so that its text matches a regular expression.

The automaton over characters (automaton.py) becomes one over tokens, each of which is some characters or a
byte of one. From some of its states no tokens of this model lead to a match, although characters would: with
a vocabulary without "b", nothing that begins with "a" matches "ab". Tokens that lead to such a state are not
allowed, nor are tokens after which the nearest match is farther away than the end of the text. A text
therefore always reaches a match.

    "ab|ac", tokens a, ab, c:     0 --ab--> match        0 --a--> 1 --c--> match

Shapes:
  B: batch size
  C: classes of tokens; the automaton does not distinguish the tokens of a class
  K: kinds of characters (see automaton.py)
  Q: states of the automaton over characters, or over characters and bytes
  S: states of the automaton over tokens
  V: vocabulary size
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rnncli.data.tokenizers.base import Tokenizer, code_points, line_end, token_strings
from rnncli.errors import ConfigError
from rnncli.generation.constraints.automaton import DEAD, Automaton, compile_pattern

Indices = npt.NDArray[np.int32]

# Limit of a table: states times classes, or states times characters and bytes.
_MAX_ENTRIES = 2**24
_UNREACHABLE = np.iinfo(np.int32).max
# For each length of a UTF-8 sequence in bytes: its lowest first byte, and the first code point beyond it.
_UTF8_LENGTHS = ((2, 0xC0, 0x800), (3, 0xE0, 0x10000), (4, 0xF0, 0x110000))
# Bytes from 0x80 on are not characters by themselves: 64 continuation bytes, 128 in all.
_FIRST_BYTE, _CONTINUATION_BYTES, _BYTES = 0x80, 64, 128
# A byte that is not a character is represented by U+DC00 plus its value (PEP 383), a lone surrogate.
_SURROGATE_ESCAPE, _SURROGATES = 0xDC00, (0xD800, 0xE000)


class TokenConstraint:
    """A regular expression over the tokens of a model.

    The position of a text in the expression is a state; the state is DEAD after a token that cannot be part
    of a match.
    """

    def __init__(self, pattern: str, tokenizer: Tokenizer, *, impossible: tuple[int, ...] = ()) -> None:
        """Compile a pattern.

        Args:
            pattern: The regular expression, in the syntax of Python's `re`.
            tokenizer: The tokenizer of the model.
            impossible: Tokens that no text has.

        Raises:
            ConfigError: The pattern is not a regular expression, or its automaton is too large.
        """
        # A word brings a space with it, except at the beginning of a line.
        contexts = [token_strings(tokenizer, ()), token_strings(tokenizer, (0,))]
        if contexts[0] == contexts[1]:
            contexts.pop()
        symbols = _compile_symbols(pattern, contexts[0] + contexts[-1])
        self._contexts, self._pattern = len(contexts), pattern
        self._hint = _hint(symbols.missing, words=tokenizer.level == "word", one_line=bool(impossible))
        excluded = {*impossible, tokenizer.unk_id}
        strings = [
            () if token in excluded else forms for token, forms in enumerate(zip(*contexts, strict=True))
        ]
        self._class_of, self._transitions = _compile_tokens(pattern, symbols, strings, line_end(tokenizer))
        self._accepts = np.repeat(symbols.accepts, len(contexts))
        self._distance = _distances(self._transitions, self._accepts)
        self._transitions[self._distance_from(self._transitions) == _UNREACHABLE] = DEAD
        # The distance of the nearest match after one more token.
        self._distance_after = self._distance_from(self._transitions).min(1, initial=_UNREACHABLE)

    def initial_state(self, *, begins_line: bool, max_tokens: int) -> int:
        """Return the state at the beginning of a text.

        Args:
            begins_line: Whether the text begins a line, or continues one.
            max_tokens: Maximum number of tokens of the text.

        Raises:
            ConfigError: No text of so many tokens matches.
        """
        state = 0 if begins_line else self._contexts - 1
        distance = int(self._distance[state])
        if distance == _UNREACHABLE:
            raise ConfigError(
                f"no text that this model can generate matches {self._pattern}", hint=self._hint
            )
        if distance > max_tokens:
            raise ConfigError(
                f"every text that matches {self._pattern} is longer than {max_tokens:,} tokens",
                hint=f"use --length {distance} or more",
            )
        return state

    def next_states(
        self, states: npt.NDArray[np.integer] | int, tokens: npt.NDArray[np.integer] | int
    ) -> Indices:
        """Return the states (B,) after one more token of each text (B,); DEAD: the text ended before it."""
        return np.asarray(self._transitions[states, self._class_of[tokens]])

    def must_end(self, state: int, remaining: int = _UNREACHABLE) -> bool:
        """Whether a text matches, and no longer text with at most `remaining` more tokens does."""
        return bool(self._accepts[state] and self._distance_after[state] >= min(remaining, _UNREACHABLE))

    def allowed_tokens(self, states: npt.NDArray[np.integer], remaining: int) -> npt.NDArray[np.bool_]:
        """Return which tokens may be sampled (B, V): those that lead to a match in time.

        Where a text already matches, it may end: tokens that cannot be part of it are then allowed, too.

        Args:
            states: The state of each text (B,).
            remaining: Number of tokens that a text may still have.
        """
        after = self._transitions[states]
        allowed = self._distance_from(after) < min(remaining, _UNREACHABLE)
        allowed |= self._accepts[states, None] & (after == DEAD)
        return allowed[:, self._class_of]

    def _distance_from(self, states: Indices) -> Indices:
        """Return the fewest tokens from each state to a match."""
        return np.where(states == DEAD, np.int32(_UNREACHABLE), self._distance[states])


class PatternMatch(NamedTuple):
    """A constraint on texts of a certain length that begin in a certain context.

    Attributes:
        constraint: The regular expression over tokens.
        initial_state: The state at the beginning of a text.
        max_tokens: Maximum number of tokens of a text.
    """

    constraint: TokenConstraint
    initial_state: int
    max_tokens: int


class _SymbolAutomaton(NamedTuple):
    """The automaton over symbols: kinds of characters, then the 128 bytes that are not characters.

    Attributes:
        transitions: The state after a symbol (Q, K + 128).
        accepts: Whether a text may end in a state (Q,).
        symbol_of: The symbol of each code point (2^20 + 2^16,).
        missing: Parts of the pattern that match none of the characters.
    """

    transitions: Indices
    accepts: npt.NDArray[np.bool_]
    symbol_of: Indices
    missing: tuple[str, ...]

    def run(self, symbols: Indices) -> Indices:
        """Return for every state the state after a sequence of symbols (Q,); DEAD if it is empty."""
        states = np.arange(len(self.transitions), dtype=np.int32)
        for symbol in symbols.tolist():
            states = np.where(states == DEAD, DEAD, self.transitions[states, symbol])
        return states if len(symbols) else np.full_like(states, DEAD)


def _compile_symbols(pattern: str, strings: list[str]) -> _SymbolAutomaton:
    """Compile a pattern over the characters of all tokens, or over all characters if a token is a byte."""
    known = sorted(set().union(*strings))
    if any(_SURROGATES[0] <= ord(character) < _SURROGATES[1] for character in known):
        every = [*range(_SURROGATES[0]), *range(_SURROGATES[1], 0x110000)]
        alphabet = "".join(map(chr, every))
    else:
        alphabet = "".join(known)
    automaton = compile_pattern(pattern, alphabet)
    symbol_of = np.full(0x110000, DEAD, np.int32)
    symbol_of[code_points(alphabet)] = automaton.kinds
    kinds = automaton.transitions.shape[1]
    positions = _utf8_positions(symbol_of, kinds) if len(alphabet) != len(known) else np.arange(kinds)[None]
    first = _SURROGATE_ESCAPE + _FIRST_BYTE
    symbol_of[first : first + _BYTES] = np.arange(kinds, kinds + _BYTES)
    transitions, accepts = _with_positions(pattern, automaton, positions.astype(np.int32))
    return _SymbolAutomaton(transitions, accepts, symbol_of, automaton.missing)


def _utf8_positions(kind_of: Indices, kinds: int) -> Indices:
    """Return the transitions (1 + N, K + 128) between positions inside the UTF-8 bytes of a character.

    Row 0 is the position between two characters, rows 1 to N are positions inside a character. An entry is
    the kind of a character that is complete, K + n for position n, or DEAD. Positions that may be followed by
    the same bytes are one, as in a minimal automaton, so that N is small.
    """
    rows, first_bytes = list[Indices](), np.full(_BYTES, DEAD, np.int32)
    below = _FIRST_BYTE
    for length, lead, end in _UTF8_LENGTHS:
        level = np.append(kind_of[:end], np.full(-end % _CONTINUATION_BYTES ** (length - 1), DEAD, np.int32))
        level[:below] = DEAD  # these characters have fewer bytes
        for _ in range(length - 1):
            distinct, which = np.unique(level.reshape(-1, _CONTINUATION_BYTES), axis=0, return_inverse=True)
            numbers = np.arange(len(rows) + 1, len(rows) + 1 + len(distinct), dtype=np.int32)
            numbers = np.where((distinct == DEAD).all(1), DEAD, kinds + numbers).astype(np.int32)
            rows.extend(distinct)
            level = numbers[which.reshape(-1)]
        first_bytes[lead - _FIRST_BYTE : lead - _FIRST_BYTE + len(level)] = level
        below = end
    positions = np.full((1 + len(rows), kinds + _BYTES), DEAD, np.int32)
    positions[0] = np.concatenate([np.arange(kinds), first_bytes])
    positions[1:, kinds : kinds + _CONTINUATION_BYTES] = rows
    return positions


def _with_positions(
    pattern: str, automaton: Automaton, positions: Indices
) -> tuple[Indices, npt.NDArray[np.bool_]]:
    """Combine every state with every position inside a character: transitions and accepting states."""
    states, kinds = automaton.transitions.shape
    count = len(positions)
    _check_size(pattern, states * positions.size)
    kind = np.clip(positions, 0, max(kinds - 1, 0))
    complete = (
        automaton.transitions[:, kind] if kinds else np.full((states, *positions.shape), DEAD, np.int32)
    )
    complete = np.where(complete == DEAD, DEAD, complete * count)
    state_offset = np.arange(states, dtype=np.int32)[:, None, None] * count
    transitions = np.where(positions < kinds, complete, state_offset + positions - kinds)
    transitions = np.where(positions == DEAD, DEAD, transitions).astype(np.int32)
    accepts = np.zeros((states, count), np.bool_)
    accepts[:, 0] = automaton.accepts
    return transitions.reshape(states * count, -1), accepts.reshape(-1)


def _compile_tokens(
    pattern: str, symbols: _SymbolAutomaton, strings: list[tuple[str, ...]], end: int | None
) -> tuple[npt.NDArray[np.intp], Indices]:
    """Return the class of every token (V,) and the transitions (S, C) between states.

    A token has one string for each context, at the beginning of a line and elsewhere, and no string if it is
    impossible. A state is a state of `symbols` in one of the contexts, whose states alternate.
    """
    contexts = max(map(len, strings))
    classes = dict[tuple[tuple[bytes, ...], bool], int]()
    class_of = np.zeros(len(strings), np.intp)
    for token, forms in enumerate(strings):
        key = tuple(symbols.symbol_of[code_points(form)].tobytes() for form in forms), token == end
        class_of[token] = classes.setdefault(key, len(classes))
    states = len(symbols.transitions) * contexts
    _check_size(pattern, states * len(classes))
    transitions = np.full((states, len(classes)), DEAD, np.int32)
    for (sequences, ends_line), number in classes.items():
        next_context = 0 if ends_line else contexts - 1
        for context, sequence in enumerate(sequences):
            after = symbols.run(np.frombuffer(sequence, np.int32))
            transitions[context::contexts, number] = np.where(
                after == DEAD, DEAD, after * contexts + next_context
            )
    return class_of, transitions


def _hint(missing: tuple[str, ...], *, words: bool, one_line: bool) -> str:
    """Explain why no text may match."""
    if missing:
        more = " ..." if len(missing) > 5 else ""
        return f"its vocabulary has nothing for {', '.join(missing[:5])}{more}"
    if words:
        return "it generates words of its vocabulary, with a space before each but the first of a line"
    if one_line:
        return "it was trained line by line, and its texts have no line ends"
    return "its tokens cannot be combined to such a text"


def _check_size(pattern: str, entries: int) -> None:
    if entries > _MAX_ENTRIES:
        raise ConfigError(
            f"{pattern} needs too large a table with this model", hint="shorten it, or repeat less of it"
        )


def _distances(transitions: Indices, accepts: npt.NDArray[np.bool_]) -> Indices:
    """Return the fewest tokens from each state to an accepting one (S,), by backward breadth-first search."""
    sources, classes = np.nonzero(transitions != DEAD)
    targets = transitions[sources, classes]
    order = np.argsort(targets, kind="stable")
    sources, bounds = sources[order], np.searchsorted(targets[order], np.arange(len(accepts) + 1))
    distances = np.where(accepts, 0, _UNREACHABLE).astype(np.int32)
    level, frontier = 0, np.flatnonzero(accepts)
    while len(frontier):
        level += 1
        before = [sources[bounds[state] : bounds[state + 1]] for state in frontier.tolist()]
        frontier = np.unique(np.concatenate(before))
        frontier = frontier[distances[frontier] == _UNREACHABLE]
        distances[frontier] = level
    return distances
