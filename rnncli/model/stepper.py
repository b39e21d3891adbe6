"""The model one token at a time, in numpy. Shapes: B lanes, D width, G gates times D, V symbols.

torch's recurrent layers are made for windows: one step of one lane costs them more than the products in it,
and importing torch takes longer than writing a page. Here the memory is numpy's, and what depends on the
token alone, the first layer's product with the embedding, is looked up in a table:

    token -> table (V + 1, G) --+
                                +--> gates -> h (B, D) -> ... -> logits (B, V)
    h (B, D) -> product (B, G) -+

It is a second implementation of model/network.py, written from the equations of model/recurrent.py, and the
check of it: both say the same, within rounding.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rnncli.model.config import GATES, ModelConfig

Floats = npt.NDArray[np.float32]
# Of each layer, one member's after another's: h, and for lstm c, (B, D).
StepState = tuple[tuple[Floats, ...], ...]

# Larger tables than this are left out, and their rows computed when they are needed.
_MOST_TABLE = 2**23


class Stepper:
    """P(next token | all before) of one model; the memory is an argument and a result."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, npt.NDArray[Any]]) -> None:
        """`weights` have the names and shapes of config.shapes."""
        self.config = config
        with np.errstate(over="ignore", invalid="ignore"):  # whoever steps sees it in the logits
            self._members = [
                _Member(config, {name: weights[f"members.{one}.{name}"] for name in _names(config)})
                for one in range(config.members)
            ]

    def initial_state(self, lanes: int) -> StepState:
        """The state before any text: zeros, B lanes."""
        shape, tensors = (lanes, self.config.hidden_size), 2 if self.config.cell == "lstm" else 1
        layers = self.config.num_layers * self.config.members
        return tuple(tuple(np.zeros(shape, np.float32) for _ in range(tensors)) for _ in range(layers))

    def step(self, tokens: npt.NDArray[np.integer], state: StepState) -> tuple[Floats, StepState]:
        """tokens (B,) -> logits (B, V) of what follows them, and the state after them."""
        hidden, after = self.advance(tokens, state)
        return self.logits(hidden), after

    def advance(self, tokens: npt.NDArray[np.integer], state: StepState) -> tuple[list[Floats], StepState]:
        """tokens (B,) -> the members' last outputs (B, D), and the state after them: no logits."""
        depth, outputs, after = self.config.num_layers, list[Floats](), list[tuple[Floats, ...]]()
        for number, member in enumerate(self._members):
            own = member.step(tokens, state[number * depth : (number + 1) * depth])
            outputs.append(own[-1][0])
            after.extend(own)
        return outputs, tuple(after)

    def read(self, tokens: npt.NDArray[np.integer], state: StepState) -> tuple[Floats, StepState]:
        """tokens (N,), N > 0, and the state of one lane -> logits (1, V) of what follows, and the state."""
        hidden = list[Floats]()
        for place in range(len(tokens)):
            hidden, state = self.advance(tokens[place : place + 1], state)
        return self.logits(hidden), state

    def lanes(self, state: StepState, chosen: npt.NDArray[np.intp]) -> StepState:
        """The state of some lanes, in their order."""
        return tuple(tuple(array[chosen] for array in layer) for layer in state)

    def logits(self, hidden: list[Floats]) -> Floats:
        """The members' outputs (B, D) -> logits (B, V); of several the logarithms of the mean."""
        each = [member.logits(own) for member, own in zip(self._members, hidden, strict=True)]
        if len(each) == 1:
            return each[0]
        mean = sum((_softmax(one) for one in each), np.zeros_like(each[0])) / len(each)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(mean))


