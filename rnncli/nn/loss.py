"""The training loss and its gradients, with a bounded number of logits at a time.

The logits of a batch are by far its largest array: with a vocabulary of 200,000 they would take gigabytes,
several times over. So they are computed for some tokens at a time, and their gradient, p - [target], is
computed at once in their place. What is saved for the backward pass has the shapes of the inputs. The
softmax is exact whatever the vocabulary.

Shapes:
  N: tokens
  D: hidden size
  V: vocabulary size
"""

from typing import Any

import torch
from torch import Tensor

from rnncli.nn.fused.support import fused_on

# Logits at a time: as many as fit in memory, since every part is added to the gradient of the whole matrix.
MAX_LOGITS = 2**26


def mean_nll(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    *,
    tokens: int,
    max_logits: int = MAX_LOGITS,
) -> Tensor:
    """Return the mean negative log-likelihood of the targets, in nats, as a scalar with gradients.

    Products are computed in the precision of autocast, sums in fp32. `backward` can be called once.

    Args:
        hidden: Hidden states (N, D).
        weight: Output weights (V, D).
        bias: Output bias (V,).
        targets: Token ids (N,), negative where there is none.
        tokens: The number that the sum is divided by.
        max_logits: The number of logits that are in memory at a time.

    Raises:
        IndexError: A target is not in the vocabulary (checked on the CPU only).
    """
    # The fused kernels would write past the end of the row. A GPU checks by itself, and checking here would
    # wait for it.
    if targets.device.type == "cpu" and int(targets.max()) >= len(weight):
        raise IndexError(f"target {int(targets.max())} is not in a vocabulary of {len(weight)}")
    return _MeanNll.apply(hidden, weight, bias, targets, tokens, max_logits)  # type: ignore[no-untyped-call, no-any-return]


class _MeanNll(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        tokens: int,
        max_logits: int,
    ) -> Tensor:
        device = hidden.device.type
        precision = hidden.dtype
        if torch.is_autocast_enabled(device):
            precision = torch.get_autocast_dtype(device)
        fused = fused_on(hidden.device)
        softmax_gradient = _softmax_gradient if fused is None else fused.softmax_gradient
        rows = max(1, max_logits // len(weight))
        inputs, matrix, shift = (tensor.detach().to(precision) for tensor in (hidden, weight, bias))
        d_hidden, d_weight, d_bias = torch.empty_like(inputs), None, torch.zeros_like(bias)
        total = torch.zeros((), device=device)
        with torch.autocast(device, enabled=False):
            for some_inputs, some_targets, some_d_hidden in zip(
                *(torch.split(tensor, rows) for tensor in (inputs, targets, d_hidden)), strict=True
            ):
                logits = torch.addmm(shift, some_inputs, matrix.t())
                nll, some_d_bias = softmax_gradient(logits, some_targets, 1.0 / tokens)
                total += nll.sum()
                d_bias += some_d_bias
                torch.mm(logits, matrix, out=some_d_hidden)
                product = torch.mm(logits.t(), some_inputs)
                d_weight = product.to(weight.dtype) if d_weight is None else d_weight.add_(product)
        ctx.d_inputs = d_hidden.to(hidden.dtype), d_weight, d_bias
        return total / tokens

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        # The gradients are handed over and not copied, since one of them is as large as the matrix. This is
        # why `backward` can be called only once.
        d_inputs, ctx.d_inputs = ctx.d_inputs, None
        (d_loss,) = gradients
        return *(gradient.mul_(d_loss) for gradient in d_inputs), None, None, None


def _softmax_gradient(logits: Tensor, targets: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """The reference of nn/fused/autograd.py's function, in any precision and on any device."""
    is_target, indices = targets >= 0, targets.clamp(min=0)[:, None]
    log_probs = torch.log_softmax(logits.float(), 1)
    nll = -log_probs.gather(1, indices)[:, 0] * is_target
    gradient = log_probs.exp_().scatter_add_(1, indices, torch.full_like(indices, -1, dtype=torch.float32))
    gradient *= (scale * is_target)[:, None]
    logits.copy_(gradient)
    return nll, gradient.sum(0)
