"""A run that stops anywhere and is read again from its folder goes on as if nothing had happened."""

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from rnncli.storage.model_dir import ModelDir
from tests.faults.conftest import ended, forked

SHAPE = ("--hidden-size", "8", "--embedding-size", "6", "--batch-size", "2", "--bptt", "12")
PLAIN = ("--precision", "fp32", "--kernels", "torch", "--dropout", "0")
WAYS = {
    "plain": (),
    "dropout": ("--dropout", "0.3"),
    "an epoch's end": ("--epochs", "2.1"),
    "lines": ("--line-by-line", "--split-method", "lines"),
    "an n-gram": ("--ngram", "3"),
    "members": ("--ensemble-size", "2", "--dropout", "0.2"),
}
STEPS = 120
CELLS = ("rnn", "gru", "lstm")


def hashes(name: str) -> dict[str, str]:
    """Of the weights, the n-gram and the optimizer's last state; seconds are no part of them."""
    from rnncli.storage.safetensors_file import read_arrays

    folder = ModelDir.find(name)
    assert folder.mismatches() == []
    newest = folder.checkpoint(folder.checkpoints()[-1])
    files = [
        path
        for path in (folder.path / "model.safetensors", folder.path / "ngram.safetensors")
        if path.exists()
    ]
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    arrays = read_arrays(newest)[0]
    return found | {key: hashlib.sha256(array.tobytes()).hexdigest() for key, array in arrays.items()}


@pytest.mark.parametrize("cell", CELLS)
def test_every_stop_ends_with_the_same_hashes(
    text: Path, cell: str, effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    rng, stops = random.Random(cell), 0
    ways = list(WAYS.items())
    # The short form tries each way with one of the cells.
    for way, options in ways if effort(0, 1) else ways[CELLS.index(cell) :: len(CELLS)]:
        budget = () if "--epochs" in options else ("--steps", str(STEPS))
        given = (*SHAPE, *PLAIN, "--cell", cell, "--validations", "7", *budget, *options)
        whole = f"whole-{stops}"
        assert ended(forked("train", str(text), "--name", whole, *given)) == 0, Path("output").read_text()
        expected, last = hashes(whole), ModelDir.find(whole).record().step
        for stop in rng.sample(range(1, last), effort(1, 50)):
            name = f"stopped-{stops}"
            arguments = ("train", str(text), "--name", name, "--save-every", str(stop), *given)
            assert ended(forked(*arguments, before=lambda stop=stop: stop_at(stop))) == 3, Path(
                "output"
            ).read_text()
            assert ModelDir.find(name).checkpoints()[-1] == stop
            assert ended(forked("train", "--resume", name)) == 0, Path("output").read_text()
            assert hashes(name) == expected, (way, stop)
            stops += 1
    figure(f"{cell}: {stops} stops, all hashes equal")


def stop_at(step: int) -> None:
    """End the process at once when this step is saved."""
    import os

    real = ModelDir.save_checkpoint

    def save(self: ModelDir, **arguments: object) -> None:
        real(self, **arguments)  # type: ignore[arg-type]
        if arguments["step"] == step:
            os._exit(3)

    ModelDir.save_checkpoint = save  # type: ignore[method-assign]
