"""Tokens drawn one after another from a model, in one lane or in many. Shapes: B lanes, V symbols.

Lane k of a seed draws from a generator of its own, so that its text is the same whatever lanes are beside it,
but for the rounding of products of other sizes, which may turn a draw that is at the border of two tokens.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rnncli.data.tokenizers.base import Ids
from rnncli.evaluation.config import SamplingConfig
from rnncli.generation.constraint import Constraint
from rnncli.generation.prediction import Place, Predictor
from rnncli.generation.sampling import Logits, Tokens, draw, filtered, forbid, penalize

# Random numbers are drawn so many at a time.
_AT_ONCE = 64


class Match(NamedTuple):
    """Texts of at most so many tokens are to match, from the state in which they begin."""

    constraint: Constraint
    begins: int
    tokens: int


class Writer:
    """Lanes that all go on from one place in a text; a step draws a token for each."""

    def __init__(
        self,
        predictor: Predictor,
        begin: Place,
        prompt: Ids,
        config: SamplingConfig,
        seed: int,
        lanes: range = range(1),
        forbidden: Sequence[int] = (),
        match: Match | None = None,
    ) -> None:
        """`prompt` (N,) has led to `begin`, which is in one lane: what is not to be repeated is in it."""
        self._predictor, self._config, vocab_size = predictor, config, predictor.config.vocab_size
        together = np.zeros(len(lanes), np.intp)
        self._logs, self._memory = begin.logs[together], predictor.lanes(begin.memory, together)
        self._drawn: Tokens | None = None
        # What is never drawn: added to the logarithms, it takes them out.
        self._forbidden = forbid(np.zeros((1, vocab_size)), forbidden)
        self._match, self._written = match, 0
        self._states = np.full(len(lanes), match.begins if match else 0)
        self._rngs = [np.random.default_rng([seed, lane]) for lane in lanes]
        self._uniforms = np.zeros((len(lanes), 0))
        self._seen = np.zeros((len(lanes), vocab_size), np.bool_)
        self._seen[:, prompt] = True
        self._runs = [_Runs(config.no_repeat_ngram, prompt.tolist()) for _ in lanes]

    def step(self) -> tuple[Tokens, npt.NDArray[np.float64]]:
        """A token for every lane (B,), and -ln p of each under the model, before any filter (B,)."""
        self.place()
        tokens = self._chosen(self._logs)
        self._remember(tokens)
        return tokens, -self._logs[np.arange(len(tokens)), tokens]

    def place(self) -> Place:
        """After all that was drawn."""
        if self._drawn is not None:
            self._logs, self._memory = self._predictor.step(self._drawn, self._memory)
            self._drawn = None
        return Place(self._logs, self._memory)

    def keep(self, lanes: npt.NDArray[np.bool_]) -> None:
        """Go on with these lanes alone."""
        chosen = np.flatnonzero(lanes)
        self._memory = self._predictor.lanes(self._memory, chosen)
        self._logs, self._seen = self._logs[chosen], self._seen[chosen]
        self._uniforms, self._states = self._uniforms[chosen], self._states[chosen]
        self._rngs = [self._rngs[lane] for lane in chosen]
        self._runs = [self._runs[lane] for lane in chosen]
        if self._drawn is not None:
            self._drawn = self._drawn[chosen]

    def _chosen(self, logs: Logits) -> Tokens:
        config = self._config
        allowed = penalize(logs + self._forbidden, self._seen, config.repetition_penalty)
        if self._match is not None:
            left = self._match.tokens - self._written
            allowed[~self._match.constraint.allowed(self._states, left)] = -np.inf
        if config.no_repeat_ngram:
            lanes = enumerate(self._runs)
            allowed = np.concatenate([forbid(allowed[lane, None], runs.again()) for lane, runs in lanes])
        if config.temperature == 0.0:
            return np.asarray(np.argmax(allowed, axis=1))
        if not self._uniforms.shape[1]:
            self._uniforms = np.stack([rng.random(_AT_ONCE) for rng in self._rngs])
        uniform, self._uniforms = self._uniforms[:, 0], self._uniforms[:, 1:]
        return draw(filtered(allowed, config), uniform)

    def _remember(self, tokens: Tokens) -> None:
        self._drawn = tokens
        if self._match is not None:
            self._written += 1
            self._states = self._match.constraint.after(self._states, tokens)
        if self._config.repetition_penalty != 1.0:
            self._seen[np.arange(len(tokens)), tokens] = True
        if self._config.no_repeat_ngram:
            for runs, token in zip(self._runs, tokens.tolist(), strict=True):
                runs.add(token)


class _Runs:
    """Every run of `length` tokens that was there: which tokens would make one come again?"""

    def __init__(self, length: int, tokens: list[int]) -> None:
        self._length = length
        self._tokens: list[int] = []
        self._followed: dict[tuple[int, ...], list[int]] = {}
        for token in tokens if length else ():
            self.add(token)

    def add(self, token: int) -> None:
        if len(self._tokens) >= self._length - 1:
            self._followed.setdefault(self._last(), []).append(token)
        self._tokens.append(token)

    def again(self) -> list[int]:
        return self._followed.get(self._last(), [])

    def _last(self) -> tuple[int, ...]:
        return tuple(self._tokens[len(self._tokens) - self._length + 1 :])
