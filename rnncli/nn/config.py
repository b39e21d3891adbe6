"""The configuration of a model: its options, its sizes, and the shapes of its weights and state."""

from dataclasses import dataclass, replace
from math import prod
from typing import Any, Literal

from rnncli.errors import ConfigError, OptionError
from rnncli.nn.cell_registry import CELLS, Cell, LayerSizes, Shape
from rnncli.options import OptionGroup, check, option, overridden

Nonlinearity = Literal["tanh", "relu"]
_MODEL = "Model (what is not given is planned)"


@dataclass(frozen=True, kw_only=True)
class ModelOptions(OptionGroup):
    """What a model is to be; None leaves a choice to the planner."""

    cell: str | None = option(
        None,
        help=f"Recurrent cell ({', '.join(CELLS)}), or one per layer, separated by commas.",
        metavar="CELL",
        panel=_MODEL,
    )
    hidden_size: int | None = option(None, help="Hidden size.", min=1, max=16_384, metavar="N", panel=_MODEL)
    num_layers: int | None = option(
        None, help="Number of recurrent layers.", min=1, max=64, metavar="N", panel=_MODEL
    )
    dropout: float | None = option(
        None, help="Dropout probability.", min=0, below=1, metavar="P", panel=_MODEL
    )
    ensemble_size: int | None = option(
        None,
        help="Number of networks in the ensemble.",
        min=1,
        max=64,
        metavar="N",
        panel=_MODEL,
    )
    ngram: int | None = option(
        None,
        help="Order of an n-gram model to interpolate with the network.",
        min=1,
        max=16,
        metavar="N",
        panel=_MODEL,
    )
    embedding_size: int | None = option(
        None,
        help="Size of the token embeddings.",
        min=1,
        max=16_384,
        metavar="N",
        panel=_MODEL,
        advanced=True,
    )
    tied_embeddings: bool | None = option(
        None,
        help="Use one matrix for the input and output embeddings.",
        panel=_MODEL,
        advanced=True,
    )
    nonlinearity: Nonlinearity | None = option(
        None, help="Nonlinearity of the rnn cell.", shown="tanh", panel=_MODEL, advanced=True
    )
    convolution: int | None = option(
        None,
        help="Width of a convolution over the embeddings, in tokens.",
        min=0,
        max=64,
        metavar="K",
        panel=_MODEL,
        advanced=True,
    )
    attention: int | None = option(
        None,
        help="Number of past steps that the last layer attends to.",
        min=0,
        max=8_192,
        metavar="STEPS",
        panel=_MODEL,
        advanced=True,
    )
    mogrifier: int | None = option(
        None,
        help="Rounds in which the input and the hidden state of an lstm gate each other.",
        min=0,
        max=16,
        metavar="N",
        panel=_MODEL,
        advanced=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        sizes = ModelConfig(vocab_size=2, embedding_size=1, hidden_size=1)
        overridden(sizes, self, **self._implied)

    def completed(self) -> "ModelOptions":
        """Return these options with those that follow from them."""
        return replace(self, **self._implied)

    @property
    def _implied(self) -> dict[str, Any]:
        implied: dict[str, Any] = {}
        if self.tied_embeddings:  # one size names both
            implied["hidden_size"] = self.hidden_size or self.embedding_size
            implied["embedding_size"] = self.embedding_size or self.hidden_size
        if self.mogrifier and self.cell is None:
            implied["cell"] = "lstm"
        if self.cell and "," in self.cell and self.num_layers is None:
            implied["num_layers"] = self.cell.count(",") + 1
        return implied


@dataclass(frozen=True)
class ModelConfig:
    """The sizes of a model.

    Attributes:
        vocab_size: V.
        cell: The name of a cell in CELLS, or one name per layer, separated by commas.
        hidden_size: D, the size of every recurrent layer.
        num_layers: The number of recurrent layers.
        embedding_size: E, the size of the token embeddings.
        dropout: Dropout probability of the outputs of recurrent layers.
        nonlinearity: That of the rnn cell; those of the other cells are fixed.
        tied_embeddings: Whether the output weights are the embedding matrix, which needs E == D (Press and
          Wolf 2017, Using the output embedding to improve language models).
        ensemble_size: The number of networks whose probabilities are averaged.
        convolution: The tokens that a convolution before the first layer sees; 0: no convolution.
        attention: The past steps that an attention after the last layer sees; 0: no attention.
        mogrifier: The rounds in which the input and the hidden state of an lstm gate each other.
    """

    vocab_size: int
    cell: str = "lstm"
    hidden_size: int = 512
    num_layers: int = 1
    embedding_size: int = 128
    dropout: float = 0.2
    nonlinearity: Nonlinearity = "tanh"
    tied_embeddings: bool = False
    ensemble_size: int = 1
    convolution: int = 0
    attention: int = 0
    mogrifier: int = 0

    def __post_init__(self) -> None:
        check(self, ModelOptions)
        if type(self.vocab_size) is not int or not 2 <= self.vocab_size <= 4_000_000:
            raise OptionError(
                f"vocab size is {self.vocab_size}; it must be from 2 to 4,000,000",
                hint="choose another --level or --vocab-size",
            )
        if self.convolution == 1:
            raise OptionError(
                "convolution is 1; it must be 0 or at least 2", hint="for example --convolution 3"
            )
        self._check_cells()
        if self.tied_embeddings and self.embedding_size != self.hidden_size:
            raise ConfigError(
                f"tied embeddings need equal sizes: embedding size is {self.embedding_size}, "
                f"hidden size is {self.hidden_size}",
                hint=f"use --embedding-size {self.hidden_size}, or --no-tied-embeddings",
            )

    def _check_cells(self) -> None:
        for cell in self.cell.split(","):
            if cell not in CELLS:
                raise OptionError(
                    f"cell is {cell!r}; it must be one of {', '.join(CELLS)}",
                    hint="for example --cell lstm",
                )
        named = self.cell.count(",") + 1
        if named not in (1, self.num_layers):
            raise ConfigError(
                f"cell names {named} cells, and num layers is {self.num_layers}",
                hint="name one cell for all layers, or one per layer, separated by commas",
            )
        if self.nonlinearity != "tanh" and not any(CELLS[cell].has_nonlinearity for cell in self.cells):
            raise ConfigError(
                f"nonlinearity {self.nonlinearity} does not apply to {self.cell}", hint="add --cell rnn"
            )
        if self.mogrifier and not any(CELLS[cell].has_mogrifier for cell in self.cells):
            raise ConfigError(f"a mogrifier does not apply to {self.cell}", hint="add --cell lstm")

    @property
    def bos_id(self) -> int:
        """The beginning-of-sequence token (BOS): one id past the vocabulary, never a target."""
        return self.vocab_size

    @property
    def cells(self) -> tuple[str, ...]:
        """The name of the cell of each recurrent layer, in order."""
        named = tuple(self.cell.split(","))
        return named * self.num_layers if len(named) == 1 else named

    @property
    def input_sizes(self) -> list[int]:
        """The input size of each recurrent layer, in order."""
        return [self.embedding_size] + [self.hidden_size] * (self.num_layers - 1)

    @property
    def recurrent_parameters(self) -> int:
        """The number of weights between the embedding and the logits of one ensemble member."""
        return sum(prod(shape) for layer in self._layers.values() for shape in layer.values())

    @property
    def parameters(self) -> int:
        """The number of weights of the model."""
        return sum(prod(shape) for shape in self.shapes.values())

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shape of every weight of the model, by the name under which it is saved."""
        of_member: dict[str, Shape] = {"embedding.weight": (self.vocab_size + 1, self.embedding_size)}
        for layer, weights in self._layers.items():
            of_member |= {f"{layer}.{name}": shape for name, shape in weights.items()}
        of_member["output_bias"] = (self.vocab_size,)
        if not self.tied_embeddings:
            of_member["output_weight"] = (self.vocab_size, self.hidden_size)
        members = range(self.ensemble_size)
        return {f"members.{one}.{name}": shape for one in members for name, shape in of_member.items()}

    @property
    def state_shapes(self) -> dict[str, tuple[Shape, ...]]:
        """The shapes of one member's state in one text, by layer, from the embedding to the logits."""
        shapes: dict[str, tuple[Shape, ...]] = {}
        if self.convolution:
            shapes["convolution"] = ((self.convolution - 1, self.embedding_size),)
        for name, (cell, sizes) in self._recurrent_layers.items():
            shapes[name] = cell.state(sizes)
        if self.attention:
            shapes["attention"] = ((self.attention, self.hidden_size), (self.attention,))
        return shapes

    @property
    def state_floats(self) -> int:
        """The number of floats in the state of all members in one text."""
        return self.ensemble_size * sum(
            prod(shape) for layer in self.state_shapes.values() for shape in layer
        )

    @property
    def architecture(self) -> str:
        """A description such as "ensemble of 3: gru, 2 layers of 512, embedding 128"."""
        layers = (
            f"1 layer of {self.hidden_size}"
            if self.num_layers == 1
            else f"{self.num_layers} layers of {self.hidden_size}"
        )
        tied = " tied to the output" if self.tied_embeddings else ""
        cells = self.cells if len(set(self.cells)) > 1 else self.cells[:1]
        cell = " and ".join(self._cell_in_words(cell) for cell in cells)
        members = f"ensemble of {self.ensemble_size}: " if self.ensemble_size > 1 else ""
        extras = f", convolution over {self.convolution}" if self.convolution else ""
        extras += f", attention to {self.attention} steps" if self.attention else ""
        return f"{members}{cell}, {layers}, embedding {self.embedding_size}{tied}{extras}"

    def _cell_in_words(self, cell: str) -> str:
        if CELLS[cell].has_nonlinearity:
            return f"{cell} ({self.nonlinearity})"
        if CELLS[cell].has_mogrifier and self.mogrifier:
            return f"{cell} ({self.mogrifier} rounds of mogrifier)"
        return cell

    @property
    def _recurrent_layers(self) -> dict[str, tuple[Cell, LayerSizes]]:
        """The cell and the sizes of each recurrent layer, by the name of the layer."""
        return {
            f"layers.{number}": (CELLS[cell], LayerSizes(input_size, self.hidden_size, self.mogrifier))
            for number, (cell, input_size) in enumerate(zip(self.cells, self.input_sizes, strict=True))
        }

    @property
    def _layers(self) -> dict[str, dict[str, Shape]]:
        """The shapes of one member's weights, by layer, from the embedding to the logits."""
        e, d = self.embedding_size, self.hidden_size
        layers: dict[str, dict[str, Shape]] = {}
        if self.convolution:
            layers["convolution"] = {"weight": (e, e, self.convolution), "bias": (e,)}
        for name, (cell, sizes) in self._recurrent_layers.items():
            layers[name] = cell.weights(sizes)
        if self.attention:
            layers["attention"] = {"query": (d, d), "output": (d, d)}
        return layers


# Hidden units that the fused kernels compute at once; layers of other sizes are left to torch. numba caches
# machine code by the content of nn/fused/kernels.py alone: after a change here, delete its cache.
BLOCK = 64
