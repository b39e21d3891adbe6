"""How fast each cell trains on a device, by width, lanes and precision: what a plan for it has to know.

    python -m benchmarks.devices [--device auto --seconds 0.3]

Of a processor it is torch's own kernels; what the fused ones give is in benchmarks.training_overhead.
"""

import argparse

import torch

from rnncli.nn.config import ModelConfig
from rnncli.training.config import Precision, TrainConfig
from rnncli.training.throughput import tokens_per_second
from rnncli.workflows.devices import pick_device

CELLS = ("lstm", "gru", "rnn", "rglru")
WIDTHS, LANES = (512, 1024), (16, 64, 256, 1024)
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seconds", type=float, default=0.3)
    given = parser.parse_args()
    device = pick_device(given.device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    print(f"tokens per second, one layer, 65 symbols, windows of 64; {name}, torch {torch.__version__}")
    print(f"| cell | width | precision | {' | '.join(f'{lanes} lanes' for lanes in LANES)} |")
    for cell in CELLS:
        for width in WIDTHS:
            model = ModelConfig(vocab_size=65, cell=cell, hidden_size=width, embedding_size=128)
            for precision in PRECISIONS:
                found = (
                    tokens_per_second(
                        model,
                        TrainConfig(steps=1, batch_size=lanes, bptt=64, precision=precision),
                        device,
                        given.seconds,
                    )
                    for lanes in LANES
                )
                row = " | ".join(f"{speed:,.0f}" for speed in found)
                print(f"| {cell} | {width} | {precision} | {row} |", flush=True)


if __name__ == "__main__":
    main()
