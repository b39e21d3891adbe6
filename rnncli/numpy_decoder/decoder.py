"""The model one token at a time, in numpy. Shapes: B lanes, D width, G gates times D, V symbols.

torch's recurrent layers are made for windows: one step of one lane costs them more than the products in it,
and importing torch takes longer than writing a page. Here the memory is numpy's, and what depends on the
token alone, the first layer's product with the embedding, is looked up in a table:

    token -> table (V + 1, G) --+
                                +--> gates -> h (B, D) -> ... -> logits (B, V)
    h (B, D) -> product (B, G) -+

It is a second implementation of nn/network.py, written from the equations of nn/recurrent.py, and the
check of it: both say the same, within rounding.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rnncli.nn.config import ModelConfig
from rnncli.numpy_decoder.layers import BlockState, Floats, Layer, Mogrified, Quasi, blocks_of, columns

# Of each block, one member's after another's: shapes (B, ...) as in ModelConfig.memories.
StepState = tuple[BlockState, ...]

# Larger tables than this are left out, and their rows computed when they are needed.
_MOST_TABLE = 2**23


class Stepper:
    """P(next token | all before) of one model; the memory is an argument and a result."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, npt.NDArray[Any]]) -> None:
        """`weights` have the names and shapes of config.shapes."""
        self.config = config
        with np.errstate(over="ignore", invalid="ignore"):  # whoever steps sees it in the logits
            self._members = [
                _Member(config, member_weights(config, weights, one)) for one in range(config.members)
            ]

    def initial_state(self, lanes: int) -> StepState:
        """The state before any text: zeros, B lanes."""
        blocks = [*self.config.memories.values()] * self.config.members
        return tuple(tuple(np.zeros((lanes, *shape), np.float32) for shape in shapes) for shapes in blocks)

    def step(self, tokens: npt.NDArray[np.integer], state: StepState) -> tuple[Floats, StepState]:
        """tokens (B,) -> logits (B, V) of what follows them, and the state after them."""
        hidden, after = self.advance(tokens, state)
        return self.logits(hidden), after

    def advance(self, tokens: npt.NDArray[np.integer], state: StepState) -> tuple[list[Floats], StepState]:
        """tokens (B,) -> the members' last outputs (B, D), and the state after them: no logits."""
        depth, outputs, after = len(state) // len(self._members), list[Floats](), list[BlockState]()
        for number, member in enumerate(self._members):
            hidden, own = member.step(tokens, state[number * depth : (number + 1) * depth])
            outputs.append(hidden)
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
    """One network."""

    def __init__(self, config: ModelConfig, weights: Mapping[str, npt.NDArray[Any]]) -> None:
        self._blocks = blocks_of(config, weights)
        self._embedding = weights["embedding.weight"]
        output = self._embedding[:-1] if config.tied_embeddings else weights["output_weight"]
        self._output = columns(output)
        self._output_bias = weights["output_bias"]
        first = self._blocks[0]
        # Gates of a mogrifier know the memory too, those of a qrnn the token before.
        more = isinstance(first, Mogrified | Quasi)
        self._tabulated = first if isinstance(first, Layer) and not more else None
        if self._tabulated and len(self._embedding) * len(self._tabulated.bias) <= _MOST_TABLE:
            self._table = self._embedding @ self._tabulated.inputs + self._tabulated.bias
        else:
            self._tabulated = None

    def step(
        self, tokens: npt.NDArray[np.integer], state: tuple[BlockState, ...]
    ) -> tuple[Floats, list[BlockState]]:
        """tokens (B,) and each block's state -> outputs (B, D) and each block's state after them."""
        after, blocks = list[BlockState](), self._blocks
        if self._tabulated:
            hidden, own = self._tabulated.next(self._table[tokens], state[0])
            after, blocks, state = [own], blocks[1:], state[1:]
        else:
            hidden = self._embedding[tokens]
        for block, before in zip(blocks, state, strict=True):
            hidden, own = block.step(hidden, before)
            after.append(own)
        return hidden, after

    def logits(self, hidden: Floats) -> Floats:
        """(B, D) -> (B, V)."""
        logits = hidden @ self._output
        logits += self._output_bias
        return np.asarray(logits)


def member_weights(
    config: ModelConfig, weights: Mapping[str, npt.NDArray[Any]], number: int
) -> dict[str, npt.NDArray[Any]]:
    """Those of one member, by their names in it."""
    own = f"members.{number}."
    return {name.removeprefix(own): weights[name] for name in config.shapes if name.startswith(own)}


def _softmax(logits: Floats) -> Floats:
    exponentials = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(exponentials / exponentials.sum(1, keepdims=True))
