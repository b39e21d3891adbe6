"""Several processes that train together take the same steps as one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from rnncli.errors import ConfigError
from rnncli.storage.checkpoints import as_tensors
from rnncli.storage.safetensors_file import read_arrays
from rnncli.training.distributed import ProcessGroup

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


@pytest.mark.parametrize("lines", [(), ("--line-by-line",)])
def test_two_processes_train_the_same_model_as_one(rhyme: Path, lines: tuple[str, ...]) -> None:
    """The batch has five rows, so the shards differ in size; and lines differ in length."""
    beside = ("--attention", "5", "--convolution", "3") if not lines else ()
    settings = (*SETTINGS, "--batch-size", "5", *lines, *beside)
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
def test_no_thread_outlives_the_process_group(rhyme: Path) -> None:
    """Such a thread may use the interpreter after its end, and abort the process."""
    script = rhyme.with_name("leaves.py")
    script.write_text(LEAVES_THREADS)
    ran = subprocess.run(
        [sys.executable, *TORCHRUN, script], capture_output=True, text=True, timeout=240, check=False
    )
    assert ran.returncode == 0, ran.stderr


def test_an_error_ends_all_processes(rhyme: Path) -> None:
    ran = run("train", rhyme, "--name", "x", *SETTINGS, "--batch-size", "1", together=True)
    assert ran.returncode != 0
    assert "a batch of 1 rows cannot be shared by 2 processes" in ran.stderr


def test_shards_are_disjoint_and_cover_the_batch() -> None:
    shards = [ProcessGroup(rank, 3).shard(8) for rank in range(3)]
    assert [row for shard in shards for row in range(8)[shard]] == list(range(8))


def test_fewer_rows_than_processes_are_an_error() -> None:
    with pytest.raises(ConfigError, match="a batch of 2 rows cannot be shared by 3 processes"):
        ProcessGroup(0, 3).shard(2)
