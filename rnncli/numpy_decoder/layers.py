"""What each block of a network does in one step, in numpy. Shapes: B lanes, E input width, D width, G gates.

Each is a second implementation, from the same equations, of its namesake among nn/recurrent.py,
linear_recurrence.py, convolution.py and attention.py. inputs (B, E) and the state before -> outputs (B, D)
and the state after; a state that is given stays as it was.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rnncli.nn.config import GATES, RGLRU_SHARPNESS, ModelConfig

Floats = npt.NDArray[np.float32]
BlockState = tuple[Floats, ...]
Weights = Mapping[str, npt.NDArray[Any]]


class Block(Protocol):
    """One block of a member."""

    def step(self, inputs: Floats, before: BlockState) -> tuple[Floats, BlockState]: ...


class Layer:
    """A recurrent layer: gates (B, G D) from the inputs, or from a table, and from them what is next."""

    def __init__(self, inputs: Floats, bias: Floats) -> None:
        self.inputs, self.bias = columns(inputs), bias.astype(np.float32)

    def step(self, inputs: Floats, before: BlockState) -> tuple[Floats, BlockState]:
        gates = inputs @ self.inputs
        gates += self.bias
        return self.next(gates, before)

    def next(self, gates: Floats, before: BlockState) -> tuple[Floats, BlockState]:
        """`gates` may be written into."""
        raise NotImplementedError


class Recurrent(Layer):
    """rnn, gru and lstm. Logistic gates are halved, and tanh serves for all: σ(x) = (1 + tanh(x / 2)) / 2."""

    def __init__(self, cell: str, relu: bool, weights: Weights) -> None:
        recurrent_bias = weights["kernel.bias_hh_l0"]
        width = len(recurrent_bias) // GATES[cell]
        bias = weights["kernel.bias_ih_l0"] + recurrent_bias
        halves = np.repeat(np.array(_HALVES[cell], np.float32), width)
        self._cell, self._relu, self._width = cell, relu, width
        # Of gru's candidate, whose recurrent bias stands inside the reset gate's product.
        self._inner = recurrent_bias[2 * width :].copy()
        if cell == "gru":
            bias[2 * width :] -= self._inner
        super().__init__(weights["kernel.weight_ih_l0"] * halves[:, None], bias * halves)
        self._recurrent = columns(weights["kernel.weight_hh_l0"] * halves[:, None])

    def next(self, gates: Floats, before: BlockState) -> tuple[Floats, BlockState]:
        d, recurrent = self._width, before[0] @ self._recurrent
        if self._cell == "gru":
            opens = np.tanh(gates[:, : 2 * d] + recurrent[:, : 2 * d])  # 2 r - 1, 2 z - 1
            opens += 1.0
            opens *= 0.5
            candidate = recurrent[:, 2 * d :]
            candidate += self._inner
            candidate *= opens[:, :d]
            candidate += gates[:, 2 * d :]
            np.tanh(candidate, out=candidate)
            h = candidate + opens[:, d:] * (before[0] - candidate)
            return h, (h,)
        gates += recurrent
        if self._cell == "rnn":
            h = np.maximum(gates, 0.0) if self._relu else np.tanh(gates)
            return h, (h,)
        np.tanh(gates, out=gates)  # 2 i - 1, 2 f - 1, g, 2 o - 1
        opens = gates + 1.0
        opens *= 0.5
        memory = opens[:, d : 2 * d] * before[1]
        memory += opens[:, :d] * gates[:, 2 * d : 3 * d]
        h = opens[:, 3 * d :] * np.tanh(memory)
        return h, (h, memory)


class Mogrified(Recurrent):
    """lstm whose input and memory gate one another before each step."""

    def __init__(self, rounds: int, weights: Weights) -> None:
        super().__init__("lstm", relu=False, weights=weights)
        self._rounds = [columns(weights[f"mogrifier.{number}"]) for number in range(rounds)]

    def step(self, inputs: Floats, before: BlockState) -> tuple[Floats, BlockState]:
        h = before[0]
        for number, matrix in enumerate(self._rounds):
            if number % 2:
                h = 2.0 * _logistic(inputs @ matrix) * h
            else:
                inputs = 2.0 * _logistic(h @ matrix) * inputs
        return super().step(inputs, (h, before[1]))


class Linear(Layer):
    """mingru, minlstm and rglru."""

    def __init__(self, cell: str, weights: Weights) -> None:
        super().__init__(weights["weight"], weights["bias"])
        self._cell = cell
        if cell == "rglru":
            self._rate = -RGLRU_SHARPNESS * np.logaddexp(0.0, weights["decay"]).astype(np.float32)

    def next(self, gates: Floats, before: BlockState) -> tuple[Floats, BlockState]:
        first, *others = np.split(gates, GATES[self._cell], 1)
        if self._cell == "mingru":
            add = _logistic(first)
            h = before[0] + add * (others[0] - before[0])
            return h, (h,)
        if self._cell == "minlstm":
            keep = _logistic(np.logaddexp(0.0, -others[0]) - np.logaddexp(0.0, -first))
            h = others[1] + keep * (before[0] - others[1])
            return h, (h,)
        reset, add, opens = others
        log_decay = self._rate * _logistic(reset)
        h = np.exp(log_decay) * before[0] + np.sqrt(-np.expm1(2.0 * log_decay)) * _logistic(add) * first
        return h * _gelu(opens), (h,)


class Quasi(Layer):
    """qrnn: gates from the last inputs together."""

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights["weight"], weights["bias"])

    def step(self, inputs: Floats, before: BlockState) -> tuple[Floats, BlockState]:
        seen = np.concatenate([before[1], inputs[:, None]], 1)
        hidden, (memory,) = super().step(seen.reshape(len(seen), -1), before[:1])
        return hidden, (memory, seen[:, 1:])

    def next(self, gates: Floats, before: BlockState) -> tuple[Floats, BlockState]:
        candidate, forget, opens = np.split(gates, GATES["qrnn"], 1)
        candidate = np.tanh(candidate)
        memory = candidate + _logistic(forget) * (before[0] - candidate)
        return _logistic(opens) * memory, (memory,)


class Convolution:
    """The last symbols seen together."""

    def __init__(self, weights: Weights) -> None:
        weight = weights["weight"]  # (E, E, K)
        self._weight = columns(np.moveaxis(weight, 2, 1).reshape(len(weight), -1))
        self._bias = weights["bias"]

    def step(self, inputs: Floats, before: BlockState) -> tuple[Floats, BlockState]:
        seen = np.concatenate([before[0], inputs[:, None]], 1)
        found = seen.reshape(len(seen), -1) @ self._weight
        found += self._bias
        return inputs + np.maximum(found, 0.0), (seen[:, 1:],)


class Attention:
    """The network's own past, looked at."""

    def __init__(self, weights: Weights) -> None:
        self._query, self._output = columns(weights["query"]), columns(weights["output"])

    def step(self, inputs: Floats, before: BlockState) -> tuple[Floats, BlockState]:
        seen = np.concatenate([before[0], inputs[:, None]], 1)
        there = np.concatenate([before[1], np.ones((len(inputs), 1), np.float32)], 1)
        query = (inputs @ self._query) * np.float32(inputs.shape[1] ** -0.5)
        scores = np.matmul(seen, query[:, :, None])[:, :, 0]
        scores[there == 0.0] = -np.inf
        exponentials = np.exp(scores - scores.max(1, keepdims=True))
        shares = exponentials / exponentials.sum(1, keepdims=True)
        found = np.matmul(shares[:, None], seen)[:, 0]
        return inputs + found @ self._output, (seen[:, 1:], there[:, 1:])


