"""Scoring many short lines beside the matrix products that it takes: how much is lost around them?

    python -m benchmarks.scoring names.txt

Repeats the lines of a text to LINES of them and scores them as `rnncli score --unit line` does, with a
network of one layer (fresh weights: the speed is the same). Beside it, in turns, the matrix products of the
same batches alone, in the same precision, without gates, softmax or text. Medians of the rounds.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from rnncli.data.batching import LENGTH_STEP
from rnncli.data.tokenizers.base import CharTokenizer
from rnncli.evaluation.formats import TsvFormat
from rnncli.evaluation.language_models import NetworkModel
from rnncli.evaluation.surprisal import LineScorer
from rnncli.nn.cell_registry import CELLS
from rnncli.nn.config import ModelConfig
from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.workflows.devices import pick_device

LINES, AT_ONCE, BATCH, ROUNDS, WIDTH, EMBEDDING = 65_536, 8192, 256, 3, 512, 128


def scoring(model: RNNLanguageModel, tokenizer: CharTokenizer, lines: list[str]) -> Callable[[], None]:
    """All lines, to the text that is written."""
    scorer, shape = LineScorer(NetworkModel(model), tokenizer), TsvFormat(None, "2")

    def run() -> None:
        for first in range(0, len(lines), AT_ONCE):
            for number, line in enumerate(scorer.score(lines[first : first + AT_ONCE]), first + 1):
                shape.line(number, line, "")

    return run


def products(config: ModelConfig, lines: list[str]) -> Callable[[], None]:
    """The products of the same batches: inputs, one recurrent product a step, logits."""
    gates = CELLS[config.cell].gates * config.hidden_size
    of_inputs, recurrent = torch.randn(config.embedding_size, gates), torch.randn(config.hidden_size, gates)
    to_logits = torch.randn(config.hidden_size, config.vocab_size)
    widths = []
    for first in range(0, len(lines), AT_ONCE):
        lengths = np.sort([len(line) + 1 for line in lines[first : first + AT_ONCE]])[::-1]
        longest = [int(lengths[at]) for at in range(0, len(lengths), BATCH)]
        widths += [-(-length // LENGTH_STEP) * LENGTH_STEP for length in longest]

    rows = BATCH * max(widths)
    inputs, hidden = torch.randn(rows, config.embedding_size), torch.randn(rows, config.hidden_size)

    def run() -> None:
        for width in widths:
            torch.mm(inputs[: BATCH * width], of_inputs)
            for _ in range(width):
                torch.mm(hidden[:BATCH], recurrent)
            torch.mm(hidden[: BATCH * width], to_logits)

    return run


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("text")
    pick_device("cpu")
    content = Path(parser.parse_args().text).read_text(encoding="utf-8")
    found = content.splitlines()
    lines = (found * (LINES // len(found) + 1))[:LINES]
    tokenizer = CharTokenizer.train(content)
    cells: tuple[str, ...] = ("lstm", "gru")
    for cell in cells:
        config = ModelConfig(tokenizer.vocab_size, cell, WIDTH, embedding_size=EMBEDDING)
        model = RNNLanguageModel.initialized(config, torch.Generator().manual_seed(1)).requires_grad_(False)
        runs = scoring(model, tokenizer, lines), products(config, lines)
        rounds = []
        for _ in range(ROUNDS + 1):
            seconds = []
            for run in runs:
                began = time.perf_counter()
                run()
                seconds.append(time.perf_counter() - began)
            rounds.append(seconds)
        speeds = [LINES / statistics.median(column) for column in zip(*rounds[1:], strict=True)]
        shares = [alone / whole for whole, alone in rounds[1:]]
        print(
            f"{cell} {WIDTH}: {speeds[0]:8,.0f} lines/s   products alone {speeds[1]:8,.0f}   "
            f"share {statistics.median(shares):.2f} ({min(shares):.2f} to {max(shares):.2f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
