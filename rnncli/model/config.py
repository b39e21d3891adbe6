"""What a model is: the sizes that fix its shapes."""

from dataclasses import dataclass
from typing import Literal, get_args

from rnncli.errors import ConfigError

Cell = Literal["rnn", "lstm", "gru"]
Nonlinearity = Literal["tanh", "relu"]


@dataclass(frozen=True)
class ModelConfig:
    """Embedding of width E, `num_layers` recurrent layers of width D, logits over V symbols.

    `tied_embeddings` uses the embedding matrix for the logits too (Press and Wolf 2017) and needs
    E == D. `nonlinearity` is the Elman network's; lstm and gru have theirs fixed. Of `members` such
    networks side by side the mean of their probabilities counts.
    """

    vocab_size: int
    cell: Cell = "lstm"
    hidden_size: int = 512
    num_layers: int = 1
    embedding_size: int = 128
    dropout: float = 0.2
    nonlinearity: Nonlinearity = "tanh"
    tied_embeddings: bool = False
    members: int = 1

    def __post_init__(self) -> None:
        for field, value, low, high in (
            ("vocab-size", self.vocab_size, 2, 4_000_000),
            ("hidden-size", self.hidden_size, 1, 16_384),
            ("num-layers", self.num_layers, 1, 64),
            ("embedding-size", self.embedding_size, 1, 16_384),
            ("members", self.members, 1, 64),
        ):
            if type(value) is not int or not low <= value <= high:
                raise ConfigError(f"{field} is {value}", hint=f"it is a whole number from {low} to {high:,}")
        if not 0.0 <= self.dropout < 1.0:
            raise ConfigError(f"dropout is {self.dropout}", hint="it is at least 0 and less than 1")
        for name, choice, allowed in (
            ("cell", self.cell, get_args(Cell)),
            ("nonlinearity", self.nonlinearity, get_args(Nonlinearity)),
        ):
            if choice not in allowed:
                raise ConfigError(f"{name} is {choice!r}", hint=f"it is one of {', '.join(allowed)}")
        if self.nonlinearity != "tanh" and self.cell != "rnn":
            raise ConfigError(
                f"nonlinearity {self.nonlinearity} does not apply to {self.cell}", hint="add --cell rnn"
            )
        if self.tied_embeddings and self.embedding_size != self.hidden_size:
            raise ConfigError(
                f"tied embeddings need equal widths, not {self.embedding_size} and {self.hidden_size}",
                hint=f"use --embedding-size {self.hidden_size}, or leave them untied",
            )

    @property
    def start(self) -> int:
        """The input "text begins": one id past the vocabulary, never a target."""
        return self.vocab_size

    @property
    def layer_widths(self) -> list[tuple[int, int]]:
        """(input width, output width) of each recurrent layer of a member."""
        inputs = [self.embedding_size] + [self.hidden_size] * (self.num_layers - 1)
        return [(width, self.hidden_size) for width in inputs]

    @property
    def recurrent_parameters(self) -> int:
        """Weights of one member's recurrent layers: per gate an input and a recurrent matrix, two biases."""
        return sum(GATES[self.cell] * d * (e + d + 2) for e, d in self.layer_widths)

    @property
    def parameters(self) -> int:
        """All weights, counted without building the model."""
        embedding = (self.vocab_size + 1) * self.embedding_size
        head = self.vocab_size + (0 if self.tied_embeddings else self.vocab_size * self.hidden_size)
        return self.members * (embedding + self.recurrent_parameters + head)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every weight, by the names under which they are kept."""
        d, gates = self.hidden_size, GATES[self.cell] * self.hidden_size
        of_member: dict[str, tuple[int, ...]] = {}
        of_member["embedding.weight"] = (self.vocab_size + 1, self.embedding_size)
        for number, (width, _) in enumerate(self.layer_widths):
            of_member[f"layers.{number}.kernel.weight_ih_l0"] = (gates, width)
            of_member[f"layers.{number}.kernel.weight_hh_l0"] = (gates, d)
            of_member[f"layers.{number}.kernel.bias_ih_l0"] = (gates,)
            of_member[f"layers.{number}.kernel.bias_hh_l0"] = (gates,)
        of_member["output_bias"] = (self.vocab_size,)
        if not self.tied_embeddings:
            of_member["output_weight"] = (self.vocab_size, d)
        members = range(self.members)
        return {f"members.{one}.{name}": shape for one in members for name, shape in of_member.items()}

    @property
    def architecture(self) -> str:
        """In words: "3 members of gru, 2 layers of 512, embedding 128"."""
        layers = (
            f"1 layer of {self.hidden_size}"
            if self.num_layers == 1
            else f"{self.num_layers} layers of {self.hidden_size}"
        )
        tied = " tied to the output" if self.tied_embeddings else ""
        cell = f"rnn ({self.nonlinearity})" if self.cell == "rnn" else self.cell
        members = f"{self.members} members of " if self.members > 1 else ""
        return f"{members}{cell}, {layers}, embedding {self.embedding_size}{tied}"


GATES: dict[Cell, int] = {"rnn": 1, "lstm": 4, "gru": 3}
