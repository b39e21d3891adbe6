"""What activations cost in training. Shapes: B lanes, T time, K members, D width."""

from torch import Tensor

from rnncli.training.config import TrainConfig


def activation_penalty(hidden: Tensor, targets: Tensor, tokens: int, config: TrainConfig) -> Tensor | None:
    """The last layer's outputs (B, T, K D), with dropout on them, are to be small and to change slowly.

    alpha mean h_t² + beta mean (h_t - h_{t-1})², a scalar, over units and over tokens that have a target
    (B, T), one that is not negative. The sums are divided by a window's `tokens`, of which these may be a
    share. None where there is nothing to add. (Merity et al. 2017, Revisiting activation regularization for
    language RNNs.)
    """
    alpha, beta = config.activation_regularization, config.temporal_regularization
    if not alpha and not beta:
        return None
    known = (targets >= 0).unsqueeze(-1)
    h = hidden.float() * known
    changes = (h[:, 1:] - h[:, :-1]) * known[:, 1:]
    return (alpha * h.square().sum() + beta * changes.square().sum()) / (tokens * h.shape[-1])
