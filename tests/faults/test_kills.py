"""Processes that are killed at any instant: nothing is unreadable, and a resume ends with the same bits."""

import hashlib
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

from rnncli.storage.model_dir import ModelDir
from tests.faults.conftest import SHAPE, ended, forked

STEPS, SAVE_EVERY = 1500, 25


def sha256(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def test_a_run_that_is_killed_again_and_again_ends_with_the_same_bits(
    text: Path, effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    given = ("--steps", str(STEPS), "--save-every", str(SAVE_EVERY), "--validations", "12", *SHAPE)
    began = time.monotonic()
    assert ended(forked("train", str(text), "--name", "whole", *given)) == 0, Path("output").read_text()
    seconds = time.monotonic() - began
    rng, kills, runs, strays, lost = random.Random(0), 0, 0, 0, 0
    while kills < effort(6, 200):
        runs += 1
        name, step = f"run{runs}", 0
        process = forked("train", str(text), "--name", name, *given)
        while True:
            time.sleep(rng.uniform(0.02, 0.6) * seconds)
            os.kill(process, signal.SIGKILL)
            code = ended(process)
            assert code in (0, -signal.SIGKILL), Path("output").read_text()
            if code == 0:
                break
            kills += 1
            if not Path("models", name).exists():
                process = forked("train", str(text), "--name", name, *given)
                continue
            folder = ModelDir.find(name)
            assert folder.mismatches() == []
            newest = folder.checkpoints()[-1]
            assert newest >= step, "what was saved is never lost"
            lost = max(lost, said_step() - newest)
            step = newest
            strays = max(strays, len(list(Path("models").rglob(".partial-*"))))
            process = forked("train", "--resume", name)
        assert sha256(f"models/{name}/model.safetensors") == sha256("models/whole/model.safetensors")
        assert folder.record().status == "finished"
        last = f"checkpoints/step-{STEPS}.safetensors"
        assert weights(f"models/{name}/{last}") == weights(f"models/whole/{last}")
    assert strays <= 1
    assert lost <= SAVE_EVERY
    figure(f"{kills} kills in {runs} runs; at most {lost} steps lost of {SAVE_EVERY}, {strays} stray files")


def said_step() -> int:
    """The last step that the killed process spoke of."""
    words = Path("output").read_text().replace("\n", " ").split(" ")
    return max(
        (int(word[5:]) for word in words if word.startswith("step=") and word[5:].isdigit()), default=0
    )


def weights(path: str) -> dict[str, bytes]:
    """All that a checkpoint holds but the seconds that the run took."""
    from rnncli.storage.safetensors_file import read_arrays

    return {name: array.tobytes() for name, array in read_arrays(Path(path))[0].items()}
