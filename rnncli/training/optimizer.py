"""AdamW over the model's parameters, and its memory as named tensors."""

import torch
from torch import Tensor, nn

from rnncli.training.config import TrainConfig

_FUSED_DEVICES = ("cpu", "cuda", "mps")
MOMENTS = ("exp_avg", "exp_avg_sq", "step")


def adamw(model: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW (Loshchilov and Hutter 2019); weights decay, vectors such as biases do not."""
    parameters = list(model.parameters())
    return torch.optim.AdamW(
        [
            {
                "params": [parameter for parameter in parameters if parameter.dim() > 1],
                "weight_decay": config.weight_decay,
            },
            {
                "params": [parameter for parameter in parameters if parameter.dim() <= 1],
                "weight_decay": 0.0,
            },
        ],
        lr=config.learning_rate,
        fused=parameters[0].device.type in _FUSED_DEVICES,
    )


def optimizer_tensors(optimizer: torch.optim.Optimizer, model: nn.Module) -> dict[str, Tensor]:
    """Adam's moments and step counts by parameter name: "exp_avg.embedding.weight" and so on."""
    return {
        f"{moment}.{name}": optimizer.state[parameter][moment]
        for name, parameter in model.named_parameters()
        for moment in MOMENTS
        if parameter in optimizer.state
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """The inverse of optimizer_tensors, into a fresh optimizer of the same model."""
    names = {parameter: name for name, parameter in model.named_parameters()}
    ordered = [names[parameter] for group in optimizer.param_groups for parameter in group["params"]]
    record = optimizer.state_dict()
    record["state"] = {
        index: {moment: tensors[f"{moment}.{name}"] for moment in MOMENTS}
        for index, name in enumerate(ordered)
        if f"step.{name}" in tensors
    }
    optimizer.load_state_dict(record)
