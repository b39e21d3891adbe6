"""Two processes that train together do what one does."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rnncli.errors import ConfigError
from rnncli.storage.array_file import read_arrays
from rnncli.storage.checkpoint import as_tensors
from rnncli.training.distributed import Ranks

SETTINGS = (
    *("--steps", "30", "--hidden-size", "24", "--embedding-size", "8", "--bptt", "16"),
    *("--validations", "3", "--dropout", "0.3", "--precision", "fp32", "--quiet"),
    *("--activation-regularization", "2", "--temporal-regularization", "1"),
)
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def run(*arguments: object, together: bool) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(TORCHRUN if together else ()), "-m", "rnncli", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240, check=False)


def tensors(name: str, folder: str) -> dict[str, torch.Tensor]:
    if folder == "model":
        return as_tensors(read_arrays(Path("models", name, "model.safetensors"))[0])
    return as_tensors(read_arrays(sorted(Path("models", name, "checkpoints").iterdir())[-1])[0])


@pytest.mark.parametrize("unit", ["stream", "line"])
def test_two_processes_train_the_model_of_one_and_leave_one_folder(rhyme: Path, unit: str) -> None:
    """Five lanes for two processes: shares need not be equal, and lines differ in length."""
    beside = ("--attention", "5", "--convolution", "3") if unit == "stream" else ()
    settings = (*SETTINGS, "--batch-size", "5", "--unit", unit, *beside)
    for name, together in (("one", False), ("two", True)):
        ran = run("train", rhyme, "--name", name, *settings, together=together)
        assert ran.returncode == 0, ran.stderr
        assert ran.stdout.split() == [f"models/{name}"]
    for kind in ("model", "checkpoint"):
        one, two = tensors("one", kind), tensors("two", kind)
        assert one.keys() == two.keys()
        for name, tensor in one.items():
            torch.testing.assert_close(tensor, two[name], rtol=2e-3, atol=2e-4, msg=name)
    resumed = run("train", "--resume", "two", "--steps", "+4", "--quiet", together=True)
    assert resumed.returncode == 0, resumed.stderr
    assert sorted(Path("models/two/checkpoints").iterdir())[-1].stem.endswith("34")


LEAVES_THREADS = """
import sys
from pathlib import Path
from rnncli.__main__ import main

sys.argv = ["rnncli", "train", "rhyme.txt", "--steps", "3", "--hidden-size", "8", "--bptt", "8", "--quiet"]
try:
    main()
except SystemExit as leaving:
    assert not leaving.code, leaving.code
threads = [path.read_text().strip() for path in Path("/proc/self/task").glob("*/comm")]
raise SystemExit(any("gloo" in name for name in threads))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads are listed under /proc")
def test_no_thread_outlives_the_processes_talk(rhyme: Path) -> None:
    """One that does may ask for the interpreter when it is gone, and abort the process at its end."""
    script = rhyme.with_name("leaves.py")
    script.write_text(LEAVES_THREADS)
    ran = subprocess.run(
        [sys.executable, *TORCHRUN, script], capture_output=True, text=True, timeout=240, check=False
    )
    assert ran.returncode == 0, ran.stderr


def test_what_goes_wrong_is_said_once_and_ends_all(rhyme: Path) -> None:
    ran = run("train", rhyme, "--name", "x", *SETTINGS, "--batch-size", "1", together=True)
    assert ran.returncode != 0
    assert "1 lanes cannot be shared by 2 processes" in ran.stderr


def test_shares_are_disjoint_and_whole() -> None:
    shares = [Ranks(rank, 3).share(8) for rank in range(3)]
    assert [lane for share in shares for lane in range(8)[share]] == list(range(8))


def test_a_process_without_a_lane_is_refused() -> None:
    with pytest.raises(ConfigError, match="2 lanes cannot be shared by 3 processes"):
        Ranks(0, 3).share(2)
