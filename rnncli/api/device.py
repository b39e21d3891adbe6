"""Where to compute."""

import ctypes
import os
import sys

import torch

from rnncli.errors import ConfigError

# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def pick_device(name: str) -> torch.device:
    """auto is CUDA, else MPS, else the processor; raises ConfigError for one that is not there.

    It also sets this process up for it: denormals are zero and freed memory is kept on a processor, on CUDA
    float32 is not shortened and cuDNN's algorithms are fixed.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        name = next(device for device, there in present.items() if there)
    if not present.get(name, False):
        usable = ", ".join(device for device, there in present.items() if there)
        raise ConfigError(f"device is {name!r}", hint=f"here it is auto or one of {usable}")
    if name == "cpu":
        torch.set_flush_denormal(True)  # decaying states pass through denormals, which are twentyfold slower
        _keep_freed_memory()
    if name == "cuda":
        # float32 is float32 here too, and the same seed gives the same weights.
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cudnn.deterministic = True
        # Of several processes on a machine torchrun tells each which of its GPUs is its own.
        return torch.device(name, int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device(name)


def memory_bytes(device: torch.device) -> int | None:
    """All the memory that the device has; None where nobody can say."""
    if device.type == "cuda":
        return int(torch.cuda.get_device_properties(device).total_memory)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):  # not a POSIX system
        return None


def _keep_freed_memory() -> None:
    """Let glibc keep large freed blocks for the next step instead of giving them back to the kernel.

    Every page of a block that comes anew is first filled with zeros: with 11,000 symbols that is a
    quarter of a training step's time. Elsewhere than on glibc there is no mallopt, and no need.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for parameter, value in ((_M_MMAP_THRESHOLD, 2**30), (_M_TRIM_THRESHOLD, 2**31 - 1)):
            mallopt(parameter, value)
