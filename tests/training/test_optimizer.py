"""AdamW: torch's to the bit; matrices decay, vectors do not; its memory comes back by name."""

import subprocess
import sys

import torch

from rnncli.nn.language_model import LanguageModel
from rnncli.training.config import TrainConfig
from rnncli.training.optimizer import AdamW
from tests.conftest import tiny_model

CONFIG = TrainConfig(steps=1, weight_decay=0.5)
RATES = (0.1, 0.05, 0.2)


def push(model: LanguageModel, seed: int) -> None:
    """Gradients that depend on the seed alone."""
    rng = torch.Generator().manual_seed(seed)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=rng)


def test_it_takes_the_steps_of_torch_to_the_bit() -> None:
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


def test_matrices_decay_and_vectors_do_not() -> None:
    model = tiny_model()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(1.0)
            parameter.grad = torch.zeros_like(parameter)
    AdamW(model, CONFIG).step(0.1)
    for name, parameter in model.named_parameters():
        expected = 0.95 if parameter.dim() > 1 else 1.0  # 1 - rate * decay
        torch.testing.assert_close(parameter.detach(), torch.full_like(parameter, expected), msg=name)


def test_its_memory_comes_back_by_name() -> None:
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


def test_a_training_does_not_load_the_compiler_of_torch(rhyme: object) -> None:
    """Which takes a second, of every training."""
    ran = subprocess.run(
        [sys.executable, "-c", TRAINS], capture_output=True, text=True, timeout=240, check=False
    )
    assert ran.returncode == 0, ran.stderr
