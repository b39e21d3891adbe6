"""A network one token at a time, in NumPy: generation without importing torch.

torch's recurrent layers are made for whole sequences: one step of one text costs them more than its matrix
products, and importing torch takes longer than generating a page. Here the state is made of NumPy arrays,
and what depends on the token alone, the product of the first layer with the embedding, is looked up:

    token -> table (V + 1, G D) --+
                                  +--> gates -> h (B, D) -> ... -> logits (B, V)
    h (B, D) -> product (B, G D) -+

It is a second implementation of nn/rnn.py. Tests check that both agree within rounding.

Shapes:
  B: batch size
  D: hidden size
  G: gates
  N: tokens of a prompt
  V: vocabulary size
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rnncli.nn.config import ModelConfig
from rnncli.numpy_decoder.layers import CellStep, Floats, StepState, by_columns, layers_of

# The state of a model: that of each layer of the first ensemble member, then of the second, and so on.
NumPyState = tuple[StepState, ...]

# Tables with more floats than this are not made; their rows are computed when they are needed.
MAX_TABLE_ENTRIES = 2**23


class NumPyDecoder:
    """P(next token | all tokens before it) under one model. The state is an argument and a result."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, npt.NDArray[Any]]) -> None:
        """Prepare the weights for decoding.

        Args:
            config: The sizes of the model.
            weights: Arrays with the names and shapes of config.shapes.
        """
        self.config = config
        with np.errstate(over="ignore", invalid="ignore"):  # it shows in the logits
            self._members = [
                _Member(config, member_weights(config, weights, number))
                for number in range(config.ensemble_size)
            ]

    def initial_state(self, batch_size: int) -> NumPyState:
        """Return the state at the beginning of a text: zeros."""
        layers = [*self.config.state_shapes.values()] * self.config.ensemble_size
        return tuple(
            tuple(np.zeros((batch_size, *shape), np.float32) for shape in shapes) for shapes in layers
        )

    def step(self, tokens: npt.NDArray[np.integer], state: NumPyState) -> tuple[Floats, NumPyState]:
        """Return the logits (B, V) after one more token of each text (B,), and the state."""
        hidden, after = self.advance(tokens, state)
        return self.logits(hidden), after

    def advance(self, tokens: npt.NDArray[np.integer], state: NumPyState) -> tuple[list[Floats], NumPyState]:
        """Return the last outputs (B, D) of each member after one more token (B,), and the state."""
        depth, outputs, after = len(state) // len(self._members), list[Floats](), list[StepState]()
        for number, member in enumerate(self._members):
            hidden, own = member.step(tokens, state[number * depth : (number + 1) * depth])
            outputs.append(hidden)
            after.extend(own)
        return outputs, tuple(after)

    def read(self, tokens: npt.NDArray[np.integer], state: NumPyState) -> tuple[Floats, NumPyState]:
        """Return the logits (1, V) after some tokens (N,), N > 0, of a single text, and the state."""
        hidden = list[Floats]()
        for place in range(len(tokens)):
            hidden, state = self.advance(tokens[place : place + 1], state)
        return self.logits(hidden), state

    def select(self, state: NumPyState, rows: npt.NDArray[np.intp]) -> NumPyState:
        """Return the state of some rows of the batch, in their order; a row may occur several times."""
        return tuple(tuple(array[rows] for array in layer) for layer in state)

    def logits(self, hidden: list[Floats]) -> Floats:
        """Map the last outputs (B, D) of each member to logits (B, V).

        The logits of an ensemble are the logarithms of the mean probabilities.
        """
        each = [member.logits(own) for member, own in zip(self._members, hidden, strict=True)]
        if len(each) == 1:
            return each[0]
        mean = sum((_softmax(one) for one in each), np.zeros_like(each[0])) / len(each)
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(mean))


class _Member:
    """One ensemble member."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, npt.NDArray[Any]]) -> None:
        self._layers = layers_of(config, weights)
        self._embedding = weights["embedding.weight"]
        output = self._embedding[:-1] if config.tied_embeddings else weights["output_weight"]
        self._output = by_columns(output)
        self._output_bias = weights["output_bias"]
        first = self._layers[0]
        self._tabulated = first if isinstance(first, CellStep) and first.can_be_tabulated else None
        if self._tabulated and len(self._embedding) * len(self._tabulated.bias) <= MAX_TABLE_ENTRIES:
            self._table = self._embedding @ self._tabulated.inputs + self._tabulated.bias
        else:
            self._tabulated = None

    def step(
        self, tokens: npt.NDArray[np.integer], state: tuple[StepState, ...]
    ) -> tuple[Floats, list[StepState]]:
        """Map tokens (B,) and the state of each layer to outputs (B, D) and the state of each layer."""
        after, layers = list[StepState](), self._layers
        if self._tabulated:
            hidden, own = self._tabulated.step_from_gates(self._table[tokens], state[0])
            after, layers, state = [own], layers[1:], state[1:]
        else:
            hidden = self._embedding[tokens]
        for layer, before in zip(layers, state, strict=True):
            hidden, own = layer.step(hidden, before)
            after.append(own)
        return hidden, after

    def logits(self, hidden: Floats) -> Floats:
        """Map outputs (B, D) to logits (B, V)."""
        logits = hidden @ self._output
        logits += self._output_bias
        return np.asarray(logits)


def member_weights(
    config: ModelConfig, weights: Mapping[str, npt.NDArray[Any]], number: int
) -> dict[str, npt.NDArray[Any]]:
    """Return the weights of one ensemble member, by their names within it."""
    prefix = f"members.{number}."
    return {name.removeprefix(prefix): weights[name] for name in config.shapes if name.startswith(prefix)}


def _softmax(logits: Floats) -> Floats:
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(1, keepdims=True))
