"""Several processes that train one model together, as torchrun starts them. Shapes: B lanes, D width.

Each takes its share of the lanes; gradients and memories are added up over all of them after every
window, so that every process takes the same step and has the same weights. Rank 0 alone reads the
clock, validates, reports and saves; what it decides, the others are told.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from rnncli.errors import ConfigError
from rnncli.nn.state import State

Told = TypeVar("Told")

# The others wait for rank 0 while it reads a text of any size; torch would let them give up after minutes.
_PATIENCE = timedelta(days=1)


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this is."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def share(self, lanes: int) -> slice:
        """This process's lanes of B; raises ConfigError where there are fewer lanes than processes."""
        if lanes < self.size:
            raise ConfigError(
                f"{lanes} lanes cannot be shared by {self.size} processes",
                hint=f"use --batch-size {self.size} or more, or fewer processes",
            )
        return slice(lanes * self.rank // self.size, lanes * (self.rank + 1) // self.size)

    def add_up(
        self, model: nn.Module, nats: Tensor, state: State, share: slice, lanes: int
    ) -> tuple[Tensor, State]:
        """Gradients, nats () and states (B / size, ...) of this share -> those of all lanes.

        Everything goes in one message. Gradients change in place.
        """
        if self.size == 1:
            return nats, state
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        memories = [tensor.new_zeros(lanes, *tensor.shape[1:]) for tensor in state.tensors()]
        for memory, tensor in zip(memories, state.tensors(), strict=True):
            memory[share] = tensor
        parts = [*gradients, nats, *memories]
        message = torch.cat([part.flatten() for part in parts])
        dist.all_reduce(message)
        sums = torch.split(message, [part.numel() for part in parts])
        for part, total in zip(parts, sums, strict=True):
            part.copy_(total.view_as(part))
        whole = iter(memories)
        return nats, state.map(lambda _: next(whole))

    def told(self, say: Callable[[], Told]) -> Told:
        """What rank 0 says, on every rank; the others do not compute it."""
        if self.size == 1:
            return say()
        message = [say() if self.leads else None]
        dist.broadcast_object_list(message)
        return message[0]  # type: ignore[return-value]

    def number(self, say: Callable[[], float]) -> float:
        """The same for one number, at every step: in a single small message."""
        if self.size == 1:
            return say()
        message = torch.tensor([say() if self.leads else 0.0], dtype=torch.float64)
        dist.broadcast(message, src=0)
        return float(message)


ALONE = Ranks()


def from_environment() -> Ranks:
    """What torchrun says in RANK and WORLD_SIZE; one process where nobody says anything."""
    return Ranks(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))


@contextmanager
def joined(ranks: Ranks, device: torch.device) -> Iterator[None]:
    """Within it the processes can talk: NCCL between GPUs, gloo between processors."""
    if ranks.size == 1:
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield
    finally:
        dist.destroy_process_group()
