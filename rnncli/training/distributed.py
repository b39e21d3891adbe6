"""Several processes that train one model together, as torchrun starts them (data parallelism).

Each process trains on its shard of the rows of every batch. Gradients, loss and hidden states are summed over
all processes after every batch, so that every process takes the same step and has the same weights. The main
process, rank 0, alone reads the clock, validates, reports and saves; it broadcasts what it decides.

B is the batch size, over all processes.
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
from rnncli.nn.rnn import State

Value = TypeVar("Value")

# The other processes wait for rank 0 while it reads a text of any size; torch's default is some minutes.
_TIMEOUT = timedelta(days=1)


@dataclass(frozen=True)
class ProcessGroup:
    """The processes that train together, as one of them sees it.

    Attributes:
        rank: The number of this process.
        size: How many processes there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def is_main_process(self) -> bool:
        """Whether this process validates, reports, saves and decides for all."""
        return self.rank == 0

    def shard(self, batch_size: int) -> slice:
        """Return the rows of a batch that this process trains on.

        Raises:
            ConfigError: There are fewer rows than processes.
        """
        if batch_size < self.size:
            raise ConfigError(
                f"a batch of {batch_size} rows cannot be shared by {self.size} processes",
                hint=f"use --batch-size {self.size} or more, or fewer processes",
            )
        return slice(batch_size * self.rank // self.size, batch_size * (self.rank + 1) // self.size)

    def all_reduce(
        self, *, model: nn.Module, loss: Tensor, hidden_state: State, shard: slice, batch_size: int
    ) -> tuple[Tensor, State]:
        """Sum gradients and loss over all processes, and join their hidden states, in one message.

        Args:
            model: The model; the gradients of its parameters are replaced by their sums.
            loss: The loss of this shard, ().
            hidden_state: The state of the rows of this shard, (B / size, ...).
            shard: The rows of this process.
            batch_size: B.

        Returns:
            The loss of the whole batch, (), and the state of all its rows, (B, ...).
        """
        if self.size == 1:
            return loss, hidden_state
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        states = [tensor.new_zeros(batch_size, *tensor.shape[1:]) for tensor in hidden_state.tensors()]
        for whole, tensor in zip(states, hidden_state.tensors(), strict=True):
            whole[shard] = tensor
        parts = [*gradients, loss, *states]
        message = torch.cat([part.flatten() for part in parts])
        dist.all_reduce(message)
        sums = torch.split(message, [part.numel() for part in parts])
        for part, total in zip(parts, sums, strict=True):
            part.copy_(total.view_as(part))
        joined = iter(states)
        return loss, hidden_state.map(lambda _: next(joined))

    def broadcast(self, compute: Callable[[], Value]) -> Value:
        """Return what `compute` returns on the main process; the others do not call it."""
        if self.size == 1:
            return compute()
        message = [compute() if self.is_main_process else None]
        dist.broadcast_object_list(message)
        return message[0]  # type: ignore[return-value]

    def broadcast_number(self, compute: Callable[[], float]) -> float:
        """Like `broadcast`, for one number at every step: it takes a single small message."""
        if self.size == 1:
            return compute()
        message = torch.tensor([compute() if self.is_main_process else 0.0], dtype=torch.float64)
        dist.broadcast(message, src=0)
        return float(message)


SINGLE_PROCESS = ProcessGroup()


def from_environment() -> ProcessGroup:
    """Return the group that torchrun describes in RANK and WORLD_SIZE; a single process without them."""
    return ProcessGroup(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))


@contextmanager
def connected(group: ProcessGroup, device: torch.device) -> Iterator[None]:
    """Connect the processes for the time of the block: NCCL between GPUs, gloo between CPUs."""
    if group.size == 1:
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=_TIMEOUT)
    try:
        yield
    finally:
        dist.destroy_process_group()
