"""Where to compute."""

import torch

from rnncli.errors import ConfigError


def pick_device(name: str) -> torch.device:
    """auto is CUDA, else MPS, else the processor; raises ConfigError for one that is not there."""
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
    return torch.device(name)
