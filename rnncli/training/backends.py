"""Backends, the ways of computing a training step, and a check of which of them work on this machine.

A backend that raises, hangs, is far too slow or computes something else must never end a training run,
whatever the processor, the driver or the build of torch. So each is tried on a tiny network before it is
measured, and compared with float32 and torch's own layers on the CPU.

B is the batch size, T the number of tokens of a row.
"""

import functools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from rnncli import deadline
from rnncli.errors import ConfigError
from rnncli.nn.config import BLOCK, ModelConfig
from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.nn.fused.support import why_not_bf16, why_not_fused
from rnncli.training.config import Kernels, Precision, TrainConfig
from rnncli.training.optimizer import gradient_of
from rnncli.training.step import precision_context, threads_of

# The tiny network: enough arithmetic that a backend which is a hundred times as slow takes long, and so
# little that it ends.
_BATCH_SIZE, _LENGTH, _HIDDEN_SIZE, _MAX_VOCAB_SIZE, _MAX_ATTENTION = 8, 16, 64, 320, 8
# The largest relative error of the loss, and of any gradient. Measured for bf16: 2e-5, and 0.01, in a
# convolution 0.08. A gradient that lacks a term or has a wrong factor has a larger error.
_TOLERANCES: dict[Precision, tuple[float, float]] = {"fp32": (1e-4, 1e-3), "bf16": (5e-3, 0.2)}
# A gradient this small relative to that of all weights consists of rounding errors.
_NEGLIGIBLE = 1e-3
_MAX_SLOWDOWN = 100.0
# A first step shorter than this says nothing about the speed: libraries may still be loading.
_MIN_SLOW_SECONDS = 1.0
# A step that takes longer hangs. A GPU's driver and libraries are loaded in this time.
_CPU_DEADLINE_SECONDS, _GPU_DEADLINE_SECONDS = 20.0, 60.0
# Characters of the error message of a library that are quoted.
_MAX_ERROR_LENGTH = 200


class Unavailable(Exception):  # noqa: N818 - a fact about the machine, not a fault
    """A backend cannot be used here; the text of the exception is the reason, as a clause."""


class Backend(NamedTuple):
    """A way of computing a training step: the precision, and whose kernels compute the layers."""

    precision: Precision
    kernels: Kernels

    def __str__(self) -> str:
        return f"{self.precision} with {self.kernels} kernels"

    @classmethod
    def of(cls, training: TrainConfig) -> "Backend":
        """Return the backend that a configuration names."""
        return cls(training.precision, training.kernels)

    def applied(self, training: TrainConfig) -> TrainConfig:
        """Return the same configuration with this backend."""
        return replace(training, precision=self.precision, kernels=self.kernels)


class UnusableBackend(NamedTuple):
    """A backend that cannot be used here, and the reason, as a clause."""

    backend: Backend
    reason: str

    def __str__(self) -> str:
        return f"{self.backend}: {self.reason}"


# The reference: the others are compared with it, and it remains if none of them can be used.
FP32 = Backend("fp32", "torch")
BACKENDS = (FP32, Backend("bf16", "torch"), Backend("bf16", "fused"))


class CheckBatch(NamedTuple):
    """Token ids: inputs (B, T) and targets (B, T)."""

    inputs: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Gradients:
    """The outcome of a step: loss and gradients, in float32 on the CPU.

    Attributes:
        loss: Mean negative log-likelihood, in nats per token.
        by_name: The gradient of every parameter, by its name.
    """

    loss: float
    by_name: dict[str, Tensor]


TakeStep = Callable[[ModelConfig, TrainConfig, torch.device, CheckBatch], Gradients]


