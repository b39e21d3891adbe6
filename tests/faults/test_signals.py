"""Signals in every phase of a training: saved and resumable, or nothing begun, and soon."""

import hashlib
import importlib
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from rnncli.storage.model_dir import ModelDir
from tests.faults.conftest import SHAPE, TEXT, ended, forked

STEPS = 40
GIVEN = ("--steps", str(STEPS), "--save-every", "7", "--validations", "4", "--ngram", "3", *SHAPE)
# Where the signal comes: on entering a function for the n-th time.
PHASES = {
    "choosing a device": ("rnncli.workflows.devices.pick_device", 1),
    "naming the folder": ("rnncli.storage.model_dir.ModelDir.check_name_is_free", 1),
    "reading": ("rnncli.data.corpus.Corpus.scan", 1),
    "measuring the machine": ("rnncli.workflows.train.measure_hardware", 1),
    "probing": ("rnncli.training.throughput.tokens_per_second", 1),
    "learning a tokenizer": ("rnncli.data.tokenizers.base.CharTokenizer.__init__", 1),
    "tokenising": ("rnncli.data.tokenizers.base.CharTokenizer.encode", 1),
    "planning": ("rnncli.workflows.train.make_plan", 1),
    "writing the run": ("rnncli.storage.draft.Draft.describe", 1),
    "renaming the folder": ("rnncli.runtime.sync_folder", 3),
    "the first save": ("rnncli.storage.model_dir.ModelDir.save_checkpoint", 1),
    "the first step": ("rnncli.training.trainer.train_step", 1),
    "a later step": ("rnncli.training.trainer.train_step", 23),
    "the optimizer": ("rnncli.training.optimizer.AdamW.step", 30),
    "validating": ("rnncli.workflows.training_session.estimate", 2),
    "sampling": ("rnncli.workflows.training_session._sample", 1),
    "logging": ("rnncli.storage.model_dir.ModelDir.append_metrics", 2),
    "a file of a save": ("rnncli.files.write_file", 9),
    "the rename of a save": ("rnncli.runtime.sync_folder", 22),
    "the n-gram": ("rnncli.workflows.training_session.add_ngram", 1),
    "the card": ("rnncli.storage.model_dir.ModelDir.write_card", 1),
}
# The training is over; what is left is finished.
TOO_LATE = ("the n-gram", "the card")
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


def sends(where: str, times: int, numbers: tuple[signal.Signals, ...]) -> Callable[[], None]:
    """What puts a function in place that sends our own process the signals, and then does its work."""

    def put() -> None:
        owner, name = lock_owner(where)
        real, calls = getattr(owner, name), 0

        def tell() -> None:
            nonlocal calls
            calls += 1
            if calls == times:
                Path("sent").write_text(str(time.monotonic()))
                for number in numbers:
                    os.kill(os.getpid(), number)

        def told(*arguments: object, **named: object) -> object:
            tell()
            return real(*arguments, **named)

        # A class method is bound already: it must not be given its class again.
        setattr(owner, name, staticmethod(told) if hasattr(real, "__self__") else told)

    return put


def lock_owner(where: str) -> tuple[object, str]:
    """The module or class, and the name in it."""
    parts = where.split(".")
    for size in range(len(parts) - 1, 0, -1):
        try:
            owner: object = importlib.import_module(".".join(parts[:size]))
        except ModuleNotFoundError:
            continue
        for part in parts[size:-1]:
            owner = getattr(owner, part)
        return owner, parts[-1]
    raise AssertionError(where)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The hashes of a run that nobody stopped."""
    folder = tmp_path_factory.mktemp("whole")
    before = Path.cwd()
    os.chdir(folder)
    try:
        Path("text.txt").write_text(TEXT)
        assert ended(forked("train", "text.txt", "--name", "x", *GIVEN)) == 0, Path("output").read_text()
        return hashes()
    finally:
        os.chdir(before)


def hashes() -> dict[str, str]:
    files = [Path("models/x") / name for name in ("model.safetensors", "ngram.safetensors")]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_a_signal_in_any_phase_loses_nothing(
    text: Path,
    whole: dict[str, str],
    effort: Callable[[int, int], int],
    figure: Callable[[str], None],
) -> None:
    tried, slowest, saved = 0, 0.0, 0
    for turn, (phase, (where, times)) in enumerate(PHASES.items()):
        for number in SIGNALS if effort(0, 1) else SIGNALS[turn % len(SIGNALS) :][:1]:
            Path("sent").unlink(missing_ok=True)
            code = ended(
                forked("train", str(text), "--name", "x", *GIVEN, before=sends(where, times, (number,)))
            )
            said = Path("output").read_text()
            assert Path("sent").exists(), f"{phase} never came"
            assert "Traceback" not in said, (phase, number, said)
            if number == signal.SIGUSR1 or phase in TOO_LATE:
                assert code == 0, (phase, said)
            else:
                assert code == 128 + number, (phase, number, code, said)
                slowest = max(slowest, time.monotonic() - float(Path("sent").read_text()))
            if Path("models/x").exists():
                saved += 1
                folder = ModelDir.find("x")
                assert folder.mismatches() == []
                if folder.record().status != "finished":
                    assert ended(forked("train", "--resume", "x")) == 0, (phase, Path("output").read_text())
                assert hashes() == whole, (phase, number)
            else:
                assert not list(Path().glob(".partial-*")), phase
            shutil.rmtree("models", ignore_errors=True)
            tried += 1
    assert slowest < 5.0
    figure(
        f"{tried} signals in {len(PHASES)} phases: {saved} runs saved, the others not begun; "
        f"{slowest:.1f} s at most"
    )


@pytest.mark.parametrize("phase", ["a later step", "validating", "a file of a save", "the rename of a save"])
def test_a_second_ctrl_c_leaves_at_once_with_everything_intact(
    text: Path, whole: dict[str, str], phase: str
) -> None:
    twice = (signal.SIGINT, signal.SIGINT)
    code = ended(forked("train", str(text), "--name", "x", *GIVEN, before=sends(*PHASES[phase], twice)))
    assert code == 130, Path("output").read_text()
    folder = ModelDir.find("x")
    assert folder.mismatches() == []
    assert ended(forked("train", "--resume", "x")) == 0, Path("output").read_text()
    assert hashes() == whole


def test_a_request_to_save_is_answered_with_a_checkpoint(text: Path) -> None:
    given = ("--steps", "100000000", "--save-every", "100000000", *SHAPE)
    process = forked("train", str(text), "--name", "x", *given)
    try:
        until(lambda: Path("output").exists() and "step=" in Path("output").read_text())
        before = ModelDir.find("x").checkpoints()
        os.kill(process, signal.SIGUSR1)
        until(lambda: ModelDir.find("x").checkpoints() != before)
    finally:
        os.kill(process, signal.SIGTERM)
    assert ended(process) == 143


def until(happened: Callable[[], bool]) -> None:
    for _ in range(6000):
        if happened():
            return
        time.sleep(0.01)
    raise AssertionError("it never happened")
