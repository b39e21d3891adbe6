"""One training step: a batch in, one update of the weights out.

B is the batch size (rows of text that are read side by side), T the number of tokens of a row, K the number
of ensemble members, D the hidden size, P the number of parameter tensors.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils import clip_grads_with_norm_

from rnncli.data.batching import Batch
from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.nn.fused.support import fused_kernels
from rnncli.nn.rnn import DropoutMasks
from rnncli.training.config import TrainConfig
from rnncli.training.distributed import SINGLE_PROCESS, ProcessGroup
from rnncli.training.optimizer import gradient_of
from rnncli.training.state import TrainState


class StepResult(NamedTuple):
    """The outcome of a step.

    Attributes:
        loss: Mean negative log-likelihood of the batch, in nats per token.
        gradient_norms: Norm of the gradient of every parameter before clipping, (P,).
        gradient_norm: Norm of the whole gradient before clipping.
    """

    loss: float
    gradient_norms: Tensor
    gradient_norm: float

    @property
    def updated(self) -> bool:
        """Whether the weights changed; a step whose loss or gradient is not finite is skipped."""
        return math.isfinite(self.loss) and math.isfinite(self.gradient_norm)


def train_step(
    state: TrainState,
    batch: Batch,
    config: TrainConfig,
    lr: float,
    *,
    group: ProcessGroup = SINGLE_PROCESS,
) -> StepResult:
    """Take one step of truncated backpropagation through time (Williams and Peng 1990).

    The gradient is clipped by its norm (Pascanu et al. 2013). If the loss or the gradient is not finite, the
    weights stay as they are and the hidden state is reset. Several processes take the step of one: each
    computes its shard of the rows, and the sums are those over all rows.

    Args:
        state: The run; changed in place.
        batch: Inputs and targets (B, T) of all processes.
        config: The training configuration.
        lr: Learning rate.
        group: The processes that train together.
    """
    model, device, batch_size = state.model, state.model.device, len(batch.targets)
    shard = group.shard(batch_size)
    inputs, targets = (torch.from_numpy(array[shard]).to(device) for array in (batch.inputs, batch.targets))
    hidden_state = state.hidden_state.map(lambda tensor: tensor[shard])
    if batch.reset[shard].any():  # in about a quarter of the steps
        reset = torch.from_numpy(batch.reset[shard]).to(device)
        hidden_state = hidden_state.merge(
            model.initial_state(len(inputs)),
            lambda carried, empty: torch.where(reset.view(-1, *[1] * (carried.dim() - 1)), empty, carried),
        )
    with precision_context(config, device):
        masks = DropoutMasks(state.rng, batch_size, shard.start)
        hidden, hidden_state = model.hidden(inputs, hidden_state, masks)
        regularize_activations(hidden, targets, batch.tokens, config)
        mean_nll = model.mean_nll(hidden, targets, batch.tokens)
    model.zero_grad()
    mean_nll.backward()  # type: ignore[no-untyped-call]
    # Autocast may return bfloat16; the state is carried in the precision of the weights.
    hidden_state = hidden_state.detach().map(torch.Tensor.float)
    mean_nll, hidden_state = group.all_reduce(
        model=model, loss=mean_nll.detach(), hidden_state=hidden_state, shard=shard, batch_size=batch_size
    )
    gradients = [gradient_of(parameter) for parameter in model.parameters()]
    # All norms in one call: a small model spends its time in calls.
    norms = torch.stack(torch._foreach_norm(gradients))
    total_norm = norms.norm()
    loss, norm = torch.stack([mean_nll, total_norm]).tolist()  # the only wait for the device
    result = StepResult(loss, norms, norm)
    state.step += 1
    if result.updated:
        if norm > config.gradient_clip:  # saves most steps a pass over all gradients
            clip_grads_with_norm_(model.parameters(), config.gradient_clip, total_norm)
        state.optimizer.step(lr)
        state.hidden_state = hidden_state
        state.skipped_in_a_row = 0
    else:
        state.skipped_steps += 1
        state.skipped_in_a_row += 1
        state.hidden_state = model.initial_state(batch_size)
    return result


def regularize_activations(hidden: Tensor, targets: Tensor, tokens: int, config: TrainConfig) -> None:
    """Add the gradient of activation regularization (AR) and temporal activation regularization (TAR).

    The loss is increased by alpha mean(h_t^2) + beta mean((h_t - h_{t-1})^2), the means over hidden units and
    over tokens that have a target (Merity et al. 2017, Revisiting activation regularization for language
    RNNs). Only its gradient is computed, in a hook on `hidden`: the value is not needed.

    Args:
        hidden: Outputs of the last layer, (B, T, K D).
        targets: Token ids, (B, T); negative where there is no target.
        tokens: Number of targets in the batch of all processes, by which the sums are divided.
        config: alpha is its `activation_regularization`, beta its `temporal_regularization`.
    """
    alpha, beta = config.activation_regularization, config.temporal_regularization
    if not alpha and not beta:
        return
    # Detached: otherwise the tensor would refer to itself through its hook and live longer than the step.
    values = hidden.detach()

    def add_gradient(gradient: Tensor) -> Tensor:
        h, has_target = values.float(), (targets >= 0).unsqueeze(-1)
        scale = 2.0 / (tokens * h.shape[-1])
        changes = (h[:, 1:] - h[:, :-1]) * has_target[:, 1:]
        added = h * has_target.float().mul_(scale * alpha)
        added[:, 1:].add_(changes, alpha=scale * beta)
        added[:, :-1].sub_(changes, alpha=scale * beta)
        return gradient + added.to(gradient.dtype)

    hidden.register_hook(add_gradient)  # type: ignore[no-untyped-call]


def gradient_norms_by_layer(model: RNNLanguageModel, norms: Tensor) -> dict[str, float]:
    """Return the norm of the gradient of each layer: {"embedding": ..., "layers.0": ..., "output": ...}.

    The layers of all ensemble members at the same depth count as one.

    Args:
        model: The model.
        norms: Norms by parameter, (P,), in the order of `model.parameters()`.
    """
    squares: dict[str, float] = {}
    for (name, _), norm in zip(model.named_parameters(), norms.tolist(), strict=True):
        _, _, *parts = name.split(".")  # such as members.0.layers.0.kernel.weight_hh_l0
        layer = ".".join(parts[:2]) if parts[0] == "layers" else parts[0].split("_")[0]
        squares[layer] = squares.get(layer, 0.0) + norm * norm
    return {layer: math.sqrt(square) for layer, square in sorted(squares.items())}


@contextmanager
def precision_context(config: TrainConfig, device: torch.device) -> Iterator[None]:
    """Compute in the configured precision, and with fused kernels if they are configured, in the block.

    bf16 computes matrix products in bfloat16, and keeps weights and sums in float32.
    """
    with (
        torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"),
        fused_kernels(config.kernels == "fused"),
    ):
        yield


@contextmanager
def threads_of(config: TrainConfig) -> Iterator[None]:
    """Let torch use the configured number of CPU threads in the block."""
    before = torch.get_num_threads()
    torch.set_num_threads(config.threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
