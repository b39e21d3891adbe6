"""What this CPU supports: bf16 and the fused kernels; and if it does not, why."""

import functools
import importlib
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from rnncli import runtime
from rnncli.nn.cell_registry import CELLS
from rnncli.nn.config import BLOCK, ModelConfig

_FUSED = "rnncli.nn.fused.autograd"
# Values of ONEDNN_MAX_CPU_ISA that allow bf16: that of bf16 itself and those of later CPUs.
_WITH_BF16 = ("all", "default", "avx512_core_bf16", "avx512_core_fp16", "avx512_core_amx", "avx10")
_enabled: ContextVar[bool] = ContextVar("fused_kernels", default=False)


@contextmanager
def fused_kernels(enabled: bool) -> Iterator[None]:
    """Let layers use the fused kernels where autocast asks for bf16 on a CPU, within the context."""
    before = _enabled.set(enabled)
    try:
        yield
    finally:
        _enabled.reset(before)


def why_not_bf16(device: torch.device) -> str | None:
    """Return why bf16 is of no use on a device, as a clause; None if it is of use.

    A CPU without bf16 instructions is far slower than in fp32, and torch has no LSTM in bf16 there.
    """
    if device.type == "cuda":
        return (
            None if torch.cuda.is_bf16_supported(including_emulation=False) else "the GPU has no native bf16"
        )
    if device.type != "cpu":
        return None
    return _forbidden() if _has_native_bf16() else "the processor has no native bf16"


def _forbidden() -> str | None:
    """The variable that keeps oneDNN from bf16, if any; its micro-kernel would then end the process."""
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        allowed = os.environ.get(name, "").lower()
        if allowed and not allowed.startswith(_WITH_BF16):
            return f"{name} forbids bf16"
    return None


@functools.cache
def _has_native_bf16() -> bool:
    """Whether torch reports bf16 instructions; False if it cannot."""
    if platform.machine().lower() in ("x86_64", "amd64"):
        supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    else:  # on ARM, only oneDNN uses them
        supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    return bool(supported())


def why_not_fused(device: torch.device) -> str | None:
    """Return why the fused kernels cannot be used on a device, as a clause; None if they can."""
    return why_no_kernels() if device.type == "cpu" else "they are for CPUs"


@functools.cache
def why_no_kernels() -> str | None:
    """Return why the fused kernels cannot be used on this machine, as a clause; None if they can."""
    if (runtime.SYSTEM, platform.machine()) != ("linux", "x86_64"):
        return "they are for Linux on x86-64"
    if not torch.cpu._is_avx512_supported():
        return "the processor has no AVX-512"
    if not _has_native_bf16():
        return "the processor has no native bf16"
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return "this torch has no oneDNN"
    if (forbidden := _forbidden()) is not None:
        return forbidden
    try:
        _load()
    except Exception as error:  # numba and LLVM raise many kinds; torch is used instead
        return f"they could not be loaded: {error}"
    return None


def layers_have_kernels(model: ModelConfig) -> bool:
    """Whether the fused kernels run all recurrent layers, and not the loss alone."""
    return all(CELLS[cell].fused_kernels for cell in model.cells) and not model.mogrifier


def fused_for(layer: nn.RNNBase, inputs: Tensor) -> ModuleType | None:
    """Return nn/fused/autograd.py if a layer is to be computed by it, else None."""
    return fused_on(inputs.device) if layer.hidden_size % BLOCK == 0 else None


def fused_on(device: torch.device) -> ModuleType | None:
    """Return nn/fused/autograd.py if its kernels are enabled and can be used on a device, else None."""
    if (
        _enabled.get()
        and device.type == "cpu"
        and torch.is_autocast_enabled("cpu")
        and why_no_kernels() is None
    ):
        return _load()
    return None


@functools.cache
def _load() -> ModuleType:
    """Load LLVM, which takes half a second; if the cache of numba is corrupted, compile again."""
    try:
        return importlib.import_module(_FUSED)
    except ImportError:  # numba is not installed
        raise
    except Exception:
        cache = os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).parent / "__pycache__"
        broken = list(Path(cache).rglob("kernels.*.nb[ci]"))
        if not broken:
            raise
        for file in broken:
            file.unlink(missing_ok=True)
        return importlib.import_module(_FUSED)
