"""What the program says of itself and of the machine: version, doctor, manual, completion, JSON."""

import re
from pathlib import Path

import pytest
import torch
import typer

from rnncli import __version__
from rnncli.cli.app import app
from rnncli.workflows import devices
from tests.cli.conftest import TINY, Command, words

DOCS = Path(__file__).parents[2] / "docs"


def test_the_version_names_torch_and_the_device(rnncli: Command) -> None:
    ran = rnncli("--version")
    first, second = ran.out.splitlines()
    assert first == f"rnncli {__version__}"
    assert second.startswith("Python 3.")
    assert ", torch " in second


def test_without_torch_the_version_is_said_all_the_same(
    rnncli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    ran = rnncli("--version")
    assert ran.code == 0
    assert "no torch" in ran.out


def test_the_doctor_says_what_is_there_and_how_fast_it_is(
    rnncli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnncli.workflows.diagnostics._SECONDS", 0.01)
    monkeypatch.setattr("rnncli.training.throughput.PEAK_SIZES", (64,))
    facts = rnncli("doctor", "--json").json
    assert facts["rnncli"] == __version__
    assert facts["packages"]["torch"]
    assert "pytest" not in facts["packages"]
    assert set(facts["measured"]["matrix_products_gflops"]) == {"fp32", "bf16"}
    assert facts["measured"]["training_tokens_per_second"]["fp32 torch"] > 0
    shown = words(rnncli("doctor").out)
    assert "GFLOP/s" in shown
    assert f"torch {facts['packages']['torch']}" in shown


def test_the_doctor_names_no_path_and_measures_nothing_unasked(rnncli: Command) -> None:
    ran = rnncli("doctor", "--json", "--no-measure")
    assert ran.json["measured"] == {}
    assert str(Path.home()) not in ran.out
    assert str(Path.cwd()) not in ran.out


def test_the_reference_in_the_documents_is_what_the_program_prints(rnncli: Command) -> None:
    printed = rnncli("manual").out
    assert (DOCS / "reference.md").read_text(encoding="utf-8") == printed, "make docs writes it"


def test_every_option_is_in_the_reference_under_its_command() -> None:
    page = (DOCS / "reference.md").read_text(encoding="utf-8")
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        section = page.split(f"\n## `rnncli {name}`\n")[1].split("\n## ")[0]
        written = re.findall(r"^\* `(.*?)`", section, re.MULTILINE)
        words_written = {word for entry in written for word in re.split(r"[ ,/]+", entry)}
        options = [o for p in command.params if p.param_type_name == "option" for o in p.opts]
        assert set(options) <= words_written, name
        assert len(written) == len(command.params) + 1, f"{name}, with --help"


def test_the_reference_quotes_what_markdown_would_read(rnncli: Command) -> None:
    page = rnncli("manual").out
    assert "```text\nrnncli train [OPTIONS]" in page
    assert "* [`rnncli train`](#rnncli-train): " in page
    assert re.findall(r"^Example: [^`].*", page, re.MULTILINE) == []
    assert "<" not in re.sub(r"`[^`]*`", "", page)


def test_a_shell_completes_names_of_models(
    rnncli: Command, rhyme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("novel", "other"):
        rnncli("train", rhyme, "--name", name, *TINY)
    monkeypatch.setenv("_RNNCLI_COMPLETE", "complete_bash")
    for typed in ("rnncli eval --model n", "rnncli info n", "rnncli train --resume n"):
        monkeypatch.setenv("COMP_WORDS", typed)
        monkeypatch.setenv("COMP_CWORD", str(len(typed.split()) - 1))
        assert rnncli().out.split() == ["novel"], typed


JSON_COMMANDS = {"eval": ["eval"], "train": ["train", "rhyme.txt", *TINY], "info": ["info", "x"]}


@pytest.mark.parametrize("name", JSON_COMMANDS)
def test_the_keys_of_json_are_those_that_the_documents_name(rnncli: Command, rhyme: Path, name: str) -> None:
    assert rnncli("train", rhyme, "--name", "x", *TINY).code == 0
    said = rnncli(*JSON_COMMANDS[name], "--json").json
    page = (DOCS / "files.md").read_text(encoding="utf-8")
    table = page.split(f"### rnncli {name} --json\n")[1].strip().split("\n\n")[0]
    named = [key for row in table.splitlines()[2:] for key in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(named) == sorted(said)
    if name == "train":
        (told,) = (row for row in table.splitlines() if row.startswith("| `plan`"))
        assert set(re.findall(r"`(\w+)`", told)) - {"plan"} == set(said["plan"])


OTHER_JSON_COMMANDS = {
    "tokenize": ["rhyme.txt", "--report", "-o", "rhyme.tok"],
    "complete": ["the"],
    "memorized": ["--length", "50"],
    "verify": ["x"],
    "doctor": ["--no-measure"],
}


def test_so_are_those_of_the_other_commands(rnncli: Command, rhyme: Path) -> None:
    assert rnncli("train", rhyme, "--name", "x", *TINY).code == 0
    page = (DOCS / "files.md").read_text(encoding="utf-8")
    for name, arguments in OTHER_JSON_COMMANDS.items():
        (row,) = re.findall(rf"^\| `{name} --json` \| (.*) \|$", page, re.MULTILINE)
        said = rnncli(name, *arguments, "--json").json
        own = re.sub(r": (?:each with )?(`\w+`, )+`\w+`$", "", row)  # without the keys of what is inside
        assert sorted(re.findall(r"`(\w+)`", own)) == sorted(said), name


def test_doctor_names_a_gpu_whose_driver_fails(rnncli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(devices, "why_not_device", lambda name: "no driver")
    found = rnncli("doctor", "--no-measure", "--json").json
    assert found["devices"] == ["cpu", "cuda"]
    assert "cuda: no driver" in found["unusable"]
