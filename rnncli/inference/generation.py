"""Tokens drawn one after another from a model, its memory carried along. Shapes: B lanes, V symbols."""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from rnncli.inference.config import SamplingConfig
from rnncli.inference.sampling import forbid, sample
from rnncli.model.config import ModelConfig
from rnncli.model.mixture import Mixture
from rnncli.model.ngram import MOST_ORDER, Ngram
from rnncli.text.tokenizers import Ids

State = TypeVar("State")


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


def generate(
    engine: Engine[State],
    prompt: Ids,
    config: SamplingConfig,
    rng: np.random.Generator,
    forbidden: Sequence[int] = (),
    beside: tuple[Ngram, Mixture] | None = None,
) -> Iterator[int]:
    """An endless stream of ids after "text begins" and the ids of `prompt` (N,).

    Drawn from the network's distribution, or, with an n-gram `beside` it, from the mixture of both.
    """
    begun = np.concatenate([[engine.config.start], prompt]).astype(np.int64)
    logits, state = engine.read(begun, engine.initial_state(1))
    history = deque(begun[-MOST_ORDER:].tolist(), MOST_ORDER)
    while True:
        scores = logits[0].astype(np.float64)
        if beside is not None:
            scores = _mixed(scores, np.array(history), *beside)
        token = sample(forbid(scores, forbidden), config, rng)
        history.append(token)
        yield token
        logits, state = engine.step(np.array([token]), state)


def _mixed(
    logits: npt.NDArray[np.float64], history: npt.NDArray[np.int64], ngram: Ngram, mixture: Mixture
) -> npt.NDArray[np.float64]:
    """The network's logits (V,) -> the logarithms of the mixture's probabilities (V,)."""
    logs = logits - np.logaddexp.reduce(logits)
    probabilities = np.exp(logs)
    entropy = -(probabilities * logs).sum(where=probabilities > 0.0)
    others, known = ngram.distribution(history)
    weight = float(mixture.weight(np.array([known]), np.array([entropy]))[0])
    return np.asarray(np.log(weight * probabilities + (1.0 - weight) * others))
