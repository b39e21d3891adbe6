"""AdamW, and the learning-rate schedule that it follows."""

import math

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from rnncli.training.config import TrainConfig

# The tensors that AdamW keeps for every parameter: first and second moment, and the number of its steps.
MOMENTS = ("exp_avg", "exp_avg_sq", "step")
# The values of Kingma and Ba (2015, Adam).
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8
# The schedule ends at this fraction of the peak learning rate, so that the last steps still have an effect.
_FINAL_FRACTION = 0.01


class AdamW:
    """AdamW (Loshchilov and Hutter 2019); matrices have weight decay, vectors such as biases do not.

    torch's own optimizer classes import its compiler, which takes a second that nothing here needs. This
    class calls the same update function and gives the same bits.
    """

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        self._parameters: dict[str, Tensor] = dict(model.named_parameters())
        self._moments = {
            moment: {
                name: parameter.new_zeros(() if moment == "step" else parameter.shape)
                for name, parameter in self._parameters.items()
            }
            for moment in MOMENTS
        }
        matrices = [name for name, parameter in self._parameters.items() if parameter.dim() > 1]
        vectors = [name for name, parameter in self._parameters.items() if parameter.dim() <= 1]
        self._groups = [(matrices, config.weight_decay), (vectors, 0.0)]

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Update all parameters by their gradients, at learning rate `lr`."""
        for names, weight_decay in self._groups:
            parameters = [self._parameters[name] for name in names]
            averages, squares, steps = ([self._moments[moment][name] for name in names] for moment in MOMENTS)
            adamw(
                parameters,
                [gradient_of(parameter) for parameter in parameters],
                averages,
                squares,
                [],
                steps,
                fused=True,
                amsgrad=False,
                beta1=_BETA1,
                beta2=_BETA2,
                lr=lr,
                weight_decay=weight_decay,
                eps=_EPSILON,
                maximize=False,
            )

    def tensors(self) -> dict[str, Tensor]:
        """Return moments and step counts by name, such as "exp_avg.embedding.weight"; {} before a step."""
        if not any(self._moments["step"].values()):
            return {}
        return {
            f"{moment}.{name}": tensor for moment in MOMENTS for name, tensor in self._moments[moment].items()
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Load what `tensors` returned into a new optimizer of the same model.

        Raises:
            KeyError: Some tensors are missing.
        """
        for moment in MOMENTS if tensors else ():
            for name, tensor in self._moments[moment].items():
                tensor.copy_(tensors[f"{moment}.{name}"])


def gradient_of(parameter: Tensor) -> Tensor:
    """Return the gradient of a parameter that has one."""
    assert parameter.grad is not None
    return parameter.grad


def learning_rate(progress: float, config: TrainConfig, warmup_from: float = 0.0) -> float:
    """Return the learning rate of the schedule: linear warm-up, then a cosine to nearly zero.

    The cosine is that of Loshchilov and Hutter (2017, SGDR). Progress is counted in time or in steps,
    whichever limits the run, so that the schedule ends with the budget. In an open-ended run the learning
    rate is constant.

    Args:
        progress: The fraction of the budget that is used, from 0 to 1.
        config: Peak learning rate and length of the warm-up.
        warmup_from: The progress at which the last warm-up began: 0, or where a run was resumed with
            another budget or rolled back after it diverged.
    """
    if config.open_ended:
        return config.learning_rate
    warmup = min(1.0, (progress - warmup_from) / config.warmup) if config.warmup else 1.0
    cosine = 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))
    return (
        config.learning_rate
        * max(warmup, _FINAL_FRACTION)
        * (_FINAL_FRACTION + (1.0 - _FINAL_FRACTION) * cosine)
    )
