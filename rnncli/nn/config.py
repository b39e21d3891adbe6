"""What a model is: the sizes that fix its shapes."""

from dataclasses import dataclass
from math import prod
from typing import Literal, get_args

from rnncli.errors import ConfigError

Cell = Literal["rnn", "lstm", "gru", "mingru", "minlstm", "rglru", "qrnn"]
Nonlinearity = Literal["tanh", "relu"]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class ModelConfig:
    """Embedding of width E, `num_layers` recurrent layers of width D, logits over V symbols.

    `cell` is one Cell, or one for every layer, with commas between. `tied_embeddings` uses the embedding
    matrix for the logits too (Press and Wolf 2017) and needs E == D. `nonlinearity` is the Elman network's;
    the others have theirs fixed. Of `members` such networks side by side the mean of their probabilities
    counts. 0 stands for none: `convolution` symbols are seen together before the first layer, `attention`
    steps back the last one looks, and `mogrifier` rounds lstm's input and memory gate one another.
    """

    vocab_size: int
    cell: str = "lstm"
    hidden_size: int = 512
    num_layers: int = 1
    embedding_size: int = 128
    dropout: float = 0.2
    nonlinearity: Nonlinearity = "tanh"
    tied_embeddings: bool = False
    members: int = 1
    convolution: int = 0
    attention: int = 0
    mogrifier: int = 0

    def __post_init__(self) -> None:
        for field, value, low, high in (
            ("vocab-size", self.vocab_size, 2, 4_000_000),
            ("hidden-size", self.hidden_size, 1, 16_384),
            ("num-layers", self.num_layers, 1, 64),
            ("embedding-size", self.embedding_size, 1, 16_384),
            ("members", self.members, 1, 64),
            ("convolution", self.convolution, 0, 64),
            ("attention", self.attention, 0, 8_192),
            ("mogrifier", self.mogrifier, 0, 16),
        ):
            if type(value) is not int or not low <= value <= high:
                raise ConfigError(f"{field} is {value}", hint=f"it is a whole number from {low} to {high:,}")
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError(f"dropout is {self.dropout}", hint="it is at least 0 and less than 1")
        if self.nonlinearity not in get_args(Nonlinearity):
            raise ConfigError(
                f"nonlinearity is {self.nonlinearity!r}",
                hint=f"it is one of {', '.join(get_args(Nonlinearity))}",
            )
        if self.convolution == 1:
            raise ConfigError("a convolution over 1 symbol sees nothing together", hint="it is from 2 to 64")
        self._check_cells()
        if self.tied_embeddings and self.embedding_size != self.hidden_size:
            raise ConfigError(
                f"tied embeddings need equal widths, not {self.embedding_size} and {self.hidden_size}",
                hint=f"use --embedding-size {self.hidden_size}, or leave them untied",
            )

    def _check_cells(self) -> None:
        for cell in self.cell.split(","):
            if cell not in get_args(Cell):
                raise ConfigError(f"cell is {cell!r}", hint=f"it is one of {', '.join(get_args(Cell))}")
        named = self.cell.count(",") + 1
        if named not in (1, self.num_layers):
            raise ConfigError(
                f"{named} cells are named for {self.num_layers} layers",
                hint="name one for all, or one for each with commas between",
            )
        if self.nonlinearity != "tanh" and "rnn" not in self.cells:
            raise ConfigError(
                f"nonlinearity {self.nonlinearity} does not apply to {self.cell}", hint="add --cell rnn"
            )
        if self.mogrifier and "lstm" not in self.cells:
            raise ConfigError(f"a mogrifier does not apply to {self.cell}", hint="add --cell lstm")

    @property
    def start(self) -> int:
        """The input "text begins": one id past the vocabulary, never a target."""
        return self.vocab_size

    @property
    def cells(self) -> tuple[str, ...]:
        """The kind of every layer of a member, the first first."""
        named = tuple(self.cell.split(","))
        return named * self.num_layers if len(named) == 1 else named

    @property
    def input_widths(self) -> list[int]:
        """Of each recurrent layer of a member."""
        return [self.embedding_size] + [self.hidden_size] * (self.num_layers - 1)

    @property
    def recurrent_parameters(self) -> int:
        """Weights of what a member has between its embedding and its logits."""
        return sum(prod(shape) for block in self._blocks.values() for shape in block.values())

    @property
    def parameters(self) -> int:
        """All weights, counted without building the model."""
        return sum(prod(shape) for shape in self.shapes.values())

    @property
    def shapes(self) -> dict[str, Shape]:
        """The shape of every weight, by the name under which it is saved."""
        of_member: dict[str, Shape] = {"embedding.weight": (self.vocab_size + 1, self.embedding_size)}
        for block, weights in self._blocks.items():
            of_member |= {f"{block}.{name}": shape for name, shape in weights.items()}
        of_member["output_bias"] = (self.vocab_size,)
        if not self.tied_embeddings:
            of_member["output_weight"] = (self.vocab_size, self.hidden_size)
        members = range(self.members)
        return {f"members.{one}.{name}": shape for one in members for name, shape in of_member.items()}

    @property
    def memories(self) -> dict[str, tuple[Shape, ...]]:
        """What a member remembers of one lane: the shapes of its State, by block, in their order."""
        d = self.hidden_size
        found: dict[str, tuple[Shape, ...]] = {}
        for block in self._blocks:
            kind, _, number = block.partition(".")
            if kind == "convolution":
                found[block] = ((self.convolution - 1, self.embedding_size),)
            elif kind == "attention":
                found[block] = ((self.attention, d), (self.attention,))
            else:
                beside: dict[str, tuple[Shape, ...]] = {
                    "lstm": ((d,),),
                    "qrnn": ((QRNN_TAPS - 1, self.input_widths[int(number)]),),
                }
                found[block] = ((d,), *beside.get(self.cells[int(number)], ()))
        return found

    @property
    def memory_floats(self) -> int:
        """Numbers that all members remember of one lane."""
        return self.members * sum(prod(shape) for block in self.memories.values() for shape in block)

    @property
    def architecture(self) -> str:
        """In words: "3 members of gru, 2 layers of 512, embedding 128"."""
        layers = (
            f"1 layer of {self.hidden_size}"
            if self.num_layers == 1
            else f"{self.num_layers} layers of {self.hidden_size}"
        )
        tied = " tied to the output" if self.tied_embeddings else ""
        said = {"rnn": f"rnn ({self.nonlinearity})"}
        if self.mogrifier:
            said["lstm"] = f"lstm ({self.mogrifier} rounds of mogrifier)"
        cells = self.cells if len(set(self.cells)) > 1 else self.cells[:1]
        cell = " and ".join(said.get(cell, cell) for cell in cells)
        members = f"{self.members} members of " if self.members > 1 else ""
        beside = f", convolution over {self.convolution}" if self.convolution else ""
        beside += f", attention to {self.attention} steps" if self.attention else ""
        return f"{members}{cell}, {layers}, embedding {self.embedding_size}{tied}{beside}"

    @property
    def _blocks(self) -> dict[str, dict[str, Shape]]:
        """A member's weights between embedding and logits, by block, in the order of their application."""
        e, d = self.embedding_size, self.hidden_size
        blocks: dict[str, dict[str, Shape]] = {}
        if self.convolution:
            blocks["convolution"] = {"weight": (e, e, self.convolution), "bias": (e,)}
        for number, (cell, width) in enumerate(zip(self.cells, self.input_widths, strict=True)):
            rows = GATES[cell] * d
            if cell in NONLINEAR_CELLS:
                weights: dict[str, Shape] = {
                    "kernel.weight_ih_l0": (rows, width),
                    "kernel.weight_hh_l0": (rows, d),
                    "kernel.bias_ih_l0": (rows,),
                    "kernel.bias_hh_l0": (rows,),
                }
                if cell == "lstm":
                    rounds = range(self.mogrifier)
                    weights |= {f"mogrifier.{n}": (d, width) if n % 2 else (width, d) for n in rounds}
            else:
                taps = QRNN_TAPS if cell == "qrnn" else 1
                weights = {"weight": (rows, taps * width), "bias": (rows,)}
                weights |= {"decay": (d,)} if cell == "rglru" else {}
            blocks[f"layers.{number}"] = weights
        if self.attention:
            blocks["attention"] = {"query": (d, d), "output": (d, d)}
        return blocks


# RG-LRU: how sharply its gate changes the decay (De et al. 2024).
RGLRU_SHARPNESS = 8.0
# QRNN: so many of its last inputs a layer sees together (Bradbury et al. 2016, for language models).
QRNN_TAPS = 2
# Units that the fused kernels compute at once; a layer whose width is no multiple goes through plain torch.
# Their machine code beside nn/fused/kernels.py does not see a change of it.
BLOCK = 64
# Cells whose gates know their own memory, so that every step has a matrix product of its own.
NONLINEAR_CELLS = ("rnn", "lstm", "gru")
# Vectors of width D that a layer computes from its input.
GATES = {"rnn": 1, "lstm": 4, "gru": 3, "mingru": 2, "minlstm": 3, "rglru": 4, "qrnn": 3}