def loss_and_gradients(
    model: ModelConfig, training: TrainConfig, device: torch.device, batch: CheckBatch
) -> Gradients:
    """Compute loss and gradients of a network with the initial weights of `training.seed`; no dropout."""
    network = RNNLanguageModel.initialized(model, torch.Generator().manual_seed(training.seed)).to(device)
    inputs, targets = (ids.to(device) for ids in batch)
    with threads_of(training), precision_context(training, device):
        hidden, _ = network.hidden(inputs, network.initial_state(len(inputs)))
        loss = network.mean_nll(hidden, targets, targets.numel())
        loss.backward()  # type: ignore[no-untyped-call]
    gradients = {name: gradient_of(weight).float().cpu() for name, weight in network.named_parameters()}
    return Gradients(loss.item(), gradients)


class BackendCheck:
    """Checks whether a model can be trained on a device with a backend; tries each combination once."""

    def __init__(
        self,
        device: torch.device,
        take_step: TakeStep = loss_and_gradients,
        deadline_seconds: float | None = None,
    ) -> None:
        """Prepare the check.

        Args:
            device: Where the model is to be trained.
            take_step: Computes the step that is checked.
            deadline_seconds: A step that takes longer hangs; None: 20 s on the CPU, 60 s elsewhere.
        """
        self.device = device
        self._take_step = take_step
        default = _CPU_DEADLINE_SECONDS if device.type == "cpu" else _GPU_DEADLINE_SECONDS
        self._deadline = default if deadline_seconds is None else deadline_seconds
        self._reasons: dict[tuple[ModelConfig, TrainConfig], str | None] = {}

    def why_not(self, model: ModelConfig, training: TrainConfig) -> str | None:
        """Return why this backend cannot be used for the model, as a clause; None if it can."""
        training = TrainConfig(
            steps=1,
            precision=training.precision,
            kernels=training.kernels,
            threads=training.threads,
        )
        if Backend.of(training) == FP32 and self.device.type == "cpu":
            return None  # the reference
        reason = why_unusable(self.device, training)
        if reason is not None:
            return reason
        key = _tiny(model), training
        if key not in self._reasons:
            self._reasons[key] = self._try(*key)
        return self._reasons[key]

    def survey(
        self, model: ModelConfig, training: TrainConfig
    ) -> tuple[list[Backend], list[UnusableBackend]]:
        """Return the backends that can be used for a model, and the others."""
        reasons = {backend: self.why_not(model, backend.applied(training)) for backend in BACKENDS}
        usable = [backend for backend, reason in reasons.items() if reason is None]
        unusable = [UnusableBackend(backend, reason) for backend, reason in reasons.items() if reason]
        return usable, unusable

    def _try(self, model: ModelConfig, training: TrainConfig) -> str | None:
        """Take the steps in their own thread: one that hangs is abandoned."""
        batch, cpu, plain = _batch(model), torch.device("cpu"), FP32.applied(training)
        loss_and_gradients(model, plain, cpu, batch)  # warm-up
        began = time.perf_counter()
        expected = loss_and_gradients(model, plain, cpu, batch)
        fp32_seconds = time.perf_counter() - began

        def compare() -> str | None:
            return self._compare(model, training, batch=batch, expected=expected, fp32_seconds=fp32_seconds)

        try:
            return deadline.within(self._deadline, compare)
        except TimeoutError:
            return f"a small step had not ended after {self._deadline:g} s"
        except Exception as error:  # libraries raise exceptions of many kinds
            return describe_error(error)

    def _compare(
        self,
        model: ModelConfig,
        training: TrainConfig,
        *,
        batch: CheckBatch,
        expected: Gradients,
        fp32_seconds: float,
    ) -> str | None:
        """Return what is wrong compared with the `expected` step, which takes `fp32_seconds`, or None."""
        # Load what the first step needs, on so few tokens that it ends soon.
        self._take_step(model, training, self.device, CheckBatch(*(ids[:1, :2] for ids in batch)))
        for _ in range(2):
            began = time.perf_counter()
            actual = self._take_step(model, training, self.device, batch)
            seconds = time.perf_counter() - began
            if seconds <= _MAX_SLOWDOWN * fp32_seconds:
                return _difference(actual, expected, training.precision)
            if seconds >= _MIN_SLOW_SECONDS:
                break
        return f"a step takes {seconds / fp32_seconds:,.0f} times as long as in fp32 on the CPU"


