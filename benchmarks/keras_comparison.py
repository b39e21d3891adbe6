"""rnncli's training beside Keras's, in turns: one layer of 512, embedding 128, 65 symbols, 64 lanes of 64.

    python3 -m venv keras && keras/bin/pip install tensorflow-cpu keras
    python -m benchmarks.keras_comparison --keras-python keras/bin/python

Keras runs as a child in its own environment, because TensorFlow's packages must not meet rnncli's. The
child loads once and sleeps while rnncli trains, and the reverse, so that the machine's moods meet both and
neither takes the other's cores. Both train on the same random ids and carry the memory from window to
window (Keras by `stateful=True`). rnncli computes in bf16 and also clips gradients,
decays weights, schedules the rate and reports, as `rnncli train` does; Keras has plain Adam.
"""
# ruff: noqa: PLC0415 - neither environment has the other's packages

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

Cell = Literal["lstm", "gru", "rnn"]  # as in rnncli.nn.config
CELLS: tuple[Cell, ...] = ("lstm", "gru", "rnn")
DTYPES = ("float32", "mixed_bfloat16")
STEPS, ROUNDS = 40, 5
LANES, WINDOW, SYMBOLS, EMBEDDING, HIDDEN = 64, 64, 65, 128, 512
RATE = 3e-3
COMPILING_STEPS = 3
IDS = np.random.default_rng(0).integers(0, SYMBOLS, 1_000_000).astype(np.uint8)


def tokens_per_second(train: Callable[[], int]) -> float:
    began = time.perf_counter()
    return train() * LANES * WINDOW / (time.perf_counter() - began)


def rnncli_loop(cell: Cell, steps: int) -> Callable[[], int]:
    """A function that takes at least so many steps and says how many."""
    from rnncli.data.batching import StreamBatches
    from rnncli.metrics import Score
    from rnncli.nn.config import ModelConfig
    from rnncli.nn.ensemble import RNNLanguageModel
    from rnncli.training.config import TrainConfig
    from rnncli.training.state import TrainState
    from rnncli.training.trainer import Trainer
    from rnncli.workflows.devices import pick_device

    device = pick_device("cpu")
    config = TrainConfig(
        steps=10**9,
        batch_size=LANES,
        bptt=WINDOW,
        learning_rate=RATE,
        precision="bf16",
        kernels="fused",
    )
    model = ModelConfig(
        vocab_size=SYMBOLS, cell=cell, hidden_size=HIDDEN, embedding_size=EMBEDDING, dropout=0.0
    )
    state = TrainState.new(model, config, device)

    def never(_: RNNLanguageModel) -> Score:
        raise AssertionError("no validation is due in so few steps")

    batches = StreamBatches(IDS, SYMBOLS, LANES, WINDOW)
    events = Trainer(state=state, batches=batches, config=config, validate=never).run()

    def take_steps() -> int:
        first = state.step
        while state.step < first + steps:
            next(events)
        return state.step - first

    return take_steps


class Keras:
    """The child process; it answers a request such as "lstm float32 20" by a line."""

    def __init__(self, python: Path) -> None:
        self._process = subprocess.Popen(
            [python, __file__, "--child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2"},
        )
        self.versions = self._answer()

    def train(self, cell: str, dtype: str, steps: int) -> tuple[float, str]:
        """Tokens per second, and "loop" or "unrolled"."""
        assert self._process.stdin is not None
        print(cell, dtype, steps, file=self._process.stdin, flush=True)
        speed, form = self._answer().split()
        return float(speed), form

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            sys.exit(f"the Keras process ended with status {self._process.wait()}")
        return line.strip()


