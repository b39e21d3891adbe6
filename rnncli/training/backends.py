"""Ways of computing a training step, and whether one of them works on this machine.

A way that raises, hangs, is absurdly slow or computes something else must never end a plan, whatever the
processor, the driver or the build of torch. So each is tried on a tiny network before it is measured, against
float32 with torch's own layers on the CPU.
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

from rnncli import runtime
from rnncli.errors import ConfigError
from rnncli.nn.config import BLOCK, ModelConfig
from rnncli.nn.fused.support import why_not_bf16, why_not_fused
from rnncli.nn.language_model import LanguageModel
from rnncli.training.config import Precision, TrainConfig
from rnncli.training.hardware import ARRANGEMENTS, FLOAT32, Arrangement, Dropped, describe_error
from rnncli.training.optimizer import gradient_of
from rnncli.training.step import precision_context, threads_of

# Enough arithmetic that a way which is a hundred times as slow takes long, and little enough that it ends.
_ROWS, _LENGTH, _HIDDEN_SIZE, _MOST_VOCABULARY, _MOST_ATTENTION = 8, 16, 64, 320, 8
# The largest relative error of the loss, and of any gradient. bf16 was seen to be off by 2e-5, and by 0.01,
# in a convolution by 0.08; a gradient that lacks a term or has a wrong factor is off by more.
_TOLERANCES: dict[Precision, tuple[float, float]] = {"fp32": (1e-4, 1e-3), "bf16": (5e-3, 0.2)}
# A gradient this small beside that of all weights is made of rounding errors.
_NEGLIGIBLE = 1e-3
_TOO_SLOW = 100.0
# Below this a first step says nothing of the speed: libraries may still be preparing.
_LEAST_SLOW_SECONDS = 1.0
# Without an answer by then it hangs. A GPU's driver and libraries are loaded meanwhile.
_CPU_DEADLINE_SECONDS, _GPU_DEADLINE_SECONDS = 20.0, 60.0


class Batch(NamedTuple):
    """Token ids: inputs (B, T) and targets (B, T)."""

    inputs: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Gradients:
    """The loss of a batch in nats per token, and its gradient by name of the weight: float32, on the CPU."""

    loss: float
    by_name: dict[str, Tensor]


TakeStep = Callable[[ModelConfig, TrainConfig, torch.device, Batch], Gradients]


def loss_and_gradients(
    model: ModelConfig, training: TrainConfig, device: torch.device, batch: Batch
) -> Gradients:
    """Forward and backward through a network with the initial weights of `training.seed`, without dropout."""
    network = LanguageModel.initialized(model, torch.Generator().manual_seed(training.seed)).to(device)
    inputs, targets = (ids.to(device) for ids in batch)
    with threads_of(training), precision_context(training, device):
        hidden, _ = network.hidden(inputs, network.initial_state(len(inputs)))
        loss = network.mean_nats(hidden, targets, targets.numel())
        loss.backward()  # type: ignore[no-untyped-call]
    gradients = {name: gradient_of(weight).float().cpu() for name, weight in network.named_parameters()}
    return Gradients(loss.item(), gradients)


class ArrangementCheck:
    """Whether the settings of a training can be computed on a device: each combination is tried once."""

    def __init__(
        self,
        device: torch.device,
        take_step: TakeStep = loss_and_gradients,
        deadline_seconds: float | None = None,
    ) -> None:
        self.device = device
        self._take_step = take_step
        usual = _CPU_DEADLINE_SECONDS if device.type == "cpu" else _GPU_DEADLINE_SECONDS
        self._deadline = usual if deadline_seconds is None else deadline_seconds
        self._found: dict[tuple[ModelConfig, TrainConfig], str | None] = {}

    def why_not(self, model: ModelConfig, training: TrainConfig) -> str | None:
        """Return why these settings cannot be used here, as a clause; None where they can."""
        training = TrainConfig(
            steps=1,
            precision=training.precision,
            kernels=training.kernels,
            threads=training.threads,
        )
        if (training.kernels, training.precision, self.device.type) == ("torch", "fp32", "cpu"):
            return None  # all others are compared with it
        reason = why_not_settings(self.device, training)
        if reason is not None:
            return reason
        key = _tiny(model), training
        if key not in self._found:
            self._found[key] = self._try(*key)
        return self._found[key]

    def survey(self, model: ModelConfig, training: TrainConfig) -> tuple[list[Arrangement], list[Dropped]]:
        """Return the arrangements that can be used for a model, and the others."""
        reasons = {one: self.why_not(model, one.applied(training)) for one in ARRANGEMENTS}
        usable = [one for one, reason in reasons.items() if reason is None]
        return usable, [Dropped(one, reason) for one, reason in reasons.items() if reason is not None]

    def _try(self, model: ModelConfig, training: TrainConfig) -> str | None:
        """Take the steps in a thread of their own: one that hangs is left behind."""
        batch, cpu, plain = _batch(model), torch.device("cpu"), FLOAT32.applied(training)
        loss_and_gradients(model, plain, cpu, batch)
        began = time.perf_counter()
        expected = loss_and_gradients(model, plain, cpu, batch)
        usual = time.perf_counter() - began
        try:
            return runtime.within(
                self._deadline, lambda: self._compare(model, training, batch, expected, usual)
            )
        except TimeoutError:
            return f"a small step had not ended after {self._deadline:g} s"
        except Exception as error:  # libraries have theirs of many kinds
            return describe_error(error)

    def _compare(
        self, model: ModelConfig, training: TrainConfig, batch: Batch, expected: Gradients, usual: float
    ) -> str | None:
        """What is wrong beside the step `expected`, which takes `usual` seconds; None where nothing is."""
        # Loads what the first step needs, on so little that it ends soon.
        self._take_step(model, training, self.device, Batch(*(ids[:1, :2] for ids in batch)))
        for _ in range(2):
            began = time.perf_counter()
            found = self._take_step(model, training, self.device, batch)
            taken = time.perf_counter() - began
            if taken <= _TOO_SLOW * usual:
                return _difference(found, expected, training.precision)
            if taken >= _LEAST_SLOW_SECONDS:
                break
        return f"a step takes {taken / usual:,.0f} times as long as in fp32 on the CPU"


@functools.cache
def check_on(device: torch.device) -> ArrangementCheck:
    """Return the check of a device: what this process has tried there is not tried again."""
    return ArrangementCheck(device)


def why_not_settings(device: torch.device, training: TrainConfig) -> str | None:
    """Return what is known without a try: what the processor and the build of torch lack."""
    if training.kernels == "fused":
        return why_not_fused(device)
    return why_not_bf16(device) if training.precision == "bf16" else None


def usable_settings(
    check: ArrangementCheck, model: ModelConfig, training: TrainConfig
) -> tuple[TrainConfig, tuple[Dropped, ...]]:
    """Return the settings of a run as this machine can go on with it, and what it cannot use.

    Where its precision or kernels cannot be used, the next most alike are: bf16 with torch's kernels in
    place of fused ones, then fp32.
    """
    dropped: list[Dropped] = []
    own = Arrangement(training.precision, training.kernels)
    for arrangement in ARRANGEMENTS[ARRANGEMENTS.index(own) :: -1]:
        tried = arrangement.applied(training)
        reason = check.why_not(model, tried)
        if reason is None:
            return tried, tuple(dropped)
        dropped.append(Dropped(arrangement, reason))
    raise ConfigError(
        f"{check.device.type} cannot be used here: {dropped[-1].reason}", hint="use --device cpu"
    )


def _tiny(model: ModelConfig) -> ModelConfig:
    """The same layers with few units; BLOCK of them, as the fused kernels need."""
    hidden_size = _HIDDEN_SIZE if model.hidden_size % BLOCK == 0 else _HIDDEN_SIZE // 2
    return replace(
        model,
        vocab_size=min(model.vocab_size, _MOST_VOCABULARY),
        hidden_size=hidden_size,
        embedding_size=hidden_size if model.tied_embeddings else _HIDDEN_SIZE // 2,
        attention=min(model.attention, _MOST_ATTENTION),
        members=1,
        dropout=0.0,
    )


def _batch(model: ModelConfig) -> Batch:
    ids = np.random.default_rng(0).integers(0, model.vocab_size, (_ROWS, _LENGTH + 1))
    return Batch(*(torch.from_numpy(part.copy()) for part in (ids[:, :-1], ids[:, 1:])))


def _difference(found: Gradients, expected: Gradients, precision: Precision) -> str | None:
    """What is wrong with a step, None where it is within the tolerance of its precision."""
    of_loss, of_gradient = _TOLERANCES[precision]
    if not math.isfinite(found.loss):
        return f"its loss is {found.loss}"
    if abs(found.loss - expected.loss) > of_loss * expected.loss:
        return f"its loss is {found.loss:.6g} where float32 on the CPU has {expected.loss:.6g}"
    norms = {name: float(gradient.norm()) for name, gradient in expected.by_name.items()}
    negligible = _NEGLIGIBLE * math.hypot(*norms.values())
    for name, gradient in expected.by_name.items():
        error = float((found.by_name[name] - gradient).norm()) / max(norms[name], negligible)
        if not error <= of_gradient:  # nor is NaN
            return f"its gradient of {name} is off by {error:.2g}"
    return None
