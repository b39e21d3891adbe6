"""Whether the kernels of model/fused.py are used, and if they cannot be, why."""

import functools
import importlib
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import ModuleType

import torch
from torch import Tensor, nn

from rnncli.model.config import BLOCK, NONLINEAR_CELLS, ModelConfig

_wanted: ContextVar[bool] = ContextVar("fused_kernels", default=False)


@contextmanager
def fused_kernels(wanted: bool) -> Iterator[None]:
    """Within it layers use the kernels where autocast asks for bfloat16 on a processor."""
    before = _wanted.set(wanted)
    try:
        yield
    finally:
        _wanted.reset(before)


@functools.cache
def missing() -> str | None:
    """Why the kernels cannot be used on this machine, as the end of a sentence; None where they can."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return "they are for Linux on x86-64"
    if not torch.cpu._is_avx512_supported():
        return "the processor has no AVX-512"
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return "this torch has no oneDNN"
    # Its micro-kernel would end the process, not raise, where a person forbids what it is made of.
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        allowed = os.environ.get(name) or "all"
        if not allowed.lower().startswith(("all", "default", "avx512", "avx10")):
            return f"{name} forbids AVX-512"
    try:
        _load()
    except Exception as error:  # numba and LLVM have theirs of many kinds; torch computes instead
        return f"they could not be loaded: {error}"
    return None


def in_place_of_kernels(device: torch.device) -> str | None:
    """Why torch computes there instead, as a reason of a plan; None where the kernels can be used."""
    why = missing() if device.type == "cpu" else "they are for processors"
    return None if why is None else f"kernels torch: the fused ones cannot be used, {why}"


def layers_have_kernels(model: ModelConfig) -> bool:
    """Whether the kernels run all of its layers, and not the loss alone."""
    return set(model.cells) <= set(NONLINEAR_CELLS) and not model.mogrifier


def fused_for(layer: nn.RNNBase, inputs: Tensor) -> ModuleType | None:
    """model/fused.py where this layer can and should go through it now."""
    return fused_on(inputs.device) if layer.hidden_size % BLOCK == 0 else None


def fused_on(device: torch.device) -> ModuleType | None:
    """model/fused.py where its kernels are wanted now and can be used."""
    if _wanted.get() and device.type == "cpu" and torch.is_autocast_enabled("cpu") and missing() is None:
        return _load()
    return None


@functools.cache
def _load() -> ModuleType:
    """Loads LLVM, half a second that nothing else needs."""
    return importlib.import_module("rnncli.model.fused")