@functools.cache
def check_on(device: torch.device) -> BackendCheck:
    """Return the check of a device; this process tries nothing twice."""
    return BackendCheck(device)


def why_unusable(device: torch.device, training: TrainConfig) -> str | None:
    """Return what the processor and the build of torch lack for a backend, known without a try, or None."""
    if training.kernels == "fused":
        return why_not_fused(device)
    return why_not_bf16(device) if training.precision == "bf16" else None


def usable_settings(
    check: BackendCheck, model: ModelConfig, training: TrainConfig
) -> tuple[TrainConfig, tuple[UnusableBackend, ...]]:
    """Return the configuration with which this machine can resume a run.

    If its backend cannot be used, the most similar one is: bf16 with torch's kernels in place of fused ones,
    then fp32.

    Returns:
        The configuration, and the backends that cannot be used.

    Raises:
        ConfigError: No backend can be used on the device.
    """
    unusable: list[UnusableBackend] = []
    for backend in BACKENDS[BACKENDS.index(Backend.of(training)) :: -1]:
        candidate = backend.applied(training)
        reason = check.why_not(model, candidate)
        if reason is None:
            return candidate, tuple(unusable)
        unusable.append(UnusableBackend(backend, reason))
    raise ConfigError(
        f"{check.device.type} cannot be used here: {unusable[-1].reason}", hint="use --device cpu"
    )


def describe_error(error: Exception) -> str:
    """Return one line about an exception that a library raised."""
    text = " ".join(str(error).split())
    text = f"{text[:_MAX_ERROR_LENGTH]}..." if len(text) > _MAX_ERROR_LENGTH else text
    return text if isinstance(error, Unavailable) else f"{type(error).__name__}: {text}"


def _tiny(model: ModelConfig) -> ModelConfig:
    """Return the same layers with a small hidden size; a multiple of BLOCK if the fused kernels need it."""
    hidden_size = _HIDDEN_SIZE if model.hidden_size % BLOCK == 0 else _HIDDEN_SIZE // 2
    return replace(
        model,
        vocab_size=min(model.vocab_size, _MAX_VOCAB_SIZE),
        hidden_size=hidden_size,
        embedding_size=hidden_size if model.tied_embeddings else _HIDDEN_SIZE // 2,
        attention=min(model.attention, _MAX_ATTENTION),
        ensemble_size=1,
        dropout=0.0,
    )


def _batch(model: ModelConfig) -> CheckBatch:
    ids = np.random.default_rng(0).integers(0, model.vocab_size, (_BATCH_SIZE, _LENGTH + 1))
    return CheckBatch(*(torch.from_numpy(part.copy()) for part in (ids[:, :-1], ids[:, 1:])))


def _difference(actual: Gradients, expected: Gradients, precision: Precision) -> str | None:
    """Return what is wrong with a step, or None if it is within the tolerance of its precision."""
    loss_tolerance, gradient_tolerance = _TOLERANCES[precision]
    if not math.isfinite(actual.loss):
        return f"its loss is {actual.loss}"
    if abs(actual.loss - expected.loss) > loss_tolerance * expected.loss:
        return f"its loss is {actual.loss:.6g} where float32 on the CPU has {expected.loss:.6g}"
    norms = {name: float(gradient.norm()) for name, gradient in expected.by_name.items()}
    negligible = _NEGLIGIBLE * math.hypot(*norms.values())
    for name, gradient in expected.by_name.items():
        error = float((actual.by_name[name] - gradient).norm()) / max(norms[name], negligible)
        if not error <= gradient_tolerance:  # NaN is not either
            return f"its gradient of {name} is off by {error:.2g}"
    return None
