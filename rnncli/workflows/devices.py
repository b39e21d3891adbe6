"""Choose the device to compute on, and set this process up for it."""

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
# Fraction of the main memory that training may use; the system and other programs need the rest.
_USABLE_MEMORY = 0.75


def pick_device(name: str) -> torch.device:
    """Return a device, and set this process up for it.

    "auto" is CUDA if it works, else the CPU. A GPU is used only if a step gives the same result there as on
    the CPU (training/backends.py); if "auto" does not use a GPU that is present, a warning is logged. On the
    CPU, denormals are flushed to zero and freed memory is reused; on CUDA, TF32 is off and cuDNN is
    deterministic.

    Raises:
        ConfigError: The device is not present, or cannot be used.
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
    """Return the types of the devices that torch finds, whether they work or not."""
    available = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    return [name for name, present in available.items() if present]


@functools.cache
def why_not_device(name: str) -> str | None:
    """Return why a GPU that is present cannot be used, as a clause; None if it can."""
    try:
        return check_on(_device(name)).why_not(REFERENCE, TrainConfig(steps=1))
    except Exception as error:  # a driver raises errors of any type
        return str(error)


def unusable_devices() -> list[str]:
    """Return the GPUs that are present and cannot be used, with the reasons."""
    reasons = ((name, why_not_device(name)) for name in present_devices() if name != "cpu")
    return [f"{name}: {reason}" for name, reason in reasons if reason is not None]


def memory_bytes(device: torch.device) -> int | None:
    """Return the memory that training may use on a device; None if it is unknown."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    total = runtime.memory_bytes()
    return None if total is None else int(_USABLE_MEMORY * total)


def _device(name: str) -> torch.device:
    if name != "cuda":
        return torch.device(name)
    # No TF32 in place of float32, and the same seed gives the same weights.
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.deterministic = True
    # torchrun assigns a GPU to each of its processes on a machine.
    return torch.device(name, int(os.environ.get("LOCAL_RANK", "0")))
