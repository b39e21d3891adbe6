"""The loss in parts against torch's own, in every precision and with both softmax implementations."""

import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from rnncli.nn.fused import support
from rnncli.nn.fused.support import fused_kernels
from rnncli.nn.loss import mean_nll

SHAPES = [(1, 8, 2), (100, 64, 66), (300, 64, 1000), (77, 128, 10_007)]
needs_kernels = pytest.mark.skipif(
    support.why_no_kernels() is not None, reason=f"no fused kernels here: {support.why_no_kernels()}"
)


def problem(tokens: int, hidden_size: int, vocab_size: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(tokens)
    hidden, weight, bias = (
        torch.randn(*shape, generator=rng) * size
        for shape, size in (
            ((tokens, hidden_size), 1.0),
            ((vocab_size, hidden_size), 0.3),
            ((vocab_size,), 1.0),
        )
    )
    targets = torch.randint(0, vocab_size, (tokens,), generator=rng)
    targets[1::7] = -100
    return hidden, weight, bias, targets


def loss_and_gradients(
    hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, max_logits: int | None
) -> list[Tensor]:
    inputs = [tensor.clone().requires_grad_() for tensor in (hidden, weight, bias)]
    if max_logits is None:
        loss = F.cross_entropy(F.linear(*inputs), targets)
    else:
        loss = mean_nll(*inputs, targets, tokens=int((targets >= 0).sum()), max_logits=max_logits)
    return [loss.detach(), *torch.autograd.grad(3.0 * loss, inputs)]


def worst(found: list[Tensor], exact: list[Tensor]) -> float:
    return max(float((f.float() - e).norm() / e.norm()) for f, e in zip(found, exact, strict=True))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tokens_at_once", [1, 13, 10_000])
def test_in_fp32_it_is_torch_s_loss_however_many_logits_are_computed_at_a_time(
    shape: tuple[int, int, int], tokens_at_once: int
) -> None:
    tensors = problem(*shape)
    exact = loss_and_gradients(*tensors, max_logits=None)
    assert worst(loss_and_gradients(*tensors, max_logits=tokens_at_once * shape[2]), exact) < 1e-5


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tokens_at_once", [13, 10_000])
@pytest.mark.parametrize("fused", [False, pytest.param(True, marks=needs_kernels)])
def test_in_bf16_it_agrees_within_rounding(
    shape: tuple[int, int, int], tokens_at_once: int, fused: bool
) -> None:
    tensors = problem(*shape)
    exact = loss_and_gradients(*tensors, max_logits=None)
    with torch.autocast("cpu", torch.bfloat16), fused_kernels(fused):
        found = loss_and_gradients(*tensors, max_logits=tokens_at_once * shape[2])
    assert worst(found, exact) < 0.01


@pytest.mark.parametrize("fused", [False, pytest.param(True, marks=needs_kernels)])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_nan_and_inf_are_propagated(fused: bool, bad: float) -> None:
    hidden, weight, bias, targets = problem(40, 64, 300)
    hidden[3, 5] = bad
    with torch.autocast("cpu", torch.bfloat16), fused_kernels(fused):
        loss, d_hidden, *_ = loss_and_gradients(hidden, weight, bias, targets, max_logits=2**20)
    assert not loss.isfinite()
    assert not d_hidden[3].isfinite().all()


def test_tokens_without_a_target_have_no_gradient() -> None:
    hidden, weight, bias, targets = problem(40, 64, 300)
    _, d_hidden, *_ = loss_and_gradients(hidden, weight, bias, targets, max_logits=2**20)
    assert torch.equal(d_hidden.abs().sum(1) == 0, targets < 0)


@needs_kernels
def test_large_logits_do_not_overflow() -> None:
    hidden, weight, bias, targets = problem(40, 64, 300)
    exact = loss_and_gradients(100 * hidden, weight, bias, targets, max_logits=None)
    with torch.autocast("cpu", torch.bfloat16), fused_kernels(True):
        found = loss_and_gradients(100 * hidden, weight, bias, targets, max_logits=2**20)
    assert worst(found[:1], exact[:1]) < 0.01
    assert all(tensor.isfinite().all() for tensor in found)


@pytest.mark.parametrize("fused", [False, pytest.param(True, marks=needs_kernels)])
def test_a_target_outside_the_vocabulary_is_refused(fused: bool) -> None:
    hidden, weight, bias, targets = problem(40, 64, 300)
    targets[5] = 300
    with torch.autocast("cpu", torch.bfloat16), fused_kernels(fused), pytest.raises(IndexError, match="300"):
        mean_nll(hidden, weight, bias, targets, tokens=40)


_WITH_FEWER_THREADS_THAN_REQUESTED = """
import torch
torch.use_deterministic_algorithms(True)  # empty tensors are filled with NaN
torch.set_num_threads(4)
from rnncli.nn.fused import autograd
assert torch.get_num_threads() == 4
_, d_bias = autograd.softmax_gradient(torch.zeros(5, 3).bfloat16(), torch.zeros(5, dtype=torch.long), 1.0)
assert torch.allclose(d_bias, torch.tensor([-2.0, 1.0, 1.0]) * 5 / 3), d_bias
"""


@needs_kernels
def test_threads_that_do_not_run_add_nothing() -> None:
    subprocess.run(
        [sys.executable, "-c", _WITH_FEWER_THREADS_THAN_REQUESTED],
        env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        check=True,
    )
