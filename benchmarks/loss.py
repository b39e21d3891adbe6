"""The loss and its gradients: torch's own beside rnncli's, in parts of several sizes.

    python -m benchmarks.loss

2,048 tokens of width 512 in bfloat16, as in training; the medians in milliseconds are in docs/performance.md.
"""

import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from rnncli.nn.fused import support
from rnncli.nn.loss import mean_nll
from rnncli.workflows.devices import pick_device

TOKENS, WIDTH = 2048, 512
ROUNDS = {66: 50, 10_000: 9, 200_000: 3}
PARTS = (22, 24, 26)


def milliseconds(symbols: int, loss: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]) -> float:
    hidden, weight, bias = (
        torch.randn(*shape).mul_(size).requires_grad_()
        for shape, size in (((TOKENS, WIDTH), 1.0), ((symbols, WIDTH), 0.05), ((symbols,), 1.0))
    )
    targets = torch.randint(0, symbols, (TOKENS,))
    taken = []
    for _ in range(1 + ROUNDS[symbols]):
        began = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16):
            mean = loss(hidden, weight, bias, targets)
        torch.autograd.grad(mean, (hidden, weight, bias))
        taken.append(time.perf_counter() - began)
    return 1e3 * statistics.median(taken[1:])


def main() -> None:
    pick_device("cpu")
    for symbols in ROUNDS:

        def whole(hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor) -> Tensor:
            return F.cross_entropy(F.linear(hidden, weight, bias).float(), targets)

        print(f"{symbols:,} symbols, torch, all logits: {milliseconds(symbols, whole):,.1f} ms", flush=True)
        for fused in (False, True):
            if fused and support.why_no_kernels() is not None:
                print(f"no fused kernels: {support.why_no_kernels()}")
                continue
            for power in PARTS:

                def parts(
                    hidden: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, most: int = 2**power
                ) -> Tensor:
                    return mean_nll(hidden, weight, bias, targets, tokens=TOKENS, max_logits=most)

                with support.fused_kernels(fused):
                    taken = milliseconds(symbols, parts)
                kernels = "fused" if fused else "torch"
                print(f"{symbols:,} symbols, {kernels}, 2^{power} logits: {taken:,.1f} ms", flush=True)


if __name__ == "__main__":
    main()
