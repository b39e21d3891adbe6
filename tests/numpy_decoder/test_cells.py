"""Each cell of the registry: its torch layer and its NumPy step do what its description says, and the same.

Shapes: B batch size, T time steps, E input size, D hidden size.
"""

import numpy as np
import pytest
import torch
from torch import Tensor

from rnncli.nn.cell_registry import CELLS
from rnncli.nn.config import ModelConfig
from rnncli.nn.layers import RecurrentLayer
from rnncli.nn.rnn import LAYERS
from rnncli.numpy_decoder.layers import CELL_STEPS, CellStep

B, T, E, D = 3, 13, 5, 4
VARIANTS: dict[str, dict[str, object]] = {
    **{cell: {"cell": cell} for cell in CELLS},
    "rnn with relu": {"cell": "rnn", "nonlinearity": "relu"},
    "lstm with mogrifier": {"cell": "lstm", "mogrifier": 3},
}


def config_of(variant: str) -> ModelConfig:
    settings: dict[str, object] = {"vocab_size": 9, "hidden_size": D, "embedding_size": E}
    return ModelConfig(**{**settings, **VARIANTS[variant]})  # type: ignore[arg-type]


def both(variant: str) -> tuple[RecurrentLayer, CellStep]:
    """The torch layer and the NumPy step of a cell with the same random weights."""
    config = config_of(variant)
    layer, rng = LAYERS[config.cell](config, E), torch.Generator().manual_seed(1)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.7, generator=rng)
    weights = {name: tensor.numpy() for name, tensor in layer.state_dict().items()}
    return layer, CELL_STEPS[config.cell](config, weights)


def random_state(layer: RecurrentLayer) -> tuple[Tensor, ...]:
    rng = torch.Generator().manual_seed(2)
    return tuple(torch.randn(B, *shape, generator=rng) for shape in layer.cell.state(layer.sizes))


def test_every_cell_has_a_torch_layer_and_a_numpy_step() -> None:
    assert LAYERS.keys() == CELL_STEPS.keys() == CELLS.keys()
    for name, cell in CELLS.items():
        assert LAYERS[name].cell is CELL_STEPS[name].cell is cell
        assert cell.name == name


@pytest.mark.parametrize("variant", VARIANTS)
def test_weights_and_state_have_the_described_shapes(variant: str) -> None:
    layer, _ = both(variant)
    described = layer.cell.weights(layer.sizes)
    assert {name: tuple(weight.shape) for name, weight in layer.state_dict().items()} == described
    assert layer.cell.parameters(layer.sizes) == sum(weight.numel() for weight in layer.parameters())
    assert next(iter(described.values()))[0] == layer.cell.gates * D
    state = layer.initial_state(B)
    shapes = [(B, *shape) for shape in layer.cell.state(layer.sizes)]
    assert [tuple(tensor.shape) for tensor in state] == shapes
    assert not any(tensor.any() for tensor in state)
    with torch.no_grad():
        _, after = layer(torch.zeros(B, T, E), state)
    assert [tuple(tensor.shape) for tensor in after] == shapes


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("steps", [1, T])
def test_torch_and_numpy_agree(variant: str, steps: int) -> None:
    layer, numpy = both(variant)
    inputs, state = torch.randn(B, steps, E, generator=torch.Generator().manual_seed(3)), random_state(layer)
    with torch.no_grad():
        expected, end = layer(inputs, state)
    arrays = tuple(tensor.numpy() for tensor in state)
    for t in range(steps):
        outputs, arrays = numpy.step(inputs[:, t].numpy(), arrays)
        np.testing.assert_allclose(outputs, expected[:, t].numpy(), rtol=1e-4, atol=1e-5)
    for array, tensor in zip(arrays, end, strict=True):
        np.testing.assert_allclose(array, tensor.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_linear_recurrence_is_affine_in_the_hidden_state(variant: str) -> None:
    layer, numpy = both(variant)
    inputs, (h, *others) = np.ones((B, E), np.float32), [t.numpy() for t in random_state(layer)]

    def after(scale: float) -> np.ndarray:
        _, (after, *_) = numpy.step(inputs, (np.float32(scale) * h, *others))
        return after

    is_affine = np.allclose(after(2.0) - after(1.0), after(1.0) - after(0.0), atol=1e-5)
    assert is_affine == layer.cell.linear
