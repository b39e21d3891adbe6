"""What only a process of its own can show: imports, signals, pipes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rnncli.nn.fused import support
from tests.cli.conftest import TINY, nothing_is_left
from tests.processor import ON_PROCESSOR
from tests.systems import needs_signals

COMMANDS = [
    "tokenize",
    "train",
    "ngram",
    "eval",
    "score",
    "rescore",
    "generate",
    "complete",
    "memorized",
    "info",
    "verify",
    "compare",
    "plot",
    "doctor",
    "manual",
]
COMMAND = [sys.executable, "-m", "rnncli"]
ENVIRONMENT = {**os.environ, **ON_PROCESSOR, "OMP_NUM_THREADS": "1", "COLUMNS": "80"}


def run(*arguments: object, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], input=stdin, capture_output=True, env=ENVIRONMENT, check=False
    )


@pytest.mark.parametrize(
    "arguments",
    [["--help"], *([name, "--help"] for name in COMMANDS)],
    ids=" ".join,
)
def test_help_imports_no_heavy_library(arguments: list[str]) -> None:
    program = (
        "import sys; from rnncli.__main__ import main; sys.argv = ['rnncli', *sys.argv[1:]]\n"
        "try: main()\n"
        "except SystemExit as leaving: assert not leaving.code, leaving.code\n"
        "heavy = {'torch', 'numpy', 'sentencepiece', 'safetensors'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert b"rnncli" in done.stdout


def test_writing_needs_no_torch(rhyme: Path) -> None:
    assert run("train", rhyme, "--name", "x", *TINY).returncode == 0
    program = (
        "import sys; from rnncli.__main__ import main; sys.argv = ['rnncli', 'generate', '--length', '9']\n"
        "try: main()\n"
        "except SystemExit as leaving: assert not leaving.code, leaving.code\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert len(done.stdout) == 9


def test_help_names_the_defaults_that_the_configs_hold() -> None:
    text = " ".join(run("train", "--help-all").stdout.decode().replace("│", " ").split())
    for default in ("5m", "by the text", "0.02", "bpe"):
        assert f"[default: ({default})]" in text or f"[default: {default}]" in text, default


@needs_signals
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_training_is_saved_usable_and_resumable(
    rhyme: Path, number: signal.Signals, code: int
) -> None:
    options = [option if option != "6" else "100000000" for option in TINY]
    training = subprocess.Popen(
        [*COMMAND, "train", str(rhyme), "--name", "x", *options], stderr=subprocess.PIPE, env=ENVIRONMENT
    )
    assert training.stderr is not None
    for line in training.stderr:
        if line.startswith(b"step="):
            break
    training.send_signal(number)
    training.communicate(timeout=60)
    assert training.returncode == code
    assert b"interrupted" in run("info", "x").stdout
    assert run("generate", "-m", "x", "--length", "5").returncode == 0
    step = max(int(path.stem[5:]) for path in Path("models/x/checkpoints").glob("step-*.safetensors"))
    resumed = run("train", "--resume", "x", "--steps", step + 5)
    assert resumed.returncode == 0, resumed.stderr.decode()
    assert f"goes on from step {step:,}".encode() in resumed.stderr
    assert b"finished" in run("info", "x").stdout


@needs_signals
@pytest.mark.parametrize("command", [("train", "-", "--name", "x"), ("tokenize", "-")], ids=" ".join)
def test_ctrl_c_before_there_is_anything_to_save_leaves_nothing(
    rhyme: Path, command: tuple[str, ...]
) -> None:
    reading = subprocess.Popen(
        [*COMMAND, *command],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    time.sleep(3)  # long enough to have begun to wait for the text
    reading.send_signal(signal.SIGINT)
    _, err = reading.communicate(timeout=60)
    assert reading.returncode == 130
    assert b"Traceback" not in err
    assert nothing_is_left()


@needs_signals
def test_ctrl_c_stops_a_text_and_not_the_conversation(rhyme: Path) -> None:
    assert run("train", rhyme, "--name", "x", *TINY).returncode == 0
    talking = subprocess.Popen(
        [*COMMAND, "generate", "-i", "--length", "100000000", "-q"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert talking.stdin is not None
    assert talking.stdout is not None
    talking.stdin.write(b"the\n")
    talking.stdin.flush()
    assert talking.stdout.read(50)
    talking.send_signal(signal.SIGINT)
    rest, _ = talking.communicate(b"/length 4\n/reset\nrain\n/quit\n", timeout=60)
    assert talking.returncode == 0
    assert rest.endswith(b"\n")


def test_a_pipe_that_closes_early_ends_generate_quietly(rhyme: Path) -> None:
    assert run("train", rhyme, "--name", "x", *TINY).returncode == 0
    writing = subprocess.Popen(
        [*COMMAND, "generate", "-m", "x", "--length", "1000000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )
    assert writing.stdout is not None
    assert writing.stderr is not None
    assert len(writing.stdout.read(20)) == 20
    writing.stdout.close()
    assert b"Traceback" not in writing.stderr.read()
    writing.stderr.close()
    writing.wait(timeout=60)


def test_piped_text_is_utf_8_whatever_the_locale(rhyme: Path) -> None:
    Path("poem.txt").write_text("床前明月光，疑是地上霜。\n" * 40, encoding="utf-8")
    assert run("train", "poem.txt", "--name", "x", *TINY).returncode == 0
    done = subprocess.run(
        [*COMMAND, "generate", "-m", "x", "--prompt", "-", "--length", "8"],
        input="明月".encode(),
        capture_output=True,
        env={**ENVIRONMENT, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode("utf-8").startswith("明月")
    assert len(done.stdout.decode("utf-8")) == 10


def test_what_a_terminals_encoding_lacks_is_shown_by_its_number(own_folder: Path) -> None:
    Path("t.txt").write_text("床前明月光，疑是地上霜。\n" * 20, encoding="utf-8")
    command = (sys.executable, "-m", "rnncli", "tokenize", "--report", "t.txt")
    ran = subprocess.run(
        command, env={**os.environ, "PYTHONIOENCODING": "iso-8859-1"}, capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert rb"\u660e" in ran.stdout


def test_without_numba_a_training_is_slower_and_nothing_else(rhyme: Path) -> None:
    """As after `pip uninstall numba`, or where it has no wheels."""
    program = (
        "import sys\n"
        "sys.modules |= dict.fromkeys(['numba', 'llvmlite', 'llvmlite.binding'])\n"
        "from rnncli.__main__ import main\n"
        "main()"
    )
    command = [
        sys.executable,
        "-c",
        program,
        "train",
        str(rhyme),
        "--time",
        "2s",
        "--name",
        "x",
        "--json",
        "-q",
    ]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    plan = json.loads(done.stdout)["plan"]
    assert plan["kernels"] == "torch"
    (reason,) = [line for line in plan["unusable"] if line.startswith("bf16 with fused kernels: ")]
    if support.why_no_kernels() is None:
        assert "llvmlite" in reason


@needs_signals
def test_a_closed_stderr_is_no_error(own_folder: Path) -> None:
    (own_folder / "verse.txt").write_text("a lamp was lit, a page was turned\n" * 40)
    assert run("train", "verse.txt", "--name", "x", *TINY).returncode == 0
    for words in ("verify x", "eval --json", "generate --length 5"):
        shell = f"exec {sys.executable} -m rnncli {words} 2>&-"
        ran = subprocess.run(["/bin/sh", "-c", shell], capture_output=True, env=ENVIRONMENT, check=False)
        assert (ran.returncode, bool(ran.stdout)) == (0, True), words
