"""The loss in parts against torch's own in one, in every precision and with both softmaxes."""

import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from rnncli.nn.fused import support
from rnncli.nn.fused.support import fused_kernels
from rnncli.nn.loss import mean_nats

SHAPES = [(1, 8, 2), (100, 64, 66), (300, 64, 1000), (77, 128, 10_007)]
needs_kernels = pytest.mark.skipif(
    support.missing() is not None, reason=f"no fused kernels here: {support.missing()}"
)


def problem(tokens: int, width: int, symbols: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(tokens)
    hidden, weight, bias = (
        torch.randn(*shape, generator=rng) * size
        for shape, size in (((tokens, width), 1.0), ((symbols, width), 0.3), ((symbols,), 1.0))
    )
    targets = torch.randint(0, symbols, (tokens,), generator=rng)
    targets[1::7] = -100
    return hidden, weight, bias, targets


def loss_and_gradients(
    hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, most_logits: int | None
) -> list[Tensor]:
    inputs = [tensor.clone().requires_grad_() for tensor in (hidden, weight, bias)]
    if most_logits is None:
        loss = F.cross_entropy(F.linear(*inputs), targets)
    else:
        loss = mean_nats(*inputs, targets, int((targets >= 0).sum()), most_logits)
    return [loss.detach(), *torch.autograd.grad(3.0 * loss, inputs)]


def worst(found: list[Tensor], exact: list[Tensor]) -> float:
    return max(float((f.float() - e).norm() / e.norm()) for f, e in zip(found, exact, strict=True))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tokens_at_once", [1, 13, 10_000])
def test_in_float32_it_is_torch_s_loss_however_many_logits_at_a_time(
    shape: tuple[int, int, int], tokens_at_once: int
) -> None:
    tensors = problem(*shape)
    exact = loss_and_gradients(*tensors, most_logits=None)
    assert worst(loss_and_gradients(*tensors, most_logits=tokens_at_once * shape[2]), exact) < 1e-5


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tokens_at_once", [13, 10_000])
@pytest.mark.parametrize("fused", [False, pytest.param(True, marks=needs_kernels)])
def test_in_bfloat16_it_is_within_rounding(
    shape: tuple[int, int, int], tokens_at_once: int, fused: bool
) -> None:
    tensors = problem(*shape)
    exact = loss_and_gradients(*tensors, most_logits=None)
    with torch.autocast("cpu", torch.bfloat16), fused_kernels(fused):
        found = loss_and_gradients(*tensors, most_logits=tokens_at_once * shape[2])
    assert worst(found, exact) < 0.01


@pytest.mark.parametrize("fused", [False, pytest.param(True, marks=needs_kernels)])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_seen(fused: bool, bad: float) -> None:
    hidden, weight, bias, targets = problem(40, 64, 300)
    hidden[3, 5] = bad
    with torch.autocast("cpu", torch.bfloat16), fused_kernels(fused):
        loss, of_hidden, *_ = loss_and_gradients(hidden, weight, bias, targets, most_logits=2**20)
    assert not loss.isfinite()
    assert not of_hidden[3].isfinite().all()


def test_tokens_without_a_target_have_no_gradient() -> None:
    hidden, weight, bias, targets = problem(40, 64, 300)
    _, of_hidden, *_ = loss_and_gradients(hidden, weight, bias, targets, most_logits=2**20)
    assert torch.equal(of_hidden.abs().sum(1) == 0, targets < 0)


@needs_kernels
def test_large_logits_neither_overflow_nor_lose_their_sum() -> None:
    hidden, weight, bias, targets = problem(40, 64, 300)
    exact = loss_and_gradients(100 * hidden, weight, bias, targets, most_logits=None)
    with torch.autocast("cpu", torch.bfloat16), fused_kernels(True):
        found = loss_and_gradients(100 * hidden, weight, bias, targets, most_logits=2**20)
    assert worst(found[:1], exact[:1]) < 0.01
    assert all(tensor.isfinite().all() for tensor in found)


@pytest.mark.parametrize("fused", [False, pytest.param(True, marks=needs_kernels)])
def test_a_target_that_is_no_symbol_is_refused(fused: bool) -> None:
    hidden, weight, bias, targets = problem(40, 64, 300)
    targets[5] = 300
    with torch.autocast("cpu", torch.bfloat16), fused_kernels(fused), pytest.raises(IndexError, match="300"):
        mean_nats(hidden, weight, bias, targets, 40)


_WITH_FEWER_THREADS_THAN_WANTED = """
import torch
torch.use_deterministic_algorithms(True)  # empty tensors are filled with NaN
torch.set_num_threads(4)
from rnncli.nn.fused import autograd
assert torch.get_num_threads() == 4
_, of_bias = autograd.softmax_gradient(torch.zeros(5, 3).bfloat16(), torch.zeros(5, dtype=torch.long), 1.0)
assert torch.allclose(of_bias, torch.tensor([-2.0, 1.0, 1.0]) * 5 / 3), of_bias
"""


@needs_kernels
def test_threads_that_do_not_come_add_nothing() -> None:
    subprocess.run(
        [sys.executable, "-c", _WITH_FEWER_THREADS_THAN_WANTED],
        env={**os.environ, "OMP_THREAD_LIMIT": "1"},
        check=True,
    )
