"""What a model says comes next, token by token, for many lanes. Shapes: B lanes, V symbols, N tokens."""

from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from rnncli.errors import GenerationError
from rnncli.generation.sampling import Logits, log_softmax
from rnncli.ngram.decoder import Ends, NgramStream
from rnncli.ngram.interpolation import Mixture
from rnncli.ngram.kneser_ney import Ngram
from rnncli.nn.config import ModelConfig

State = TypeVar("State")
Beside = tuple[Ngram, Mixture] | None


class Engine(Protocol[State]):
    """A network one token at a time: numpy_decoder/decoder.py on the CPU, torch_decoder.py elsewhere."""

    config: ModelConfig

    def initial_state(self, lanes: int) -> State: ...

    def step(
        self, tokens: npt.NDArray[np.integer], state: State
    ) -> tuple[npt.NDArray[np.float32], State]: ...

    def read(
        self, tokens: npt.NDArray[np.integer], state: State
    ) -> tuple[npt.NDArray[np.float32], State]: ...

    def lanes(self, state: State, chosen: npt.NDArray[np.intp]) -> State: ...


class Memory(NamedTuple):
    """What each lane has read: the network's state, and the ends of the text for the n-gram, if any."""

    state: Any
    ends: list[Ends]


class Place(NamedTuple):
    """Somewhere in a text, in every lane: ln p of what follows (B, V), and the memory of what was read."""

    logs: Logits
    memory: Memory


class Predictor:
    """ln p of every token: of the network, or of its mixture with the n-gram beside it."""

    def __init__(self, engine: Engine[Any], beside: Beside) -> None:
        self.config = engine.config
        self._engine = engine
        self._beside = None if beside is None else (NgramStream(beside[0]), beside[1])

    def begin(self, prompt: npt.NDArray[np.integer]) -> Place:
        """After "text begins" and the ids of a prompt (N,), in one lane."""
        nothing = Memory(self._engine.initial_state(1), [] if self._beside is None else [()])
        start = np.array([self.config.start])
        return self.read(np.concatenate([start, prompt]), nothing)

    def read(self, tokens: npt.NDArray[np.integer], memory: Memory) -> Place:
        """After some ids (N,), N > 0, in one lane."""
        with np.errstate(over="ignore", invalid="ignore"):  # said once, in _logs
            logits, state = self._engine.read(tokens.astype(np.int64), memory.state)
        ends = memory.ends
        if self._beside is not None:
            ends = [self._beside[0].read(tokens, ends[0])]
        return Place(self._logs(logits, ends), Memory(state, ends))

    def step(self, tokens: npt.NDArray[np.int64], memory: Memory) -> Place:
        """After a token of every lane (B,)."""
        with np.errstate(over="ignore", invalid="ignore"):
            logits, state = self._engine.step(tokens, memory.state)
        ends: list[Ends] = []
        if self._beside is not None:
            pairs = zip(memory.ends, tokens.tolist(), strict=True)
            ends = [self._beside[0].after(own, token) for own, token in pairs]
        return Place(self._logs(logits, ends), Memory(state, ends))

    def lanes(self, memory: Memory, chosen: npt.NDArray[np.intp]) -> Memory:
        """The memory of some lanes, in their order; one may be there several times."""
        ends = [memory.ends[lane] for lane in chosen.tolist()] if memory.ends else []
        return Memory(self._engine.lanes(memory.state, chosen), ends)

    def _logs(self, logits: npt.NDArray[np.float32], ends: list[Ends]) -> Logits:
        with np.errstate(invalid="ignore"):
            logs = log_softmax(logits.astype(np.float64))
        if np.isnan(logs[:, 0]).any():  # one number that is none makes all of its lane so
            raise GenerationError("the model's numbers overflow", hint="it cannot be used; train another")
        if self._beside is None:
            return logs
        ngram, mixture = self._beside
        probabilities = np.exp(logs)
        entropy = -(probabilities * logs).sum(1, where=probabilities > 0.0)
        others, known = ngram.distribution(ends)
        weight = mixture.weight(known, entropy)[:, None]
        return np.asarray(np.log(weight * probabilities + (1.0 - weight) * others))
