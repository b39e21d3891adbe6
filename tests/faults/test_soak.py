"""A long training with frequent saves: memory, open files and disk stay what they were."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rnncli.storage.model_dir import ModelDir
from tests.faults.conftest import LONG, SHAPE, ended, forked

KEPT_CHECKPOINTS = 2


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to look at a process with")
def test_a_long_training_does_not_grow(
    text: Path, effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    seconds = effort(6, 600)
    given = ("--steps", "100000000", "--save-every", "20", *SHAPE)
    process = forked("train", str(text), "--name", "x", *given)
    checkpoints = Path("models/x/checkpoints")
    while not (checkpoints.exists() and any(checkpoints.iterdir())):
        time.sleep(0.05)
    time.sleep(seconds / 4)  # what is allocated once is there by then
    minutes, kilobytes, files, most = list[float](), list[int](), set[int](), 0
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        status = Path(f"/proc/{process}/status").read_text()
        minutes.append((time.monotonic() - began) / 60)
        kilobytes.append(int(status.split("VmRSS:")[1].split()[0]))
        files.add(open_files(process))
        most = max(most, len(list(checkpoints.glob("*"))))
        time.sleep(seconds / 300)
    os.kill(process, signal.SIGTERM)
    assert ended(process) == 143
    slope = float(np.polyfit(minutes, kilobytes, 1)[0]) / 1024
    steps = ModelDir.find("x").record().step
    assert most <= KEPT_CHECKPOINTS + 2
    assert max(files) - min(files) <= 2, "one file or folder at a time is open for a save"
    if LONG:
        assert slope < 1.0
    else:  # a slope over seconds says nothing
        assert max(kilobytes) - min(kilobytes) < 30_000
    figure(
        f"{steps:,} steps in {seconds} s, a save every 20: memory {slope:+.2f} MB a minute, "
        f"{min(files)} to {max(files)} open files, at most {most} files among the checkpoints"
    )


def open_files(process: int) -> int:
    return len(list(Path(f"/proc/{process}/fd").iterdir()))
