"""Option groups as options of a command."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
import typer
from typer.testing import CliRunner

from rnncli.cli.adapter import Only, command
from rnncli.errors import OptionError
from rnncli.options import OptionGroup, option
from tests.cli.conftest import Command, words


@dataclass(frozen=True, kw_only=True)
class Sampling(OptionGroup):
    temperature: float = option(0.8, help="Temperature of sampling.", min=0, panel="Sampling")
    kind: Literal["greedy", "beam"] | None = option(None, help="Kind of search.", shown="by the model")
    prompts: tuple[str, ...] = option((), help="Prompts.")
    unique: bool = option(False, help="No duplicates.")
    tied: bool | None = option(None, help="Tied embeddings.")
    lr: float = option(0.1, help="Learning rate.", name="dynamic_lr")
    length: int = option(5, help="Length.", flags=("--length", "-l"), advanced=True)


@dataclass(frozen=True, kw_only=True)
class Inner(OptionGroup):
    sampling: Sampling = Sampling()
    output: Path | None = option(None, help="Output.")


def run(function: Any, *arguments: str, env: dict[str, str] | None = None) -> Any:
    app = typer.Typer(context_settings={"auto_envvar_prefix": "T"})
    app.command()(command(function))
    return CliRunner().invoke(app, list(arguments), env=env)


def shown(context: typer.Context, prompt: str = "p", *, chosen: Inner) -> None:
    """Show what was chosen."""
    assert context.command.params
    print(prompt, chosen)


def test_a_command_gets_its_groups_as_objects() -> None:
    given = ("--temperature", "2", "--kind", "beam", "--prompts", "a", "--prompts", "b", "--unique")
    ran = run(shown, *given, "--no-tied", "--dynamic-lr", "0.5", "-l", "7", "--output", "x", "--prompt", "q")
    expected = Inner(
        sampling=Sampling(
            temperature=2.0, kind="beam", prompts=("a", "b"), unique=True, tied=False, lr=0.5, length=7
        ),
        output=Path("x"),
    )
    assert ran.output == f"q {expected}\n"
    assert run(shown).output == f"p {Inner()}\n"


def test_the_environment_gives_values_by_the_names_of_options() -> None:
    assert "temperature=3.0" in run(shown, env={"T_TEMPERATURE": "3"}).output
    assert "lr=0.7" in run(shown, env={"T_DYNAMIC_LR": "0.7"}).output


def test_a_value_out_of_range_is_the_error_of_python() -> None:
    ran = run(shown, "--temperature", "-1")
    assert isinstance(ran.exception, OptionError)
    assert str(ran.exception) == "temperature is -1.0; it must be at least 0"
    assert run(shown, "--temperature", "warm").exit_code == 2


def test_help_shows_what_most_people_use_and_help_all_shows_all() -> None:
    for _ in range(2):  # --help-all leaves nothing behind
        short, full = run(shown, "--help").output, run(shown, "--help-all").output
        assert "--length" not in short
        assert "--help-all" in short
        assert "--length" in full
        for phrase in ("--temperature", "Temperature of sampling", "greedy|beam", "by the model", "0.8"):
            assert phrase in words(short)
            assert phrase in words(full)


def test_a_command_may_take_a_part_of_a_group() -> None:
    def some(*, chosen: Annotated[Sampling, Only("kind")]) -> None:
        print(chosen)

    assert run(some, "--kind", "beam").output == f"{Sampling(kind='beam')}\n"
    assert run(some, "--unique").exit_code == 2


@pytest.mark.parametrize("name", ["train", "tokenize", "compare", "eval", "generate"])
def test_every_command_has_both_helps(rnncli: Command, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    short, full = rnncli(name, "--help"), rnncli(name, "--help-all")
    assert (short.code, full.code) == (0, 0)
    assert len(short.out.splitlines()) < len(full.out.splitlines())
    assert "<bool>" not in full.out
    assert "env var" not in short.out


def test_the_help_of_train_fits_on_a_screen(rnncli: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert len(rnncli("train", "--help").out.splitlines()) <= 72
    assert "--activation-regularization" in rnncli("train", "--help-all").out
    assert "--activation-regularization" not in rnncli("train", "--help").out


def test_a_settings_file_has_the_names_of_options(rnncli: Command, rhyme: Path) -> None:
    Path("given.toml").write_text("steps = 3\nhidden_size = 8\nline-by-line = true\nvalid-fraction = 0.2\n")
    ran = rnncli("train", rhyme, "--config", "given.toml", "--batch-size", "2", "--bptt", "16", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["plan"]["steps"] == 3
    assert "1 layer of 8" in ran.json["plan"]["architecture"]
