"""rnncli's training loop beside a bare loop over the same kernels: what does the rest cost?

    python -m benchmarks.training_overhead

Both train one layer of 512 (embedding 128, 65 symbols, 16 lanes of 64, bf16, AdamW, clipping) on the
same ids with the same forward and backward pass, in turns within one process, so that the machine's
moods meet both. The bare loop has no reports, no clock, no lanes to prepare, no check of the gradient.
"""

import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from rnncli.data.batching import StreamBatches
from rnncli.metrics import Score
from rnncli.nn.config import ModelConfig
from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.nn.fused.support import why_no_kernels
from rnncli.training.config import TrainConfig
from rnncli.training.optimizer import AdamW
from rnncli.training.state import TrainState
from rnncli.training.step import precision_context
from rnncli.training.trainer import Trainer
from rnncli.workflows.devices import pick_device

STEPS, ROUNDS = 100, 9
CPU = torch.device("cpu")
LANES, WINDOW, SYMBOLS = 16, 64, 65
CONFIG = TrainConfig(
    steps=10**9,
    batch_size=LANES,
    bptt=WINDOW,
    precision="bf16",
    kernels="torch" if why_no_kernels() else "fused",
)
IDS = np.random.default_rng(0).integers(0, SYMBOLS, 1_000_000).astype(np.uint8)


def model_config(cell: str) -> ModelConfig:
    return ModelConfig(vocab_size=SYMBOLS, cell=cell, hidden_size=512, embedding_size=128, dropout=0.0)


def bare_loop(cell: str) -> Callable[[], int]:
    """A function that takes some steps and says how many."""
    model = RNNLanguageModel.initialized(model_config(cell), torch.Generator().manual_seed(1))
    optimizer = AdamW(model, CONFIG)
    length = len(IDS) // LANES
    text = torch.from_numpy(IDS.astype(np.int64))[: LANES * length].view(LANES, -1)
    position, state = 0, model.initial_state(LANES)

    def steps() -> int:
        nonlocal position, state
        for _ in range(STEPS):
            window = text[:, position : position + WINDOW + 1]
            position = (position + WINDOW) % (length - WINDOW - 1)
            with precision_context(CONFIG, CPU):
                hidden, state = model.hidden(window[:, :-1], state)
                loss = model.mean_nll(hidden, window[:, 1:], LANES * WINDOW)
            state = state.detach().map(torch.Tensor.float)
            model.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step(CONFIG.learning_rate)
        return STEPS

    return steps


def rnncli_loop(cell: str) -> Callable[[], int]:
    """The same for rnncli's loop, events included."""
    state = TrainState.new(model_config(cell), CONFIG, CPU)
    lanes = StreamBatches(IDS, SYMBOLS, LANES, WINDOW)

    def never(_: RNNLanguageModel) -> Score:
        raise AssertionError("no validation is due in so few steps")

    events = Trainer(state=state, batches=lanes, config=CONFIG, validate=never).run()

    def steps() -> int:
        first = state.step
        while state.step < first + STEPS:
            next(events)
        return state.step - first

    return steps


def steps_per_second(loop: Callable[[], int]) -> float:
    began = time.perf_counter()
    return loop() / (time.perf_counter() - began)


def main() -> None:
    pick_device("cpu")
    print(f"training loop, width 512, {LANES} lanes of {WINDOW}, bf16, {CONFIG.kernels} kernels; tokens/s,")
    print(f"medians of {ROUNDS} rounds of {STEPS} steps")
    cells: tuple[str, ...] = ("lstm", "gru", "rnn")
    for cell in cells:
        bare, ours = bare_loop(cell), rnncli_loop(cell)
        rounds = [(steps_per_second(bare), steps_per_second(ours)) for _ in range(ROUNDS + 1)][1:]
        ratios = [mine / other for other, mine in rounds]
        speeds = [statistics.median(column) * LANES * WINDOW for column in zip(*rounds, strict=True)]
        print(
            f"{cell:5} bare loop {speeds[0]:9,.0f}   rnncli {speeds[1]:9,.0f}   "
            f"rnncli / bare {statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        )


if __name__ == "__main__":
    main()
