"""One step of each layer of a network, in NumPy.

Each class is a second implementation, from the same equations, of a torch layer in nn/recurrent.py,
nn/linear_recurrence.py or nn/layers.py: their docstrings have the equations and the sources.

Shapes:
  B: batch size
  E: input size
  D: hidden size
  G: gates
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from rnncli.nn.cell_registry import RGLRU_SHARPNESS, Cell, implements
from rnncli.nn.config import ModelConfig

Floats = npt.NDArray[np.float32]
# The state of one layer: arrays of the shapes in ModelConfig.state_shapes, after a batch dimension.
StepState = tuple[Floats, ...]
Weights = Mapping[str, npt.NDArray[Any]]


class LayerStep(Protocol):
    """One step of a layer."""

    def step(self, inputs: Floats, state: StepState) -> tuple[Floats, StepState]:
        """Map inputs (B, E) and the state before to outputs (B, D) and the state after.

        The arrays of the state before are left as they are.
        """


class CellStep:
    """One step of a recurrent layer, which implements the cell that it is registered for.

    Attributes:
        cell: The description of the cell.
        inputs: The input weights (E, G D).
        bias: The bias of the gates (G D,).
    """

    cell: ClassVar[Cell]

    def __init__(self, config: ModelConfig, weights: Weights) -> None:  # noqa: ARG002 - some cells need it
        self.inputs, self.bias = by_columns(weights["weight"]), weights["bias"].astype(np.float32)

    @property
    def can_be_tabulated(self) -> bool:
        """Whether the input product depends on the current input alone, so that it can be looked up."""
        return self.cell.input_taps == 1

    def step(self, inputs: Floats, state: StepState) -> tuple[Floats, StepState]:
        """Take a step: see LayerStep."""
        gates = inputs @ self.inputs
        gates += self.bias
        return self.step_from_gates(gates, state)

    def step_from_gates(self, gates: Floats, state: StepState) -> tuple[Floats, StepState]:
        """Take a step from the input product with its bias (B, G D), which may be overwritten."""
        raise NotImplementedError


CELL_STEPS: dict[str, type[CellStep]] = {}


class _GatedStep(CellStep):
    """A cell with a recurrent matrix.

    The weights of logistic gates are halved, so that one tanh serves all gates: σ(x) = (1 + tanh(x / 2)) / 2.
    """

    # The factor of each gate's weights.
    _scales: ClassVar[tuple[float, ...]]

    def __init__(self, config: ModelConfig, weights: Weights) -> None:
        scales = np.repeat(np.array(self._scales, np.float32), config.hidden_size)
        bias = weights["kernel.bias_ih_l0"] + weights["kernel.bias_hh_l0"]
        super().__init__(
            config, {"weight": weights["kernel.weight_ih_l0"] * scales[:, None], "bias": bias * scales}
        )
        self._recurrent = by_columns(weights["kernel.weight_hh_l0"] * scales[:, None])


@implements("rnn", CELL_STEPS)
class ElmanStep(_GatedStep):
    """One step of ElmanLayer."""

    _scales = (1.0,)

    def __init__(self, config: ModelConfig, weights: Weights) -> None:
        super().__init__(config, weights)
        self._relu = config.nonlinearity == "relu"

    def step_from_gates(self, gates: Floats, state: StepState) -> tuple[Floats, StepState]:
        gates += state[0] @ self._recurrent
        h = np.maximum(gates, 0.0) if self._relu else np.tanh(gates)
        return h, (h,)


@implements("gru", CELL_STEPS)
class GruStep(_GatedStep):
    """One step of GruLayer."""

    _scales = (0.5, 0.5, 1.0)

    def __init__(self, config: ModelConfig, weights: Weights) -> None:
        super().__init__(config, weights)
        # The recurrent bias of the candidate is multiplied by the reset gate, and is no part of the bias.
        self._inner_bias = weights["kernel.bias_hh_l0"][2 * config.hidden_size :].copy()
        self.bias[2 * config.hidden_size :] -= self._inner_bias

    def step_from_gates(self, gates: Floats, state: StepState) -> tuple[Floats, StepState]:
        d, recurrent = state[0].shape[1], state[0] @ self._recurrent
        logistic = np.tanh(gates[:, : 2 * d] + recurrent[:, : 2 * d])  # 2 r - 1, 2 z - 1
        logistic += 1.0
        logistic *= 0.5
        candidate = recurrent[:, 2 * d :]
        candidate += self._inner_bias
        candidate *= logistic[:, :d]
        candidate += gates[:, 2 * d :]
        np.tanh(candidate, out=candidate)
        h = candidate + logistic[:, d:] * (state[0] - candidate)
        return h, (h,)


@implements("lstm", CELL_STEPS)
class LstmStep(_GatedStep):
    """One step of LstmLayer."""

    _scales = (0.5, 0.5, 1.0, 0.5)

    def __init__(self, config: ModelConfig, weights: Weights) -> None:
        super().__init__(config, weights)
        self._mogrifier = [by_columns(weights[f"mogrifier.{number}"]) for number in range(config.mogrifier)]

    @property
    def can_be_tabulated(self) -> bool:
        return not self._mogrifier

    def step(self, inputs: Floats, state: StepState) -> tuple[Floats, StepState]:
        h = state[0]
        for number, matrix in enumerate(self._mogrifier):
            if number % 2:
                h = 2.0 * _logistic(inputs @ matrix) * h
            else:
                inputs = 2.0 * _logistic(h @ matrix) * inputs
        return super().step(inputs, (h, state[1]))

    def step_from_gates(self, gates: Floats, state: StepState) -> tuple[Floats, StepState]:
        d = state[0].shape[1]
        gates += state[0] @ self._recurrent
        np.tanh(gates, out=gates)  # 2 i - 1, 2 f - 1, g, 2 o - 1
        logistic = gates + 1.0
        logistic *= 0.5
        c = logistic[:, d : 2 * d] * state[1]
        c += logistic[:, :d] * gates[:, 2 * d : 3 * d]
        h = logistic[:, 3 * d :] * np.tanh(c)
        return h, (h, c)


@implements("mingru", CELL_STEPS)
class MinGruStep(CellStep):
    """One step of MinGruLayer."""

    def step_from_gates(self, gates: Floats, state: StepState) -> tuple[Floats, StepState]:
        update, candidate = np.split(gates, self.cell.gates, 1)
        h = state[0] + _logistic(update) * (candidate - state[0])
        return h, (h,)


@implements("minlstm", CELL_STEPS)
class MinLstmStep(CellStep):
    """One step of MinLstmLayer."""

    def step_from_gates(self, gates: Floats, state: StepState) -> tuple[Floats, StepState]:
        forget, add, candidate = np.split(gates, self.cell.gates, 1)
        keep = _logistic(np.logaddexp(0.0, -add) - np.logaddexp(0.0, -forget))
        h = candidate + keep * (state[0] - candidate)
        return h, (h,)


@implements("rglru", CELL_STEPS)
class RgLruStep(CellStep):
    """One step of RgLruLayer."""

    def __init__(self, config: ModelConfig, weights: Weights) -> None:
        super().__init__(config, weights)
        self._rate = -RGLRU_SHARPNESS * np.logaddexp(0.0, weights["decay"]).astype(np.float32)

    def step_from_gates(self, gates: Floats, state: StepState) -> tuple[Floats, StepState]:
        value, reset, add, output_gate = np.split(gates, self.cell.gates, 1)
        log_decay = self._rate * _logistic(reset)
        h = np.exp(log_decay) * state[0] + np.sqrt(-np.expm1(2.0 * log_decay)) * _logistic(add) * value
        return h * _gelu(output_gate), (h,)


@implements("qrnn", CELL_STEPS)
class QrnnStep(CellStep):
    """One step of QrnnLayer."""

    def step(self, inputs: Floats, state: StepState) -> tuple[Floats, StepState]:
        receptive_field = np.concatenate([state[1], inputs[:, None]], 1)
        outputs, (h,) = super().step(receptive_field.reshape(len(inputs), -1), state[:1])
        return outputs, (h, receptive_field[:, 1:])

    def step_from_gates(self, gates: Floats, state: StepState) -> tuple[Floats, StepState]:
        candidate, forget, output_gate = np.split(gates, self.cell.gates, 1)
        candidate = np.tanh(candidate)
        h = candidate + _logistic(forget) * (state[0] - candidate)
        return _logistic(output_gate) * h, (h,)


class ConvolutionStep:
    """One step of Convolution."""

    def __init__(self, weights: Weights) -> None:
        weight = weights["weight"]  # (E, E, K)
        self._weight = by_columns(np.moveaxis(weight, 2, 1).reshape(len(weight), -1))
        self._bias = weights["bias"]

    def step(self, inputs: Floats, state: StepState) -> tuple[Floats, StepState]:
        """Take a step: see LayerStep."""
        receptive_field = np.concatenate([state[0], inputs[:, None]], 1)
        outputs = receptive_field.reshape(len(inputs), -1) @ self._weight
        outputs += self._bias
        return inputs + np.maximum(outputs, 0.0), (receptive_field[:, 1:],)


class AttentionStep:
    """One step of Attention."""

    def __init__(self, weights: Weights) -> None:
        self._query, self._output = by_columns(weights["query"]), by_columns(weights["output"])

    def step(self, inputs: Floats, state: StepState) -> tuple[Floats, StepState]:
        """Take a step: see LayerStep."""
        keys = np.concatenate([state[0], inputs[:, None]], 1)
        is_text = np.concatenate([state[1], np.ones((len(inputs), 1), np.float32)], 1)
        query = (inputs @ self._query) * np.float32(inputs.shape[1] ** -0.5)
        scores = np.matmul(keys, query[:, :, None])[:, :, 0]
        scores[is_text == 0.0] = -np.inf
        exponentials = np.exp(scores - scores.max(1, keepdims=True))
        attention = exponentials / exponentials.sum(1, keepdims=True)
        outputs = np.matmul(attention[:, None], keys)[:, 0]
        return inputs + outputs @ self._output, (keys[:, 1:], is_text[:, 1:])


def layers_of(config: ModelConfig, weights: Weights) -> list[LayerStep]:
    """Return the layers of one ensemble member, in the order of ModelConfig.state_shapes.

    Args:
        config: The sizes of the model.
        weights: The weights of the member, by their names within it.
    """
    cells = iter(config.cells)
    layers: list[LayerStep] = []
    for name in config.state_shapes:
        own = {key.removeprefix(f"{name}."): weights[key] for key in weights if key.startswith(f"{name}.")}
        if name == "convolution":
            layers.append(ConvolutionStep(own))
        elif name == "attention":
            layers.append(AttentionStep(own))
        else:
            layers.append(CELL_STEPS[next(cells)](config, own))
    return layers


def by_columns(weight: npt.NDArray[Any]) -> Floats:
    """Transpose a matrix (G, E) to (E, G), stored so that a product with one row reads it once, in order."""
    return np.ascontiguousarray(weight, np.float32).T


def _logistic(x: Floats) -> Floats:
    with np.errstate(over="ignore"):  # where the result is zero
        return np.asarray(1.0 / (1.0 + np.exp(-x)))


def _gelu(x: Floats) -> Floats:
    inner = np.float32((2.0 / np.pi) ** 0.5) * (x + np.float32(0.044715) * x * x * x)
    return np.asarray(0.5 * x * (1.0 + np.tanh(inner)))
