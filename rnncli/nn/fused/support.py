"""What this processor can compute with: bf16, the kernels of nn/fused/autograd.py, and if not, why."""

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
from rnncli.nn.config import BLOCK, NONLINEAR_CELLS, ModelConfig

_FUSED = "rnncli.nn.fused.autograd"
# Values of ONEDNN_MAX_CPU_ISA that allow bf16: its own and those of later processors.
_WITH_BF16 = ("all", "default", "avx512_core_bf16", "avx512_core_fp16", "avx512_core_amx", "avx10")
_wanted: ContextVar[bool] = ContextVar("fused_kernels", default=False)


@contextmanager
def fused_kernels(wanted: bool) -> Iterator[None]:
    """Within it layers use the kernels where autocast asks for bfloat16 on a processor."""
    before = _wanted.set(wanted)
    try:
        yield
    finally:
        _wanted.reset(before)


def why_not_bf16(device: torch.device) -> str | None:
    """Return why products in bfloat16 make no sense there, as a clause; None where they do.

    A CPU without instructions for them is far slower than in float32, and torch has no LSTM in bf16 there.
    """
    if device.type == "cuda":
        return (
            None if torch.cuda.is_bf16_supported(including_emulation=False) else "the GPU has no native bf16"
        )
    if device.type != "cpu":
        return None
    return _forbidden() if _has_native_bf16() else "the processor has no native bf16"


def _forbidden() -> str | None:
    """Which variable keeps oneDNN from bf16: its micro-kernel, used all the same, would end the process."""
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        allowed = os.environ.get(name, "").lower()
        if allowed and not allowed.startswith(_WITH_BF16):
            return f"{name} forbids bf16"
    return None


@functools.cache
def _has_native_bf16() -> bool:
    """What torch knows of the CPU; False where it cannot say."""
    if platform.machine().lower() in ("x86_64", "amd64"):
        supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    else:  # ARM: only oneDNN computes with it
        supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    return bool(supported())


def why_not_fused(device: torch.device) -> str | None:
    """Return why the fused kernels cannot be used there, as a clause; None where they can."""
    return missing() if device.type == "cpu" else "they are for CPUs"


@functools.cache
def missing() -> str | None:
    """Why the kernels cannot be used on this machine, as the end of a sentence; None where they can."""
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
    except Exception as error:  # numba and LLVM have theirs of many kinds; torch computes instead
        return f"they could not be loaded: {error}"
    return None


def layers_have_kernels(model: ModelConfig) -> bool:
    """Whether the kernels run all of its layers, and not the loss alone."""
    return set(model.cells) <= set(NONLINEAR_CELLS) and not model.mogrifier


def fused_for(layer: nn.RNNBase, inputs: Tensor) -> ModuleType | None:
    """nn/fused/autograd.py where this layer can and should go through it now."""
    return fused_on(inputs.device) if layer.hidden_size % BLOCK == 0 else None


def fused_on(device: torch.device) -> ModuleType | None:
    """nn/fused/autograd.py where its kernels are wanted now and can be used."""
    if _wanted.get() and device.type == "cpu" and torch.is_autocast_enabled("cpu") and missing() is None:
        return _load()
    return None


@functools.cache
def _load() -> ModuleType:
    """Load LLVM, half a second that nothing else needs; where numba's cache is broken, compile anew."""
    try:
        return importlib.import_module(_FUSED)
    except ImportError:  # there is no numba
        raise
    except Exception:
        cache = os.environ.get("NUMBA_CACHE_DIR") or Path(__file__).parent / "__pycache__"
        broken = list(Path(cache).rglob("kernels.*.nb[ci]"))
        if not broken:
            raise
        for file in broken:
            file.unlink(missing_ok=True)
        return importlib.import_module(_FUSED)
