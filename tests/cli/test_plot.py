"""rnncli plot: every subject, for every structure that has it, on the terminal and as a file."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from rnncli.console import figure_files
from rnncli.events import Stepped
from rnncli.storage.model_dir import ModelDir
from tests.cli.conftest import TINY, Command, words
from tests.conftest import RHYME

ALL = (
    *("loss", "learning-rate", "gradient-norms", "throughput"),
    *("vanishing-gradients", "context-ablation", "neurons", "embeddings"),
)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """models/x and models/y, each trained once: to be copied."""
    folder = tmp_path_factory.mktemp("plotted")
    (folder / "rhyme.txt").write_text(RHYME, encoding="utf-8")
    for name, more in (("x", ()), ("y", ("--cell", "gru,mingru", "--convolution", "3", "--attention", "4"))):
        train = (sys.executable, "-m", "rnncli", "train", "rhyme.txt", "--name", name, *TINY, *more)
        subprocess.run([*train, "--validations", "3", "--quiet"], cwd=folder, check=True)
    return folder / "models"


@pytest.fixture
def trained(rnncli: Command, models: Path, own_folder: Path) -> Command:
    shutil.copytree(models, own_folder / "models")
    for name in ("x", "y"):
        for step in (2, 4):  # so short a training logs none by itself
            norms = {"embedding": 0.1 * step, "layers.0": 0.3, "output": 0.5}
            told = Stepped(step, 0.1, 1.0 * step, None, None, 2.0, 900.0 + step, 1e-3 / step, 0.6, norms, 0)
            ModelDir.find(name).append_metrics(told)
    return rnncli


@pytest.mark.parametrize("subject", ALL)
def test_every_subject_is_drawn(trained: Command, subject: str) -> None:
    shown = trained("plot", "x", "--figure", subject)
    assert shown.code == 0, shown.err
    assert "\x1b" not in shown.out
    assert len(shown.out.split("\n")) > 8
    file = trained("plot", "x", "--figure", subject, "--output", "picture.html")
    assert file.out == "picture.html\n"
    assert "<svg" in Path("picture.html").read_text() or subject == "neurons"


def test_several_models_share_one_pair_of_axes(trained: Command) -> None:
    for subject in ("loss", "vanishing-gradients", "context-ablation"):
        out = trained("plot", "x", "y", "--figure", subject).out
        assert re.search(r"^a x", out, re.MULTILINE), "by letters where there are no colours"
        assert re.search(r"^[b-z] y", out, re.MULTILINE)
    out = trained("plot", "x", "y", "--figure", "vanishing-gradients").out
    for block in ("y convolution", "y layers.0", "y layers.1", "y attention"):
        assert block in out


def test_curves_of_one_model_are_of_both_parts_in_bits_per_character(trained: Command) -> None:
    out = trained("plot", "x").out
    assert "x, validation" in out
    assert "x, training" in out
    assert "bits per character by seconds" in out


def test_a_neuron_may_be_named(trained: Command) -> None:
    assert (
        "neuron layers.0:7 of x" in trained("plot", "x", "--figure", "neurons", "--neuron", "layers.0:7").out
    )
    refused = trained("plot", "x", "--figure", "neurons", "--neuron", "layers.0:12")
    assert refused.code == 2
    assert "they are named layers.0:0 to layers.0:11" in words(refused.err)


def test_lines_by_themselves_have_units_and_no_long_memory(rnncli: Command, rhyme: Path) -> None:
    assert rnncli("train", rhyme, "--name", "x", *TINY, "--line-by-line").code == 0
    assert rnncli("plot", "x", "--figure", "neurons").code == 0
    refused = rnncli("plot", "x", "--figure", "context-ablation")
    assert refused.code == 2
    assert "was trained line by line" in words(refused.err)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--output", "picture.gif"), "its name ends with .png or .html"),
        (("--neuron", "layers.0:1"), "--neuron needs --figure neurons"),
        (("y", "--figure", "embeddings"), "is of one model"),
        (("--figure", "colours"), "figure is 'colours'"),
    ],
)
def test_wrong_usage_says_so(trained: Command, arguments: tuple[str, ...], says: str) -> None:
    ran = trained("plot", "x", *arguments)
    assert ran.code == 2
    assert says in words(ran.err)


def test_models_of_other_tokens_do_not_share_an_axis_of_tokens(trained: Command, rhyme: Path) -> None:
    assert trained("train", rhyme, "--name", "words", "--level", "word", *TINY).code == 0
    refused = trained("plot", "x", "words", "--figure", "context-ablation")
    assert refused.code == 2
    assert "different tokenizers" in words(refused.err)
    assert trained("plot", "x", "words").code == 0


def test_the_log_of_a_stranger_is_no_traceback(trained: Command) -> None:
    with Path("models/x/metrics.jsonl").open("a") as log:
        log.write('{"step": 3}\n{"event": "stepped", "step": 5}\n{"event": "evaluated"}\n')
        log.write('{"event": "stepped", "step": 100000000000000000, "learning_rate": 0.1}\n')
        log.write('{"event": "stepped", "step": 1, "gradient_norms": {"\\u001b[2J": 1.0}}\n')
    for subject in ("loss", "learning-rate", "gradient-norms", "throughput"):
        ran = trained("plot", "x", "--figure", subject)
        assert ran.code == 0, ran.err
        assert "\x1b" not in ran.out


def test_a_file_without_matplotlib_says_what_to_install(
    trained: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(figure_files, "find_spec", lambda name: None)
    ran = trained("plot", "x", "--output", "x.png")
    assert ran.code == 1
    assert "pip install 'rnncli[plots]'" in ran.err
    assert trained("plot", "x").code == 0


def test_a_file_that_cannot_be_written_is_one_error(trained: Command) -> None:
    ran = trained("plot", "x", "--output", "nowhere/x.png")
    assert ran.code == 1
    assert ran.err.count("error: ") == 1
    assert "nowhere/x.png: the folder does not exist" in words(ran.err)
