"""AdamW: matrices decay, vectors do not; its memory comes back by name."""

import torch

from rnncli.training.config import TrainConfig
from rnncli.training.optimizer import adamw, optimizer_tensors, restore_optimizer
from tests.conftest import tiny_model


def test_matrices_decay_and_vectors_do_not() -> None:
    model = tiny_model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
    optimizer = adamw(model, TrainConfig(steps=1, learning_rate=0.1, weight_decay=0.5))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in model.named_parameters():
        expected = 0.95 if parameter.dim() > 1 else 1.0  # 1 - rate * decay
        torch.testing.assert_close(parameter.detach(), torch.full_like(parameter, expected), msg=name)


def test_the_optimizer_s_memory_comes_back_by_name() -> None:
    model = tiny_model()
    optimizer = adamw(model, TrainConfig(steps=1))
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    optimizer.step()
    kept = {name: tensor.clone() for name, tensor in optimizer_tensors(optimizer, model).items()}
    fresh = adamw(model, TrainConfig(steps=1))
    assert optimizer_tensors(fresh, model) == {}
    restore_optimizer(fresh, model, kept)
    again = optimizer_tensors(fresh, model)
    assert again.keys() == kept.keys()
    assert all(torch.equal(tensor, again[name]) for name, tensor in kept.items())
