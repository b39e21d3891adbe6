"""Collect facts about this machine for a bug report: versions, devices, kernels and measured speeds."""

import os
import platform
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

import torch

from rnncli import __version__, runtime
from rnncli.nn.config import ModelConfig
from rnncli.nn.fused.support import why_no_kernels, why_not_bf16
from rnncli.training.backends import check_on
from rnncli.training.config import TrainConfig
from rnncli.training.throughput import matrix_peak, tokens_per_second
from rnncli.workflows.devices import pick_device, unusable_devices

# Environment variables that affect how many threads compute, and where.
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


@dataclass(frozen=True)
class Diagnostics:
    """Facts about this machine and the software on it; no path is named.

    Attributes:
        rnncli: Version.
        python: Implementation and version.
        system: Operating system.
        processor: Name of the processor.
        logical_processors: Their number.
        memory_bytes: Size of the memory.
        threads: Threads that torch uses.
        devices: Devices that torch finds.
        kernels: Kernels that training uses on the CPU.
        unusable: What cannot be used to train, with the reasons.
        packages: Versions of the packages that rnncli needs; None if one is not installed.
        environment: Environment variables that affect the threads.
        encodings: Encodings of stdout and of file names.
        measured: Measured speeds, by what was measured and how.
    """

    rnncli: str
    python: str
    system: str
    processor: str
    logical_processors: int | None
    memory_bytes: int | None
    threads: int
    devices: list[str]
    kernels: str
    unusable: list[str]
    packages: Mapping[str, str | None]
    environment: Mapping[str, str]
    encodings: Mapping[str, str | None]
    measured: Mapping[str, Mapping[str, float]]

    def record(self) -> dict[str, Any]:
        """All of it, as plain values for JSON."""
        return asdict(self)


def diagnose(*, measure: bool = True) -> Diagnostics:
    """Collect what a bug report needs about this machine.

    Args:
        measure: Whether to measure speeds on the CPU too, which takes some seconds.
    """
    pick_device("cpu")  # measures under the same settings as training
    return Diagnostics(
        rnncli=__version__,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=platform.platform(),
        processor=runtime.processor_name(),
        logical_processors=os.cpu_count(),
        memory_bytes=runtime.memory_bytes(),
        threads=torch.get_num_threads(),
        devices=_devices(),
        kernels="fused" if why_no_kernels() is None else f"torch: {why_no_kernels()}",
        unusable=_unusable_backends(),
        packages=_packages(),
        environment={name: os.environ[name] for name in _VARIABLES if name in os.environ},
        encodings={"stdout": getattr(sys.stdout, "encoding", None), "files": sys.getfilesystemencoding()},
        measured=_speeds() if measure else {},
    )


def _speeds() -> dict[str, dict[str, float]]:
    """Speeds of plain matrix products and of training one LSTM layer, measured on the CPU."""
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


def _unusable_backends() -> list[str]:
    """The backends and GPUs that cannot be used to train, with the reasons."""
    _, unusable = _CHECK.survey(_MODEL, _CONFIG)
    return [*map(str, unusable), *unusable_devices()]


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
    except Exception:  # a driver that does not work; the GPU is listed as unusable
        return ["cuda"]


def _packages() -> dict[str, str | None]:
    """Installed versions of the packages that rnncli requires; None: not installed."""
    try:
        requirements = [line for line in requires("rnncli") or [] if not re.search(r"extra == .dev", line)]
    except PackageNotFoundError:  # it runs from its source
        requirements = ["torch", "numpy"]
    # Packages that only another system or Python needs.
    elsewhere = {_name(line) for line in requirements if re.search(r"sys_platform|python_version", line)}
    found: dict[str, str | None] = {}
    for name in sorted(map(_name, requirements)):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            if name not in elsewhere:
                found[name] = None
    return found


def _name(requirement: str) -> str:
    """ "torch<3,>=2.9" -> "torch"."""
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
