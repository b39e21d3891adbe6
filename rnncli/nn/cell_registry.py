"""The recurrent cells: each is described once here, and implemented in nn/ and numpy_decoder/.

To add a cell, describe it in CELLS, and register a torch layer (nn/recurrent.py or nn/linear_recurrence.py)
and a NumPy step (numpy_decoder/layers.py) under its name with `implements`. tests/numpy_decoder/test_cells.py
checks that both do what the description says, and the same.

Shapes:
  E: input size
  D: hidden size
  G: gates
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import ClassVar, Protocol, TypeVar

Shape = tuple[int, ...]

# RG-LRU: the constant c in a = exp(-c softplus(Λ) r) (De et al. 2024, Griffin, section 2.4).
RGLRU_SHARPNESS = 8.0


@dataclass(frozen=True)
class LayerSizes:
    """The sizes that the shapes of a recurrent layer depend on; `mogrifier` is the number of its rounds."""

    input_size: int
    hidden_size: int
    mogrifier: int = 0


def _no_weights(sizes: LayerSizes) -> dict[str, Shape]:  # noqa: ARG001 - the signature of Cell.more_weights
    return {}


def _no_state(sizes: LayerSizes) -> tuple[Shape, ...]:  # noqa: ARG001 - the signature of Cell.more_state
    return ()


def _mogrifier_weights(sizes: LayerSizes) -> dict[str, Shape]:
    e, d = sizes.input_size, sizes.hidden_size
    return {f"mogrifier.{round_}": (d, e) if round_ % 2 else (e, d) for round_ in range(sizes.mogrifier)}


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The description of a recurrent cell.

    Attributes:
        name: The value of --cell.
        reference: The paper that the cell is from.
        gates: G, the number of vectors (D,) that a layer computes from its input.
        linear: Whether h_t = a_t h_{t-1} + b_t where a and b do not depend on h. Then a layer has no
          recurrent matrix, and the products of all steps are one.
        input_taps: The number of inputs that the gates of a step see: the current one and those before it.
        fused_kernels: Whether nn/fused/ has CPU kernels for it.
        has_nonlinearity: Whether ModelConfig.nonlinearity applies to it.
        has_mogrifier: Whether input and hidden state may gate each other (ModelConfig.mogrifier).
        more_weights: The weights besides those of the gates, by name.
        more_state: The shapes of the state of one text besides h (D,).
    """

    name: str
    reference: str
    gates: int
    linear: bool
    input_taps: int = 1
    fused_kernels: bool = False
    has_nonlinearity: bool = False
    has_mogrifier: bool = False
    more_weights: Callable[[LayerSizes], dict[str, Shape]] = _no_weights
    more_state: Callable[[LayerSizes], tuple[Shape, ...]] = _no_state

    def weights(self, sizes: LayerSizes) -> dict[str, Shape]:
        """Return the shapes of a layer's weights, by their names in the torch layer."""
        e, d, rows = sizes.input_size, sizes.hidden_size, self.gates * sizes.hidden_size
        if self.linear:
            weights: dict[str, Shape] = {"weight": (rows, self.input_taps * e), "bias": (rows,)}
        else:
            weights = {
                "kernel.weight_ih_l0": (rows, e),
                "kernel.weight_hh_l0": (rows, d),
                "kernel.bias_ih_l0": (rows,),
                "kernel.bias_hh_l0": (rows,),
            }
        return weights | self.more_weights(sizes)

    def state(self, sizes: LayerSizes) -> tuple[Shape, ...]:
        """Return the shapes of the state of one text; h comes first."""
        return ((sizes.hidden_size,), *self.more_state(sizes))

    def parameters(self, sizes: LayerSizes) -> int:
        """Return the number of a layer's weights."""
        return sum(prod(shape) for shape in self.weights(sizes).values())


CELLS: dict[str, Cell] = {
    cell.name: cell
    for cell in (
        Cell(
            name="rnn",
            reference="Elman 1990, Finding structure in time",
            gates=1,
            linear=False,
            fused_kernels=True,
            has_nonlinearity=True,
        ),
        Cell(
            name="lstm",
            reference="Hochreiter and Schmidhuber 1997, Long short-term memory",
            gates=4,
            linear=False,
            fused_kernels=True,
            has_mogrifier=True,
            more_weights=_mogrifier_weights,
            more_state=lambda sizes: ((sizes.hidden_size,),),  # c
        ),
        Cell(
            name="gru",
            reference="Cho et al. 2014, Learning phrase representations using RNN encoder-decoder",
            gates=3,
            linear=False,
            fused_kernels=True,
        ),
        Cell(name="mingru", reference="Feng et al. 2024, Were RNNs all we needed?", gates=2, linear=True),
        Cell(name="minlstm", reference="Feng et al. 2024, Were RNNs all we needed?", gates=3, linear=True),
        Cell(
            name="rglru",
            reference="De et al. 2024, Griffin: mixing gated linear recurrences with local attention",
            gates=4,
            linear=True,
            more_weights=lambda sizes: {"decay": (sizes.hidden_size,)},
        ),
        Cell(
            name="qrnn",
            reference="Bradbury et al. 2016, Quasi-recurrent neural networks",
            gates=3,
            linear=True,
            input_taps=2,
            more_state=lambda sizes: ((1, sizes.input_size),),  # the input before
        ),
    )
}


class CellImplementation(Protocol):
    """A class that implements a cell and knows its description."""

    cell: ClassVar[Cell]


Implementation = TypeVar("Implementation", bound=CellImplementation)


def implements(
    cell: str, registry: dict[str, type[Implementation]]
) -> Callable[[type[Implementation]], type[Implementation]]:
    """Return a class decorator that registers the implementation of a cell and gives it the description."""

    def register(implementation: type[Implementation]) -> type[Implementation]:
        implementation.cell = CELLS[cell]
        registry[cell] = implementation
        return implementation

    return register