def keras_loop(cell: str, dtype: str, unroll: bool) -> Callable[[int], int]:
    """In the child: a function that takes so many steps and says how many."""
    keras: Any = import_module("keras")
    layer = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU, "rnn": keras.layers.SimpleRNN}[cell]
    model = keras.Sequential(
        [
            keras.Input(batch_shape=(LANES, WINDOW), dtype="int32"),
            keras.layers.Embedding(SYMBOLS, EMBEDDING, dtype=dtype),
            layer(HIDDEN, return_sequences=True, stateful=True, unroll=unroll, dtype=dtype),
            keras.layers.Dense(SYMBOLS, dtype=dtype),  # the loss takes bfloat16 logits to float32
        ]
    )
    # Keras's fastest form: train_on_batch was ahead of fit and level with a tf.function of one's own, XLA was
    # slower for every cell. Unrolling wins for some cells and loses for others, so the child measures both.
    model.compile(
        optimizer=keras.optimizers.Adam(RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    windows = (len(IDS) // LANES - 1) // WINDOW
    lanes = IDS[: len(IDS) // LANES * LANES].reshape(LANES, -1).astype(np.int32)
    batches = [
        (lanes[:, first : first + WINDOW], lanes[:, first + 1 : first + WINDOW + 1])
        for first in range(0, windows * WINDOW, WINDOW)
    ]
    taken = 0

    def take_steps(steps: int) -> int:
        nonlocal taken
        for _ in range(steps):
            model.train_on_batch(*batches[taken % windows])
            taken += 1
        return steps

    return take_steps


def child() -> None:
    """Answer requests until the input ends; the first for a cell and a dtype builds and compiles."""
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever Keras may print is no answer
    keras, tensorflow = import_module("keras"), import_module("tensorflow")
    print(f"Keras {keras.__version__} on TensorFlow {tensorflow.__version__}", file=answers, flush=True)
    loops: dict[tuple[str, str], tuple[Callable[[int], int], str]] = {}
    for line in sys.stdin:
        cell, dtype, number = line.split()
        steps = int(number)

        def speed(loop: Callable[[int], int], steps: int = steps) -> float:
            return tokens_per_second(lambda: loop(steps))

        if (cell, dtype) not in loops:
            forms = [
                (keras_loop(cell, dtype, unroll=False), "loop"),
                (keras_loop(cell, dtype, unroll=True), "unrolled"),
            ]
            for loop, _ in forms:
                loop(COMPILING_STEPS)
            loops[cell, dtype] = max(forms, key=lambda form: speed(form[0]))
        loop, form = loops[cell, dtype]
        print(speed(loop), form, file=answers, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="rnncli's training beside Keras's")
    parser.add_argument("--keras-python", type=Path, required=True, help="the Python that has Keras")
    parser.add_argument("--steps", type=int, default=STEPS, help="in a round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="after a warm-up (default: %(default)s)")
    options = parser.parse_args()
    keras = Keras(options.keras_python)
    print(f"width {HIDDEN}, {LANES} lanes of {WINDOW}; rnncli bf16, fused kernels; {keras.versions};")
    print(f"tokens/s, medians of {options.rounds} rounds of {options.steps} steps, least to most")
    for cell in CELLS:
        ours = rnncli_loop(cell, options.steps)
        rounds: list[tuple[float, ...]] = []
        forms: list[str] = []
        for _ in range(options.rounds + 1):
            speed = tokens_per_second(ours)
            theirs = [keras.train(cell, dtype, options.steps) for dtype in DTYPES]
            rounds.append((speed, *(number for number, _ in theirs)))
            forms = [form for _, form in theirs]
        rounds = rounds[1:]
        names = ["rnncli", *(f"Keras {dtype}, {form}" for dtype, form in zip(DTYPES, forms, strict=True))]
        for name, column in zip(names, zip(*rounds, strict=True), strict=True):
            ratio = statistics.median(row[0] / other for row, other in zip(rounds, column, strict=True))
            print(
                f"{cell:5} {name:30} {statistics.median(column):9,.0f}   "
                f"({min(column):,.0f} to {max(column):,.0f})   rnncli / this {ratio:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    child() if sys.argv[1:] == ["--child"] else main()
