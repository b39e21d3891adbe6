"""The loss of training and its gradients, a bounded number of logits at a time.

Shapes: N tokens, D width, V vocabulary. The logits of a window are by far its largest array: with
200,000 symbols they would take gigabytes, several times over. So they are computed for some tokens
at a time, and their gradient p - [target] at once in their place; what is kept has the shapes of what
came in. The softmax is exact whatever the vocabulary.
"""

from typing import Any

import torch
from torch import Tensor

from rnncli.nn.fused.support import fused_on

# Logits at a time: as few parts as fit in memory, since each part adds to the whole weight gradient.
MOST_LOGITS = 2**26


def mean_nats(
    hidden: Tensor,
    weight: Tensor,
    bias: Tensor,
    targets: Tensor,
    tokens: int,
    most_logits: int = MOST_LOGITS,
) -> Tensor:
    """The sum of -ln p(target) / tokens, as a scalar with gradients.

    hidden (N, D), weight (V, D), bias (V), targets (N), negative where there is none. Products are
    computed in the precision of autocast, sums in float32. `backward` can be called once. On a processor a
    target that is no symbol raises IndexError.
    """
    # Machine code would write past the row's end. A GPU looks itself, and would be waited for.
    if targets.device.type == "cpu" and int(targets.max()) >= len(weight):
        raise IndexError(f"target {int(targets.max())} of {len(weight)} symbols")
    return _MeanNats.apply(hidden, weight, bias, targets, tokens, most_logits)  # type: ignore[no-untyped-call, no-any-return]


class _MeanNats(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        targets: Tensor,
        tokens: int,
        most_logits: int,
    ) -> Tensor:
        device = hidden.device.type
        precision = hidden.dtype
        if torch.is_autocast_enabled(device):
            precision = torch.get_autocast_dtype(device)
        fused = fused_on(hidden.device)
        softmax_gradient = _softmax_gradient if fused is None else fused.softmax_gradient
        rows = max(1, most_logits // len(weight))
        brief, matrix, shift = (tensor.detach().to(precision) for tensor in (hidden, weight, bias))
        of_hidden, of_weight, of_bias = torch.empty_like(brief), None, torch.zeros_like(bias)
        total = torch.zeros((), device=device)
        with torch.autocast(device, enabled=False):
            for some, goals, target in zip(
                *(torch.split(tensor, rows) for tensor in (brief, targets, of_hidden)), strict=True
            ):
                logits = torch.addmm(shift, some, matrix.t())
                nats, of_shift = softmax_gradient(logits, goals, 1.0 / tokens)
                total += nats.sum()
                of_bias += of_shift
                torch.mm(logits, matrix, out=target)
                product = torch.mm(logits.t(), some)
                of_weight = product.to(weight.dtype) if of_weight is None else of_weight.add_(product)
        ctx.of_inputs = of_hidden.to(hidden.dtype), of_weight, of_bias
        return total / tokens

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        # Handed over and not copied: one of them is as large as the matrix. So there is one way back only.
        of_inputs, ctx.of_inputs = ctx.of_inputs, None
        (of_loss,) = gradients
        return *(gradient.mul_(of_loss) for gradient in of_inputs), None, None, None


def _softmax_gradient(logits: Tensor, targets: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """As in nn/fused/autograd.py, in any precision and on any device."""
    known, goals = targets >= 0, targets.clamp(min=0)[:, None]
    logarithms = torch.log_softmax(logits.float(), 1)
    nats = -logarithms.gather(1, goals)[:, 0] * known
    gradient = logarithms.exp_().scatter_add_(1, goals, torch.full_like(goals, -1, dtype=torch.float32))
    gradient *= (scale * known)[:, None]
    logits.copy_(gradient)
    return nats, gradient.sum(0)
