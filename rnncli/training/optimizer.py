"""AdamW over the model's parameters, and its memory as named tensors."""

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

from rnncli.training.config import TrainConfig

MOMENTS = ("exp_avg", "exp_avg_sq", "step")
# As Kingma and Ba (2015, Adam) have them.
_BETA1, _BETA2, _EPSILON = 0.9, 0.999, 1e-8


class AdamW:
    """AdamW (Loshchilov and Hutter 2019); weights decay, vectors such as biases do not.

    torch's own optimizers load its compiler, a second that nothing here needs; this is their arithmetic
    alone, to the bit.
    """

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        self._parameters: dict[str, Tensor] = dict(model.named_parameters())
        self._memory = {
            moment: {
                name: parameter.new_zeros(() if moment == "step" else parameter.shape)
                for name, parameter in self._parameters.items()
            }
            for moment in MOMENTS
        }
        decaying = [name for name, parameter in self._parameters.items() if parameter.dim() > 1]
        others = [name for name, parameter in self._parameters.items() if parameter.dim() <= 1]
        self._groups = [(decaying, config.weight_decay), (others, 0.0)]

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """One step down the gradients of all parameters."""
        for names, weight_decay in self._groups:
            parameters = [self._parameters[name] for name in names]
            moments, squares, steps = ([self._memory[moment][name] for name in names] for moment in MOMENTS)
            adamw(
                parameters,
                [gradient_of(parameter) for parameter in parameters],
                moments,
                squares,
                [],
                steps,
                fused=True,
                amsgrad=False,
                beta1=_BETA1,
                beta2=_BETA2,
                lr=rate,
                weight_decay=weight_decay,
                eps=_EPSILON,
                maximize=False,
            )

    def tensors(self) -> dict[str, Tensor]:
        """Moments and step counts by name, "exp_avg.embedding.weight" and so on; none before a step."""
        if not any(self._memory["step"].values()):
            return {}
        return {
            f"{moment}.{name}": tensor for moment in MOMENTS for name, tensor in self._memory[moment].items()
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """What `tensors` gave, into a fresh one of the same model; raises KeyError where some are missing."""
        for moment in MOMENTS if tensors else ():
            for name, tensor in self._memory[moment].items():
                tensor.copy_(tensors[f"{moment}.{name}"])


def gradient_of(parameter: Tensor) -> Tensor:
    """That of a parameter which has one."""
    assert parameter.grad is not None
    return parameter.grad
