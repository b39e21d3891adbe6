"""What a system does to a training: terminals that go, folders that are read-only, memory that is gone."""

import fcntl
import os
import pty
import shutil
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
import torch

from rnncli.storage.model_dir import ModelDir
from rnncli.training import trainer
from tests.faults.conftest import SHAPE, ended, forked

FOREVER = ("--steps", "100000000", "--save-every", "1000", *SHAPE)


def test_a_terminal_that_is_closed_saves_the_run(text: Path) -> None:
    """The reader goes, writes fail, and SIGHUP comes."""
    ours, theirs = pty.openpty()

    def take_the_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    command = (
        sys.executable,
        "-m",
        "rnncli",
        "train",
        str(text),
        "--name",
        "x",
        "--progress",
        "bar",
        *FOREVER,
    )
    training = subprocess.Popen(
        command,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=take_the_terminal,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    shown = b""
    while b"tok/s" not in shown:
        shown += os.read(ours, 65_536)
    os.close(ours)
    assert training.wait(timeout=60) == 128 + signal.SIGHUP
    folder = ModelDir.find("x")
    assert folder.mismatches() == []
    assert folder.record().status == "interrupted"
    step = folder.record().step
    assert ended(forked("train", "--resume", "x", "--steps", str(step + 5))) == 0, Path("output").read_text()


def test_what_nohup_has_ignored_stays_ignored(text: Path) -> None:
    def as_nohup() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    given = ("--steps", "3000", *SHAPE)
    process = forked("train", str(text), "--name", "x", *given, before=as_nohup)
    while not Path("output").exists() or "step=" not in Path("output").read_text():
        time.sleep(0.01)
    os.kill(process, signal.SIGHUP)
    assert ended(process) == 0
    assert ModelDir.find("x").record().step == 3000


def test_a_text_that_changed_since_is_said_and_the_run_goes_on_with_what_it_read(model: Path) -> None:
    with Path("text.txt").open("a") as file:
        file.write("something else\n")
    assert ended(forked("train", "--resume", "x", "--steps", "25")) == 0
    assert (
        "text.txt has changed since models/x was made; the earlier text is used" in Path("output").read_text()
    )


def test_memory_that_is_gone_is_one_error_and_the_run_can_go_on(text: Path) -> None:
    def little() -> None:
        real, calls = trainer.train_step, 0

        def step(*arguments: object, **options: object) -> object:
            nonlocal calls
            calls += 1
            if calls == 15:
                torch.empty(10**14)
            return real(*arguments, **options)  # type: ignore[arg-type]

        trainer.train_step = step  # type: ignore[assignment]

    given = ("--steps", "40", "--save-every", "10", *SHAPE)
    code = ended(forked("train", str(text), "--name", "x", *given, before=little))
    said = Path("output").read_text()
    assert code == 1, said
    assert said.count("error: ") == 1
    assert "memory" in said
    assert "--resume x" in said
    assert "Traceback" not in said
    assert ModelDir.find("x").checkpoints()[-1] >= 10
    assert ended(forked("train", "--resume", "x")) == 0, Path("output").read_text()


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
def test_a_folder_that_cannot_be_written_is_named(text: Path) -> None:
    done = subprocess.run(
        [
            *(
                "strace",
                "-f",
                "-qq",
                "-o",
                "/dev/null",
                "-e",
                "trace=mkdir",
                "-e",
                "inject=mkdir:error=EROFS",
            ),
            *(sys.executable, "-m", "rnncli", "train", str(text), "--name", "x", *FOREVER),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("error: ") == 1
    assert "models: Read-only file system" in done.stderr
