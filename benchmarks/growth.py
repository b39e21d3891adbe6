"""How rnncli grows: with a text 1, 10 and 100 times as long, and with networks from 128 to 1,024 wide.

    python -m benchmarks.growth TEXT

Medians of some rounds, into benchmarks/results/growth.json; `python -m benchmarks.tables` writes the tables
of docs/performance.md from it. Commands are run as a person runs them; speeds of training are those that
the plan measures. Run it alone on the machine.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch

import rnncli
from benchmarks.records import keep, machine
from rnncli.nn.config import ModelConfig
from rnncli.training.backends import BackendCheck
from rnncli.training.config import TrainConfig
from rnncli.training.throughput import tokens_per_second
from rnncli.workflows.devices import pick_device
from rnncli.workflows.model import Model

TIMES, WIDTHS, ROUNDS = (1, 10, 100), (128, 256, 512, 1024), 3
SECONDS, LENGTH, STREAMS, LINES = 2.0, 4000, 256, 2000


_MEASURED = """
import resource, subprocess, sys, time
began = time.perf_counter()
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


class Ran(NamedTuple):
    """Seconds of a command, and the most memory that it had."""

    seconds: float
    peak_bytes: int


def command(folder: str, *arguments: str) -> Ran:
    """By way of a small process: the peak of a child begins with the size of whoever starts it."""
    run = [sys.executable, "-c", _MEASURED, sys.executable, "-m", "rnncli", *arguments, "--quiet"]
    said = subprocess.run(run, cwd=folder, stdout=subprocess.PIPE, text=True, check=True).stdout
    seconds, peak = said.split()
    return Ran(float(seconds), int(peak) * 1024)


def with_the_text(text: str) -> list[dict[str, Any]]:
    """Cutting it, and some steps of training on the store."""
    rows = []
    for times in TIMES:
        with tempfile.TemporaryDirectory() as folder:
            with Path(folder, "text.txt").open("w", encoding="utf-8") as file:
                size = sum(file.write(text) for _ in range(times))
            cut = [
                command(folder, "tokenize", "text.txt", "--level", "char", "-o", f"{number}.tok")
                for number in range(ROUNDS)
            ]
            steps = ("--steps", "100", "--hidden-size", "256", "--validations", "1")
            trained = [
                command(folder, "train", "0.tok", *steps, "--name", f"m{number}") for number in range(ROUNDS)
            ]
        seconds = statistics.median(ran.seconds for ran in cut)
        rows.append(
            {
                "times": times,
                "characters": size,
                "tokenize_seconds": seconds,
                "tokenize_characters_per_second": size / seconds,
                "tokenize_peak_bytes": max(ran.peak_bytes for ran in cut),
                "train_100_steps_seconds": statistics.median(ran.seconds for ran in trained),
                "train_peak_bytes": max(ran.peak_bytes for ran in trained),
            }
        )
        print(rows[-1], flush=True)
    return rows


def with_the_width(text: str) -> list[dict[str, Any]]:
    """Training, writing and scoring with one layer of lstm."""
    device, lines = pick_device("cpu"), [line for line in text.split("\n") if line][:LINES]
    rows = []
    for width in WIDTHS:
        model = ModelConfig(vocab_size=66, cell="lstm", hidden_size=width, embedding_size=128, dropout=0.0)
        row: dict[str, Any] = {"hidden_size": width, "parameters": model.parameters}
        config = TrainConfig(steps=1)
        for one in BackendCheck(device).survey(model, config)[0]:
            speeds = [tokens_per_second(model, one.applied(config), device, SECONDS) for _ in range(ROUNDS)]
            row["_".join(("trained_tokens_per_second", *one))] = statistics.median(speeds)
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "text.txt").write_text(text, encoding="utf-8")
            shape = (
                "--cell",
                "lstm",
                "--num-layers",
                "1",
                "--hidden-size",
                str(width),
                "--ensemble-size",
                "1",
            )
            command(folder, "train", "text.txt", "--steps", "2", "--name", "m", "--level", "char", *shape)
            row |= written_and_scored(rnncli.load(str(Path(folder, "models", "m"))), lines)
        rows.append(row)
        print(row, flush=True)
    return rows


def written_and_scored(model: Model, lines: list[str]) -> dict[str, float]:
    """Tokens a second in one text and in many, and lines a second."""
    each = LENGTH // 10
    return {
        "written_tokens_per_second": rate(LENGTH, lambda: list(model.stream(length=LENGTH))),
        "written_tokens_per_second_of_256": rate(
            STREAMS * each, lambda: list(model.generate("", number=STREAMS, length=each))
        ),
        "scored_lines_per_second": rate(len(lines), lambda: list(model.score(lines))),
    }


def rate(amount: int, work: Callable[[], object]) -> float:
    """How much of `amount` is done in a second: the median, after a first time that loads what is needed."""
    work()
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return amount / statistics.median(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("text", type=Path)
    path = parser.parse_args().text
    text = path.read_text(encoding="utf-8")
    torch.manual_seed(1)
    of = machine()
    print(
        keep("growth", path, text, {"with_text": with_the_text(text), "with_width": with_the_width(text)}, of)
    )


if __name__ == "__main__":
    main()