def blocks_of(config: ModelConfig, weights: Weights) -> list[Block]:
    """Of one member, whose weights have the names of ModelConfig.shapes without the member's."""
    blocks: list[Block] = []
    for name in config.memories:
        own = {key.removeprefix(f"{name}."): weights[key] for key in weights if key.startswith(f"{name}.")}
        kind, _, number = name.partition(".")
        cell = config.cells[int(number)] if number else kind
        if kind == "convolution":
            blocks.append(Convolution(own))
        elif kind == "attention":
            blocks.append(Attention(own))
        elif cell == "lstm" and config.mogrifier:
            blocks.append(Mogrified(config.mogrifier, own))
        elif cell in _HALVES:
            blocks.append(Recurrent(cell, config.nonlinearity == "relu", own))
        elif cell == "qrnn":
            blocks.append(Quasi(own))
        else:
            blocks.append(Linear(cell, own))
    return blocks


# One half for gates that are logistic, else 1.
_HALVES = {"rnn": (1.0,), "gru": (0.5, 0.5, 1.0), "lstm": (0.5, 0.5, 1.0, 0.5)}


def columns(weight: npt.NDArray[Any]) -> Floats:
    """(G, E) -> (E, G) by its columns: a product with one lane then reads the weights once, in order."""
    return np.ascontiguousarray(weight, np.float32).T


def _logistic(x: Floats) -> Floats:
    with np.errstate(over="ignore"):  # of what is as good as zero
        return np.asarray(1.0 / (1.0 + np.exp(-x)))


def _gelu(x: Floats) -> Floats:
    inner = np.float32((2.0 / np.pi) ** 0.5) * (x + np.float32(0.044715) * x * x * x)
    return np.asarray(0.5 * x * (1.0 + np.tanh(inner)))