class _Member:
    """One network; gates that go through the logistic function are halved, so that tanh serves for all.

    σ(x) = (1 + tanh(x / 2)) / 2
    """

    def __init__(self, config: ModelConfig, weights: Mapping[str, npt.NDArray[Any]]) -> None:
        self._cell = config.cell
        self._relu = config.nonlinearity == "relu"
        self._width = config.hidden_size
        halves = _halves(config)
        self._recurrent, self._inputs, self._biases = list[Floats](), list[Floats](), list[Floats]()
        # Of gru's candidate, whose recurrent bias stands inside the reset gate's product.
        self._inner = list[Floats]()
        for layer in range(config.num_layers):
            kernel = f"layers.{layer}.kernel."
            recurrent_bias = weights[f"{kernel}bias_hh_l0"]
            bias = weights[f"{kernel}bias_ih_l0"] + recurrent_bias
            if config.cell == "gru":
                bias[2 * self._width :] -= recurrent_bias[2 * self._width :]
                self._inner.append(recurrent_bias[2 * self._width :].copy())
            self._recurrent.append(_columns(weights[f"{kernel}weight_hh_l0"] * halves[:, None]))
            self._inputs.append(_columns(weights[f"{kernel}weight_ih_l0"] * halves[:, None]))
            self._biases.append(bias * halves)
        self._embedding = weights["embedding.weight"]
        output = self._embedding[:-1] if config.tied_embeddings else weights["output_weight"]
        self._output = _columns(output)
        self._output_bias = weights["output_bias"]
        tabulated = len(self._embedding) * len(halves) <= _MOST_TABLE
        self._table = self._embedding @ self._inputs[0] + self._biases[0] if tabulated else None

    def step(
        self, tokens: npt.NDArray[np.integer], state: tuple[tuple[Floats, ...], ...]
    ) -> list[tuple[Floats, ...]]:
        """tokens (B,) and each layer's state -> each layer's state after them."""
        after = list[tuple[Floats, ...]]()
        for layer, before in enumerate(state):
            if layer or self._table is None:
                inputs = after[-1][0] if layer else self._embedding[tokens]
                gates = inputs @ self._inputs[layer]
                gates += self._biases[layer]
            else:
                gates = self._table[tokens]
            recurrent = before[0] @ self._recurrent[layer]
            after.append(self._cells(layer, gates, recurrent, before))
        return after

    def logits(self, hidden: Floats) -> Floats:
        """(B, D) -> (B, V)."""
        logits = hidden @ self._output
        logits += self._output_bias
        return np.asarray(logits)

    def _cells(
        self, layer: int, gates: Floats, recurrent: Floats, before: tuple[Floats, ...]
    ) -> tuple[Floats, ...]:
        """What the inputs and the memory say (B, G), and the state before -> the state after."""
        d = self._width
        if self._cell == "gru":
            opens = np.tanh(gates[:, : 2 * d] + recurrent[:, : 2 * d])  # 2 r - 1, 2 z - 1
            opens += 1.0
            opens *= 0.5
            candidate = recurrent[:, 2 * d :]
            candidate += self._inner[layer]
            candidate *= opens[:, :d]
            candidate += gates[:, 2 * d :]
            np.tanh(candidate, out=candidate)
            return (candidate + opens[:, d:] * (before[0] - candidate),)
        gates += recurrent
        if self._cell == "rnn":
            return (np.maximum(gates, 0.0) if self._relu else np.tanh(gates),)
        np.tanh(gates, out=gates)  # 2 i - 1, 2 f - 1, g, 2 o - 1
        opens = gates + 1.0
        opens *= 0.5
        memory = opens[:, d : 2 * d] * before[1]
        memory += opens[:, :d] * gates[:, 2 * d : 3 * d]
        return opens[:, 3 * d :] * np.tanh(memory), memory


def _names(config: ModelConfig) -> list[str]:
    """Of one member's weights."""
    first = "members.0."
    return [name.removeprefix(first) for name in config.shapes if name.startswith(first)]


def _halves(config: ModelConfig) -> Floats:
    """(G,): one half for gates that are logistic, else 1."""
    of_gates = {"rnn": (1.0,), "gru": (0.5, 0.5, 1.0), "lstm": (0.5, 0.5, 1.0, 0.5)}[config.cell]
    assert len(of_gates) == GATES[config.cell]
    return np.repeat(np.array(of_gates, np.float32), config.hidden_size)


def _columns(weight: npt.NDArray[Any]) -> Floats:
    """(G, E) -> (E, G) by its columns: a product with one lane then reads the weights once, in order."""
    return np.ascontiguousarray(weight, np.float32).T


def _softmax(logits: Floats) -> Floats:
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(1, keepdims=True))
