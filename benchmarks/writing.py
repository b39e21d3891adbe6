"""How fast `rnncli generate` writes: its first character, one stream, many streams, with an n-gram.

    python -m benchmarks.writing
    python -m benchmarks.writing --cell lstm --width 768

A network of one layer is trained for two steps on the small English text of this repository: the speed does
not depend on what the weights are. The command is run as a person would run it, in a pipe. Beside it the
products of the same steps alone, in numpy: what the machine's memory and arithmetic allow. Medians.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rnncli.nn.cell_registry import CELLS
from rnncli.nn.config import ModelConfig
from rnncli.storage.model_dir import ModelDir

TEXT = Path(__file__).parent.parent / "data" / "english.txt"
ROUNDS, LENGTH, STREAMS, LENGTH_OF_MANY = 5, 30_000, 256, 1000


class Ran(NamedTuple):
    """Seconds until the first byte, and from there to the end; bytes in all."""

    first: float
    rest: float
    size: int


def rnncli(folder: str, *arguments: str) -> Ran:
    command = [sys.executable, "-m", "rnncli", *arguments, "-q"]
    began = time.perf_counter()
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        size = len(process.stdout.read(1))
        first = time.perf_counter()
        size += len(process.stdout.read())
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return Ran(first - began, time.perf_counter() - first, size)


def products_alone(config: ModelConfig, lanes: int) -> float:
    """Tokens a second of nothing but the recurrent product and that of the logits."""
    rng, gates = np.random.default_rng(0), CELLS[config.cell].gates * config.hidden_size
    hidden = rng.random((lanes, config.hidden_size), np.float32)
    recurrent = rng.random((gates, config.hidden_size), np.float32).T
    output = rng.random((config.vocab_size, config.hidden_size), np.float32).T
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        steps = max(1, 2000 // lanes)
        for _ in range(steps):
            hidden @ recurrent
            hidden @ output
        seconds.append((time.perf_counter() - began) / steps)
    return lanes / statistics.median(seconds)


def median_speed(runs: list[Ran], tokens: int) -> float:
    return tokens / statistics.median(run.rest for run in runs)


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--cell", choices=list(CELLS), default="gru")
    parser.add_argument("--width", type=int, default=512)
    given = parser.parse_args()
    cell: str = given.cell
    with tempfile.TemporaryDirectory() as folder:
        shape = ("--cell", cell, "--hidden-size", str(given.width), "--embedding-size", "128")
        rnncli(folder, "train", str(TEXT), "--steps", "2", "--ensemble-size", "1", "--name", "model", *shape)
        config = ModelDir(Path(folder) / "models" / "model").record().model
        one = [rnncli(folder, "generate", "--length", str(LENGTH)) for _ in range(ROUNDS)]
        many = ("generate", "--number", str(STREAMS), "--length", str(LENGTH_OF_MANY))
        # Many texts come when they end: all of the command is counted, its start too.
        together = [rnncli(folder, *many) for _ in range(ROUNDS)]
        rnncli(folder, "ngram", "model")
        mixed = [rnncli(folder, "generate", "--length", str(LENGTH)) for _ in range(ROUNDS)]
    first = statistics.median(run.first for run in one)
    speed, slower = median_speed(one, LENGTH), median_speed(mixed, LENGTH)
    seconds = statistics.median(run.first + run.rest for run in together)
    in_all = STREAMS * LENGTH_OF_MANY / seconds
    steady = STREAMS * LENGTH_OF_MANY / (seconds - first)
    alone, alone_many = products_alone(config, 1), products_alone(config, STREAMS)
    print(f"{config.architecture}, {config.vocab_size} symbols; medians of {ROUNDS}")
    print(f"first character      {first:9.2f} s after the command was given")
    print(f"one stream           {speed:9,.0f} characters/s, {speed / alone:.0%} of the products alone")
    print(f"with a 7-gram        {slower:9,.0f} characters/s, {speed / slower:.2f} times the time")
    print(
        f"{STREAMS} streams          {steady:9,.0f} characters/s, {steady / alone_many:.0%} of the products "
        f"alone; {in_all:,.0f} with the start of the command"
    )


if __name__ == "__main__":
    main()
