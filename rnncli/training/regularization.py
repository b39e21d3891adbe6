"""What activations cost in training. Shapes: B lanes, T time, K members, D width."""

from torch import Tensor

from rnncli.training.config import TrainConfig


def penalize(hidden: Tensor, targets: Tensor, tokens: int, config: TrainConfig) -> None:
    """The outputs (B, T, K D) that the logits are made of are to be small and to change slowly.

    Adds to their gradient that of alpha mean h_t² + beta mean (h_t - h_{t-1})², over units and over tokens
    that have a target (B, T), one that is not negative; the sums are divided by a window's `tokens`, of which
    these may be a share. Nobody asks for the sum itself. (Merity et al. 2017, Revisiting activation
    regularization for language RNNs.)
    """
    alpha, beta = config.activation_regularization, config.temporal_regularization
    if not alpha and not beta:
        return
    values = hidden.detach()  # or the tensor would hold itself through its hook, and outlive the step

    def with_penalty(gradient: Tensor) -> Tensor:
        h, known = values.float(), (targets >= 0).unsqueeze(-1)
        scale = 2.0 / (tokens * h.shape[-1])
        changes = (h[:, 1:] - h[:, :-1]) * known[:, 1:]
        added = h * known.float().mul_(scale * alpha)
        added[:, 1:].add_(changes, alpha=scale * beta)
        added[:, :-1].sub_(changes, alpha=scale * beta)
        return gradient + added.to(gradient.dtype)

    hidden.register_hook(with_penalty)  # type: ignore[no-untyped-call]
