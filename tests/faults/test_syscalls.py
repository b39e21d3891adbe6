"""Every system call of a save as the instant of a kill, or of an error: the old state or the new one."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rnncli.storage.model_dir import ModelDir

CALLS = ("write", "fsync", "rename", "unlink")
# A save as a training makes it, in a process that imports nothing heavy; the last line says how it went.
PROGRAM = """
import sys
from pathlib import Path
from rnncli.errors import StorageError
from rnncli.storage.model_dir import ModelDir
folder = ModelDir.find("x")
weights = folder.require_weights()
run = Path("run.safetensors").read_bytes()
sys.stdin.close()
try:
    folder.save_checkpoint(
        step=77, seconds=7.0, status="interrupted", state=run, best=weights._replace(step=77)
    )
except StorageError as error:
    print(f"refused: {error}")
else:
    print("saved")
"""

pytestmark = pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")


@pytest.fixture
def saved(model: Path) -> Path:
    """A finished model, a copy of it, and what a later checkpoint of it would hold."""
    shutil.copy(model / "checkpoints/step-20.safetensors", "run.safetensors")
    shutil.copytree("models", "before")
    return model


def injected(call: str, what: str, number: int) -> tuple[str, bool]:
    """A save with a fault at one of its calls: what it said, and whether there was such a call."""
    shutil.rmtree("models")
    shutil.copytree("before", "models")
    done = subprocess.run(
        [
            *(
                "strace",
                "-qq",
                "-o",
                "trace",
                "-e",
                f"trace={call}",
                *(named_paths() if call == "write" else []),
            ),
            *("-e", f"inject={call}:{what}:when={number}", sys.executable, "-B", "-c", PROGRAM),
        ],
        # Without the calls of coverage.py, which writes a file of its own at the end of a process.
        env={name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout, bool(re.search("INJECTED|KILL", Path("trace").read_text())) or done.returncode < 0


def named_paths() -> list[str]:
    """Of what is written; what the program says is a write too."""
    names = {path.relative_to("models/x") for path in Path("models/x").rglob("*") if path.is_file()}
    partials = [
        path.with_name(f".partial-{path.name}") for path in {*names, Path("checkpoints/step-77.safetensors")}
    ]
    return [option for path in partials for option in ("-P", str(Path("models/x", path).resolve()))]


def sound(folder: ModelDir) -> int:
    """The step of a folder in which everything is what was written, and which a resume can begin with."""
    assert folder.mismatches() == []
    record, weights = folder.record(), folder.require_weights()
    assert record.step in (20, 77)
    assert weights.step in (20, 77)
    newest = folder.checkpoints()[-1]
    assert newest >= record.step
    for step in folder.checkpoints():
        folder.checkpoint(step)
    assert len(list(folder.path.rglob(".partial-*"))) <= 1
    return newest


def test_a_kill_at_any_call_leaves_the_old_state_or_the_new(
    saved: Path, effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    points = 0
    for call in CALLS:
        number, step = 1, effort(3, 1)
        while True:
            _, fired = injected(call, "signal=KILL", number)
            sound(ModelDir(saved))
            if not fired:
                break
            points, number = points + 1, number + step
            folder = ModelDir(saved)
            folder.save_checkpoint(
                step=78, seconds=8.0, status="finished", state=Path("run.safetensors").read_bytes(), best=None
            )
            assert folder.mismatches() == []
            assert folder.checkpoints()[-1] == 78
    assert points >= 5
    figure(f"killed at {points} calls of a save: {', '.join(CALLS)}")


@pytest.mark.parametrize("error", ["ENOSPC", "EIO", "EROFS"])
def test_an_error_at_any_call_is_said_with_its_path_and_loses_nothing(
    saved: Path, error: str, effort: Callable[[int, int], int], figure: Callable[[str], None]
) -> None:
    before = {step: sha256(saved / f"checkpoints/step-{step}.safetensors") for step in (15, 20)}
    points = 0
    for call in CALLS:
        number, step = 1, effort(5, 1)
        while True:
            said, fired = injected(call, f"error={error}", number)
            newest = sound(ModelDir(saved))
            if not fired:
                assert said == "saved\n"
                break
            points, number = points + 1, number + step
            assert re.fullmatch(r"refused: cannot write \S*models/x.*: .+\n", said), (call, number, said)
            if newest == 20:
                assert {
                    step: sha256(saved / f"checkpoints/step-{step}.safetensors") for step in before
                } == before
    assert points >= 4
    figure(f"{points} calls of a save failed with {error}, each said so")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
