"""Where to compute."""

import functools
import logging
import os

import torch

from rnncli import runtime
from rnncli.errors import ConfigError
from rnncli.training.backends import check_on
from rnncli.training.config import TrainConfig
from rnncli.training.hardware import REFERENCE

_log = logging.getLogger(__name__)
# Of a CPU's memory, what a training may use: the system and other programs need the rest.
_USABLE_MEMORY = 0.75


def pick_device(name: str) -> torch.device:
    """auto is CUDA where it works, else the CPU; raises ConfigError for a device that is not there or fails.

    A GPU has to compute what the CPU does (training/backends.py) before it is used; a warning is logged
    where auto passes one over. This process is set up for the device: on a CPU denormals are zero and freed
    memory is kept, on CUDA float32 is not shortened and the algorithms of cuDNN are fixed.
    """
    present = present_devices()
    if name == "auto":
        reason = why_not_device("cuda") if "cuda" in present else ""
        if reason and "WORLD_SIZE" in os.environ:  # all processes of torchrun have to use the same
            raise ConfigError(f"cuda cannot be used here: {reason}", hint="use --device cpu")
        if reason:
            _log.warning("the GPU is not used: %s", reason)
        name = "cuda" if reason is None else "cpu"
    elif name not in present:
        raise ConfigError(f"device is {name!r}", hint=f"here it is auto or one of {', '.join(present)}")
    elif name != "cpu":
        reason = why_not_device(name)
        if reason is not None:
            raise ConfigError(f"{name} cannot be used here: {reason}", hint="use --device cpu")
    if name == "mps":
        _log.warning("mps is experimental: PyTorch has had wrong gradients and memory leaks there")
    if name == "cpu":
        torch.set_flush_denormal(True)  # decaying states pass through denormals, which are twentyfold slower
        runtime.keep_freed_memory()
    return _device(name)


def present_devices() -> list[str]:
    """The kinds that this torch finds, whether they work or not."""
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    return [name for name, present in there.items() if present]


@functools.cache
def why_not_device(name: str) -> str | None:
    """Return why a GPU that is there cannot be used, as a clause; None where a step is as on the CPU."""
    try:
        return check_on(_device(name)).why_not(REFERENCE, TrainConfig(steps=1))
    except Exception as error:  # its driver has errors of its own
        return str(error)


def unusable_devices() -> list[str]:
    """The GPUs that are there and cannot be used, with the reasons."""
    reasons = ((name, why_not_device(name)) for name in present_devices() if name != "cpu")
    return [f"{name}: {reason}" for name, reason in reasons if reason is not None]


def memory_bytes(device: torch.device) -> int | None:
    """The memory that a training may use there; None where nobody can say."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    total = runtime.memory_bytes()
    return None if total is None else int(_USABLE_MEMORY * total)


def _device(name: str) -> torch.device:
    if name != "cuda":
        return torch.device(name)
    # float32 is float32 here too, and the same seed gives the same weights.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    # Of several processes on a machine torchrun tells each which of its GPUs is its own.
    return torch.device(name, int(os.environ.get("LOCAL_RANK", "0")))
