"""What a network remembers, and what every block of it is. Shapes: B lanes, T time."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

BlockState = tuple[Tensor, ...]


class State(NamedTuple):
    """What the network remembers: one BlockState a block, lanes first in every tensor."""

    blocks: tuple[BlockState, ...]

    def map(self, change: Callable[[Tensor], Tensor]) -> "State":
        return State(tuple(tuple(change(tensor) for tensor in block) for block in self.blocks))

    def merge(self, other: "State", combine: Callable[[Tensor, Tensor], Tensor]) -> "State":
        """`combine` applied to each tensor and its partner in `other`."""
        pairs = (
            zip(mine, theirs, strict=True) for mine, theirs in zip(self.blocks, other.blocks, strict=True)
        )
        return State(tuple(tuple(combine(a, b) for a, b in block) for block in pairs))

    def detach(self) -> "State":
        """The same memory with no gradient path: where back-propagation through time is cut."""
        return self.map(torch.Tensor.detach)

    def tensors(self) -> list[Tensor]:
        return [tensor for block in self.blocks for tensor in block]


class Block(Protocol):
    """What nn/network.py knows of its blocks: inputs (B, T, ...) -> outputs (B, T, ...), state after T.

    A Block is an nn.Module too. The shapes of its state are in ModelConfig.memories.
    """

    def initial_state(self, batch_size: int) -> BlockState: ...

    def __call__(self, inputs: Tensor, state: BlockState) -> tuple[Tensor, BlockState]: ...
