"""AdamW gives the same bits as that of torch; the learning rate follows its schedule."""

import subprocess
import sys

import pytest
import torch

from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.training.config import TrainConfig
from rnncli.training.optimizer import AdamW, learning_rate
from tests.conftest import tiny_model

CONFIG = TrainConfig(steps=1, weight_decay=0.5)
RATES = (0.1, 0.05, 0.2)
SCHEDULE = TrainConfig(steps=100, learning_rate=0.1, warmup=0.1)


def push(model: RNNLanguageModel, seed: int) -> None:
    """Set gradients that depend only on the seed."""
    rng = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=rng)


def test_adamw_takes_the_steps_of_torch_bit_for_bit() -> None:
    ours, theirs = tiny_model(), tiny_model()
    optimizer = AdamW(ours, CONFIG)
    groups = [
        {"params": [p for p in theirs.parameters() if p.dim() > 1], "weight_decay": 0.5},
        {"params": [p for p in theirs.parameters() if p.dim() <= 1], "weight_decay": 0.0},
    ]
    reference = torch.optim.AdamW(groups, fused=True)
    for number, rate in enumerate(RATES):
        for model in (ours, theirs):
            push(model, number)
        optimizer.step(rate)
        for group in reference.param_groups:
            group["lr"] = rate
        reference.step()
    for name, weight in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], weight), name


def test_weight_decay_applies_to_matrices_and_not_to_vectors() -> None:
    model = tiny_model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
            parameter.grad = torch.zeros_like(parameter)
    AdamW(model, CONFIG).step(0.1)
    for name, parameter in model.named_parameters():
        expected = 0.95 if parameter.dim() > 1 else 1.0  # 1 - rate * decay
        torch.testing.assert_close(parameter.detach(), torch.full_like(parameter, expected), msg=name)


def test_moments_are_restored_by_name() -> None:
    model = tiny_model()
    optimizer, fresh = AdamW(model, CONFIG), AdamW(model, CONFIG)
    push(model, 1)
    optimizer.step(0.1)
    kept = {name: tensor.clone() for name, tensor in optimizer.tensors().items()}
    assert fresh.tensors() == {}
    fresh.restore(kept)
    again = fresh.tensors()
    assert again.keys() == kept.keys()
    assert all(torch.equal(tensor, again[name]) for name, tensor in kept.items())


TRAINS = """
import sys
sys.argv = ["rnncli", "train", "rhyme.txt", "--steps", "3", "--hidden-size", "8", "--bptt", "8", "--quiet"]
from rnncli.__main__ import main
try:
    main()
except SystemExit as leaving:
    assert not leaving.code, leaving.code
raise SystemExit("torch._dynamo" in sys.modules)
"""


def test_training_does_not_import_the_compiler_of_torch(rhyme: object) -> None:
    """The import would take a second of every run."""
    ran = subprocess.run(
        [sys.executable, "-c", TRAINS], capture_output=True, text=True, timeout=240, check=False
    )
    assert ran.returncode == 0, ran.stderr


def test_the_learning_rate_rises_and_then_falls_to_nearly_zero() -> None:
    rates = [learning_rate(progress / 100, SCHEDULE) for progress in range(101)]
    peak = rates.index(max(rates))
    assert 5 <= peak <= 10
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert 0.0 < rates[-1] <= 0.1 * 0.011


def test_the_cosine_is_at_half_after_half_of_the_budget() -> None:
    assert learning_rate(0.5, SCHEDULE) == pytest.approx(0.1 * (0.01 + 0.99 * 0.5))


def test_the_learning_rate_of_the_first_step_is_not_zero() -> None:
    assert learning_rate(0.0, SCHEDULE) > 0.0


def test_without_warm_up_the_first_learning_rate_is_the_peak() -> None:
    assert learning_rate(0.0, TrainConfig(steps=1, learning_rate=0.1, warmup=0.0)) == pytest.approx(0.1)
