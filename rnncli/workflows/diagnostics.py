"""What a report of a bug, or of a speed, needs to know of a machine."""

import os
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

import torch

from rnncli import __version__, runtime
from rnncli.nn.config import ModelConfig
from rnncli.nn.fused.support import missing, why_not_bf16
from rnncli.training.backends import check_on
from rnncli.training.config import TrainConfig
from rnncli.training.throughput import matrix_peak, tokens_per_second
from rnncli.workflows.devices import unusable_devices

# What decides how many threads compute, and where.
_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OMP_WAIT_POLICY",
    "GOMP_SPINCOUNT",
    "CUDA_VISIBLE_DEVICES",
)
_MODEL = ModelConfig(vocab_size=65, cell="lstm", hidden_size=512, embedding_size=128, dropout=0.0)
_CONFIG = TrainConfig(steps=1, batch_size=16, bptt=64)
_CPU = torch.device("cpu")
_CHECK = check_on(_CPU)
_SECONDS = 1.0


def facts() -> dict[str, Any]:
    """Versions, system, devices, and what fails in a small step; no path is named."""
    return {
        "rnncli": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": platform.platform(),
        "processor": runtime.processor_name(),
        "logical_processors": os.cpu_count(),
        "memory_bytes": runtime.memory_bytes(),
        "threads": torch.get_num_threads(),
        "devices": _devices(),
        "kernels": "fused" if missing() is None else f"torch: {missing()}",
        "dropped": _dropped(),
        "packages": _packages(),
        "environment": {name: os.environ[name] for name in _VARIABLES if name in os.environ},
        "encodings": {"stdout": getattr(sys.stdout, "encoding", None), "files": sys.getfilesystemencoding()},
    }


def speeds() -> dict[str, dict[str, float]]:
    """Measured on the CPU, in some seconds: plain matrix products, and training one LSTM layer."""
    usable, _ = _CHECK.survey(_MODEL, _CONFIG)
    products = {"fp32": torch.float32}
    if why_not_bf16(_CPU) is None:
        products["bf16"] = torch.bfloat16
    return {
        "matrix_products_gflops": {
            name: matrix_peak(kind, _SECONDS) / 1e9 for name, kind in products.items()
        },
        "training_tokens_per_second": {
            " ".join(one): tokens_per_second(_MODEL, one.applied(_CONFIG), _CPU, _SECONDS) for one in usable
        },
    }


def _dropped() -> list[str]:
    """What cannot be used to train on the CPU, and why; and the GPUs that cannot."""
    _, dropped = _CHECK.survey(_MODEL, _CONFIG)
    return [*map(str, dropped), *unusable_devices()]


def _devices() -> list[str]:
    found = ["cpu"]
    if torch.cuda.is_available():
        found += _gpus()
    if torch.backends.mps.is_available():
        found.append("mps")
    return found


def _gpus() -> list[str]:
    try:
        return [f"cuda:{n} {torch.cuda.get_device_name(n)}" for n in range(torch.cuda.device_count())]
    except Exception:  # of a driver that does not work, which is said where its GPUs are not used
        return ["cuda"]


def _packages() -> dict[str, str | None]:
    """Those that rnncli names, by their installed versions; None: not installed."""
    try:
        wanted = [line for line in requires("rnncli") or [] if not re.search(r"extra == .dev", line)]
    except PackageNotFoundError:  # it runs from its source
        wanted = ["torch", "numpy"]
    # Those that another system or Python needs.
    elsewhere = {_name(line) for line in wanted if re.search(r"sys_platform|python_version", line)}
    found: dict[str, str | None] = {}
    for name in sorted(map(_name, wanted)):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            if name not in elsewhere:
                found[name] = None
    return found


def _name(requirement: str) -> str:
    """ "torch<3,>=2.9" -> "torch"."""
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
