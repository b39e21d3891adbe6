"""Training steps beside plain matrix products: what share of the processor's peak do they reach?

    python -m benchmarks.matrix_peak

Trains one layer of 512 (embedding 128, 65 symbols, windows of 64) on random ids with every backend that
this machine has, whole steps with AdamW, and in the same round multiplies large matrices: the peak.
A step counts three products (forward, and backward for inputs and weights) of every matrix; whatever
else it computes counts as time lost. Medians of the rounds.
"""

import statistics

import torch

from rnncli.nn.cell_registry import CELLS
from rnncli.nn.config import ModelConfig
from rnncli.nn.fused.support import why_not_bf16
from rnncli.training.backends import BackendCheck
from rnncli.training.config import TrainConfig
from rnncli.training.throughput import matrix_peak, tokens_per_second
from rnncli.workflows.devices import pick_device

ROUNDS, SECONDS = 5, 1.0
WINDOW, SYMBOLS, WIDTH, EMBEDDING = 64, 65, 512, 128
CPU = torch.device("cpu")
PRODUCTS = {"fp32": torch.float32, **({} if why_not_bf16(CPU) else {"bf16": torch.bfloat16})}


def operations_per_token(model: ModelConfig) -> int:
    """Multiplications and additions that a training step's matrix products take for one token."""
    d = model.hidden_size
    gates = sum(CELLS[model.cell].gates * d * (e + d) for e in model.input_sizes)
    return 3 * 2 * (gates + model.vocab_size * d)


def main() -> None:
    pick_device("cpu")
    cells: tuple[str, ...] = ("lstm", "gru", "rnn")
    for lanes in (16, 64):
        for cell in cells:
            model = ModelConfig(
                vocab_size=SYMBOLS, cell=cell, hidden_size=WIDTH, embedding_size=EMBEDDING, dropout=0.0
            )
            config = TrainConfig(steps=1, batch_size=lanes, bptt=WINDOW)
            usable, _ = BackendCheck(CPU).survey(model, config)
            rounds: dict[str, list[tuple[float, float, float]]] = {}
            for _ in range(ROUNDS):
                tops = {name: matrix_peak(kind, SECONDS) for name, kind in PRODUCTS.items()}
                for one in usable:
                    speed = tokens_per_second(model, one.applied(config), CPU, SECONDS)
                    done = speed * operations_per_token(model)
                    row = speed, done / 1e9, done / max(tops.values())
                    rounds.setdefault(" ".join(one), []).append(row)
            for name, rows in rounds.items():
                speed, done, share = (statistics.median(column) for column in zip(*rows, strict=True))
                print(
                    f"{cell:5} {lanes:3} lanes  {name:11} {speed:9,.0f} tokens/s  {done:6,.0f} GFLOP/s  "
                    f"{share:6.1%} of the peak",
                    flush=True,
                )
            peaks = ", ".join(f"{name} {top / 1e9:,.0f}" for name, top in tops.items())
            print(f"peak: {peaks} GFLOP/s", flush=True)


if __name__ == "__main__":
    main()
