"""Per-token metrics, computed from the logits before each token.

Shapes:
  N: tokens
  V: vocabulary size
  M: metrics per token

All logarithms are natural: probabilities are -ln p, in nats.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

# Logits (N, V) and targets (N,), negative where there is none -> metrics of each token (N, M).
Metric = Callable[[Tensor, Tensor], Tensor]


def nll_only(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the negative log-likelihood of each target (N, 1)."""
    return F.cross_entropy(logits.float(), targets, reduction="none")[:, None]


def nll_and_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the negative log-likelihood of each target, and the entropy before it is known (N, 2)."""
    logs = torch.log_softmax(logits.float(), -1)
    nll = -logs.gather(1, targets.clamp(min=0)[:, None])
    entropy = -(logs.exp() * logs.clamp(min=torch.finfo(logs.dtype).min)).sum(1, keepdim=True)
    return torch.cat([nll * (targets >= 0)[:, None], entropy], dim=1)


def surprisal_metrics(boundary_ids: Sequence[int]) -> Metric:
    """Return a metric that computes four numbers of each token (N, 4).

    They are its negative log-likelihood, the entropy before it, its rank by probability from 1, and
    -ln P(word boundary) before it.

    Args:
        boundary_ids: The token ids that are word boundaries.
    """
    boundaries = torch.tensor(list(boundary_ids), dtype=torch.long)

    def metric(logits: Tensor, targets: Tensor) -> Tensor:
        logs = torch.log_softmax(logits.float(), -1)
        own = logs.gather(1, targets.clamp(min=0)[:, None])
        rank = 1.0 + (logs > own).sum(1, keepdim=True)
        boundary = -torch.logsumexp(logs[:, boundaries.to(logs.device)], 1, keepdim=True)
        return torch.cat([nll_and_entropy(logits, targets), rank, boundary], dim=1)

    return metric
