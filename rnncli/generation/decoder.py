"""Decoders: the distribution of the next token, step by step, for a batch of texts.

Shapes:
  B: batch size, the number of texts that are decoded side by side
  N: tokens of a prompt
  V: vocabulary size
"""

from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from rnncli.errors import GenerationError
from rnncli.generation.sampling_filters import Logits, log_softmax
from rnncli.ngram.decoder import Context, NgramDecoder
from rnncli.ngram.interpolation import WeightedNgram
from rnncli.nn.config import ModelConfig

State = TypeVar("State")


class LogitsDecoder(Protocol[State]):
    """A network one token at a time: NumPyDecoder on the CPU, TorchDecoder on other devices."""

    config: ModelConfig

    def initial_state(self, batch_size: int) -> State:
        """Return the state at the beginning of a text: zeros."""

    def step(self, tokens: npt.NDArray[np.integer], state: State) -> tuple[npt.NDArray[np.float32], State]:
        """Return the logits (B, V) after one more token of each text (B,), and the state."""

    def read(self, tokens: npt.NDArray[np.integer], state: State) -> tuple[npt.NDArray[np.float32], State]:
        """Return the logits (1, V) after some tokens (N,), N > 0, of a single text, and the state."""

    def select(self, state: State, rows: npt.NDArray[np.intp]) -> State:
        """Return the state of some rows of the batch, in their order; a row may occur several times."""


class DecoderState(NamedTuple):
    """A point in every text of a batch: ln p of the next token (B, V), and the state of the model there."""

    log_probs: Logits
    state: Any


class Decoder(Protocol):
    """A language model one token at a time: a network, or its interpolation with an n-gram."""

    config: ModelConfig

    def begin(self, prompt: npt.NDArray[np.integer]) -> DecoderState:
        """Return the point after BOS and the tokens of a prompt (N,), for a batch of one."""

    def read(self, tokens: npt.NDArray[np.integer], state: Any) -> DecoderState:
        """Return the point after some more tokens (N,), N > 0, for a batch of one."""

    def step(self, tokens: npt.NDArray[np.int64], state: Any) -> DecoderState:
        """Return the point after one more token of every text (B,).

        Raises:
            GenerationError: The network's numbers overflow.
        """

    def select(self, state: Any, rows: npt.NDArray[np.intp]) -> Any:
        """Return the state of some rows of the batch, in their order; a row may occur several times."""


class NetworkDecoder:
    """A Decoder for a network by itself."""

    def __init__(self, network: LogitsDecoder[Any]) -> None:
        self.config = network.config
        self._network = network

    def begin(self, prompt: npt.NDArray[np.integer]) -> DecoderState:
        bos = np.array([self.config.bos_id])
        return self.read(np.concatenate([bos, prompt]), self._network.initial_state(1))

    def read(self, tokens: npt.NDArray[np.integer], state: Any) -> DecoderState:
        with np.errstate(over="ignore", invalid="ignore"):  # _log_probs reports it
            logits, after = self._network.read(tokens.astype(np.int64), state)
        return DecoderState(_log_probs(logits), after)

    def step(self, tokens: npt.NDArray[np.int64], state: Any) -> DecoderState:
        with np.errstate(over="ignore", invalid="ignore"):
            logits, after = self._network.step(tokens, state)
        return DecoderState(_log_probs(logits), after)

    def select(self, state: Any, rows: npt.NDArray[np.intp]) -> Any:
        return self._network.select(state, rows)


class InterpolatedState(NamedTuple):
    """The state of the network, and the n-gram's context in each text."""

    network: Any
    contexts: list[Context]


class InterpolatedDecoder:
    """A Decoder for a network interpolated with an n-gram."""

    def __init__(self, network: LogitsDecoder[Any], ngram: WeightedNgram) -> None:
        self.config = network.config
        self._network = NetworkDecoder(network)
        self._ngram, self._weights = NgramDecoder(ngram.model), ngram.weights

    def begin(self, prompt: npt.NDArray[np.integer]) -> DecoderState:
        text = np.concatenate([np.array([self.config.bos_id]), prompt])
        return self._interpolated(self._network.begin(prompt), [self._ngram.read(text)])

    def read(self, tokens: npt.NDArray[np.integer], state: InterpolatedState) -> DecoderState:
        network = self._network.read(tokens, state.network)
        return self._interpolated(network, [self._ngram.read(tokens, state.contexts[0])])

    def step(self, tokens: npt.NDArray[np.int64], state: InterpolatedState) -> DecoderState:
        network = self._network.step(tokens, state.network)
        pairs = zip(state.contexts, tokens.tolist(), strict=True)
        return self._interpolated(network, [self._ngram.step(context, token) for context, token in pairs])

    def select(self, state: InterpolatedState, rows: npt.NDArray[np.intp]) -> InterpolatedState:
        contexts = [state.contexts[row] for row in rows.tolist()]
        return InterpolatedState(self._network.select(state.network, rows), contexts)

    def _interpolated(self, network: DecoderState, contexts: list[Context]) -> DecoderState:
        probabilities = np.exp(network.log_probs)
        entropy = -(probabilities * network.log_probs).sum(1, where=probabilities > 0.0)
        ngram, known = self._ngram.distribution(contexts)
        weight = self._weights.weight(known, entropy)[:, None]
        log_probs = np.asarray(np.log(weight * probabilities + (1.0 - weight) * ngram))
        return DecoderState(log_probs, InterpolatedState(network.state, contexts))


def make_decoder(network: LogitsDecoder[Any], ngram: WeightedNgram | None) -> Decoder:
    """Return the decoder of a network, interpolated with an n-gram if there is one."""
    return NetworkDecoder(network) if ngram is None else InterpolatedDecoder(network, ngram)


def _log_probs(logits: npt.NDArray[np.float32]) -> Logits:
    with np.errstate(invalid="ignore"):
        log_probs = log_softmax(logits.astype(np.float64))
    if np.isnan(log_probs[:, 0]).any():  # a single NaN among the logits makes its whole row NaN
        raise GenerationError("the model's numbers overflow", hint="it cannot be used; train another")
    return log_probs
