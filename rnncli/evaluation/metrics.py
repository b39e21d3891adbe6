"""What is to be known of a token from the logits before it. Shapes: N tokens, V symbols, M measures."""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

# logits (N, V) and targets (N), negative where there is none -> what is to be known of each token (N, M)
Measure = Callable[[Tensor, Tensor], Tensor]


def token_nats(logits: Tensor, targets: Tensor) -> Tensor:
    """logits (..., V), targets (...) -> -ln p(target) (...) in float32."""
    flat = F.cross_entropy(logits.flatten(0, -2).float(), targets.flatten(), reduction="none")
    return flat.view(targets.shape)


def nats_alone(logits: Tensor, targets: Tensor) -> Tensor:
    """-ln p(target) (N, 1)."""
    return token_nats(logits, targets)[:, None]


def nats_and_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """-ln p(target), and the expected value of -ln p before the target is known (N, 2)."""
    logs = torch.log_softmax(logits.float(), -1)
    nats = -logs.gather(1, targets.clamp(min=0)[:, None])
    entropy = -(logs.exp() * logs.clamp(min=torch.finfo(logs.dtype).min)).sum(1, keepdim=True)
    return torch.cat([nats * (targets >= 0)[:, None], entropy], dim=1)


def surprisal_measures(boundaries: Sequence[int]) -> Measure:
    """Measures -ln p(target), the entropy, the target's rank from 1, -ln p(any of `boundaries`) (N, 4)."""
    places = torch.tensor(list(boundaries), dtype=torch.long)

    def measure(logits: Tensor, targets: Tensor) -> Tensor:
        logs = torch.log_softmax(logits.float(), -1)
        known = logs.gather(1, targets.clamp(min=0)[:, None])
        rank = 1.0 + (logs > known).sum(1, keepdim=True)
        boundary = -torch.logsumexp(logs[:, places.to(logs.device)], 1, keepdim=True)
        return torch.cat([nats_and_entropy(logits, targets), rank, boundary], dim=1)

    return measure
