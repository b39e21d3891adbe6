"""rnncli's training loop beside a bare PyTorch loop of the same shape: what does the rest cost?

    python -m benchmarks.training_overhead

Both train one GRU layer of 512 (embedding 128, 65 symbols, 32 lanes of 64, bf16 autocast, AdamW,
clipping) on the same ids, in turns within one process, so that the machine's moods meet both. The
bare loop is what a tutorial would write: no reports, no carried lanes to prepare, no dropout.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnncli.cli.device import pick_device
from rnncli.model.config import ModelConfig
from rnncli.model.language_model import LanguageModel
from rnncli.reports import Score
from rnncli.text.lanes import Lanes
from rnncli.training.config import TrainConfig
from rnncli.training.loop import train
from rnncli.training.step import Run

STEPS, ROUNDS = 60, 7
MODEL = ModelConfig(vocab_size=65, hidden_size=512, embedding_size=128, dropout=0.0)
CONFIG = TrainConfig(steps=10**9, batch_size=32, bptt=64, precision="bf16")
IDS = np.random.default_rng(0).integers(0, 65, 1_000_000).astype(np.uint8)


class Bare(nn.Module):
    """The network of a tutorial."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(65, 128)
        self.gru = nn.GRU(128, 512, batch_first=True)
        self.head = nn.Linear(512, 65)

    def forward(self, tokens: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        hidden, state = self.gru(self.embedding(tokens), state)
        return self.head(hidden), state


def bare_loop() -> Callable[[], int]:
    """A function that takes some steps and says how many."""
    model = Bare()
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, fused=True)
    text = torch.from_numpy(IDS.astype(np.int64))[: 32 * 31_200].view(32, -1)
    position, state = 0, torch.zeros(1, 32, 512)

    def steps() -> int:
        nonlocal position, state
        for _ in range(STEPS):
            window = text[:, position : position + 65]
            position = (position + 64) % (text.shape[1] - 65)
            with torch.autocast("cpu", torch.bfloat16):
                logits, state = model(window[:, :-1], state)
            loss = F.cross_entropy(logits.flatten(0, 1).float(), window[:, 1:].flatten())
            state = state.detach().float()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        return STEPS

    return steps


def rnncli_loop() -> Callable[[], int]:
    """The same for rnncli's loop, reports included."""
    run = Run.new(MODEL, CONFIG, torch.device("cpu"))
    lanes = Lanes(IDS, MODEL.start, CONFIG.batch_size, CONFIG.bptt)

    def never(_: LanguageModel) -> Score:
        raise AssertionError("no validation is due in so few steps")

    reports = train(run, lanes, CONFIG, never)

    def steps() -> int:
        first = run.step
        while run.step < first + STEPS:
            next(reports)
        return run.step - first

    return steps


def steps_per_second(loop: Callable[[], int]) -> float:
    began = time.perf_counter()
    return loop() / (time.perf_counter() - began)


def main() -> None:
    pick_device("cpu")
    bare, ours = bare_loop(), rnncli_loop()
    rounds = [(steps_per_second(bare), steps_per_second(ours)) for _ in range(ROUNDS + 1)][1:]
    ratios = [mine / other for other, mine in rounds]
    tokens = CONFIG.batch_size * CONFIG.bptt
    print(f"training loop, GRU 512, 32 lanes of 64, bf16; medians of {ROUNDS} rounds of {STEPS} steps")
    print(f"bare PyTorch loop  {statistics.median(other for other, _ in rounds) * tokens:8,.0f} tokens/s")
    print(f"rnncli             {statistics.median(mine for _, mine in rounds) * tokens:8,.0f} tokens/s")
    print(f"rnncli / bare      {statistics.median(ratios):8.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


if __name__ == "__main__":
    main()
