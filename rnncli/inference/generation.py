"""Tokens drawn one after another from a model, in one lane or in many. Shapes: B lanes, V symbols.

Lane k of a seed draws from a generator of its own, so that its text is the same whatever lanes are beside it.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from rnncli.inference.config import SamplingConfig
from rnncli.inference.sampling import Logits, Tokens, draw, filtered, forbid, log_softmax, penalize
from rnncli.model.config import ModelConfig
from rnncli.model.mixture import Mixture
from rnncli.model.ngram import Ngram
from rnncli.model.ngram_stream import Ends, NgramStream
from rnncli.text.tokenizers import Ids

State = TypeVar("State")
Beside = tuple[Ngram, Mixture] | None

# Random numbers are drawn so many at a time.
_AT_ONCE = 64


class Engine(Protocol[State]):
    """What says what comes next: model/stepper.py on a processor, inference/torch_engine.py elsewhere."""

    config: ModelConfig

    def initial_state(self, lanes: int) -> State: ...

    def step(
        self, tokens: npt.NDArray[np.integer], state: State
    ) -> tuple[npt.NDArray[np.float32], State]: ...

    def read(
        self, tokens: npt.NDArray[np.integer], state: State
    ) -> tuple[npt.NDArray[np.float32], State]: ...

    def lanes(self, state: State, chosen: npt.NDArray[np.intp]) -> State: ...


class Writer:
    """Lanes that all begin with "text begins" and a prompt; a step draws a token for each that goes on.

    Drawn from the network's distribution, or, with an n-gram beside it, from the mixture of both.
    """

    def __init__(
        self,
        engine: Engine[Any],
        prompt: Ids,
        config: SamplingConfig,
        seed: int,
        lanes: int = 1,
        forbidden: Sequence[int] = (),
        beside: Beside = None,
    ) -> None:
        begun = np.concatenate([[engine.config.start], prompt]).astype(np.int64)
        logits, state = engine.read(begun, engine.initial_state(1))
        together = np.zeros(lanes, np.intp)
        self._logits, self._state = logits[together], engine.lanes(state, together)
        self._drawn: Tokens | None = None
        self._engine, self._config = engine, config
        # What is never drawn: added to the logarithms, it takes them out.
        self._forbidden = forbid(np.zeros((1, engine.config.vocab_size)), forbidden)
        self._rngs = [np.random.default_rng([seed, lane]) for lane in range(lanes)]
        self._uniforms = np.zeros((lanes, 0))
        self._mixed = None if beside is None else (NgramStream(beside[0]), beside[1])
        self._ends: list[Ends] = [() if self._mixed is None else self._mixed[0].read(begun)] * lanes
        self._seen = np.zeros((lanes, engine.config.vocab_size), np.bool_)
        self._seen[:, prompt] = True
        self._runs = [_Runs(config.no_repeat_ngram, prompt.tolist()) for _ in range(lanes)]

    @property
    def lanes(self) -> int:
        return len(self._rngs)

    def step(self) -> tuple[Tokens, npt.NDArray[np.float64]]:
        """A token for every lane (B,), and -ln p of each under the model, before any filter (B,)."""
        if self._drawn is not None:
            self._logits, self._state = self._engine.step(self._drawn, self._state)
        scores: Logits = self._logits.astype(np.float64)
        if self._mixed is not None:
            scores = _mixed(scores, self._ends, *self._mixed)
        logs = log_softmax(scores)
        tokens = self._chosen(logs)
        self._remember(tokens)
        return tokens, -logs[np.arange(len(tokens)), tokens]

    def keep(self, lanes: npt.NDArray[np.bool_]) -> None:
        """Go on with these lanes alone."""
        chosen = np.flatnonzero(lanes)
        self._state, self._seen = self._engine.lanes(self._state, chosen), self._seen[chosen]
        self._uniforms = self._uniforms[chosen]
        self._rngs = [self._rngs[lane] for lane in chosen]
        self._ends = [self._ends[lane] for lane in chosen]
        self._runs = [self._runs[lane] for lane in chosen]
        assert self._drawn is not None
        self._drawn = self._drawn[chosen]

    def _chosen(self, logs: Logits) -> Tokens:
        config = self._config
        allowed = penalize(logs + self._forbidden, self._seen, config.repetition_penalty)
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
        if self._config.repetition_penalty != 1.0:
            self._seen[np.arange(len(tokens)), tokens] = True
        if self._mixed is not None:
            pairs = zip(self._ends, tokens.tolist(), strict=True)
            self._ends = [self._mixed[0].after(ends, token) for ends, token in pairs]
        if self._config.no_repeat_ngram:
            for runs, token in zip(self._runs, tokens.tolist(), strict=True):
                runs.add(token)


def generate(
    engine: Engine[Any],
    prompt: Ids,
    config: SamplingConfig,
    seed: int,
    forbidden: Sequence[int] = (),
    beside: Beside = None,
) -> Iterator[int]:
    """An endless stream of ids after the prompt (N,): a Writer's first lane."""
    writer = Writer(engine, prompt, config, seed, 1, forbidden, beside)
    while True:
        tokens, _ = writer.step()
        yield int(tokens[0])


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


def _mixed(scores: Logits, ends: list[Ends], ngram: NgramStream, mixture: Mixture) -> Logits:
    """The network's logits (B, V) -> the logarithms of the mixture's probabilities (B, V)."""
    logs = log_softmax(scores)
    probabilities = np.exp(logs)
    entropy = -(probabilities * logs).sum(1, where=probabilities > 0.0)
    others, known = ngram.distribution(ends)
    weight = mixture.weight(known, entropy)[:, None]
    return np.asarray(np.log(weight * probabilities + (1.0 - weight) * others))
