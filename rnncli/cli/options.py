"""Options that several commands share, written once."""

import logging
import os
from collections.abc import Collection
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rnncli.cli.parsing import settings_file


def model_names(incomplete: str) -> list[str]:
    """Return the models under models/ whose names begin with `incomplete`, for shell completion."""
    from rnncli.storage.model_dir import ModelDir

    names = (folder.path.name for folder in ModelDir.all())
    return [name for name in names if name.startswith(incomplete)]


def models_or_default(names: list[str] | None) -> list[str] | list[None]:
    """Return the named models, else RNNCLI_MODEL as one name (Typer would split it at spaces)."""
    default = os.environ.get("RNNCLI_MODEL")
    return names or ([default] if default else [None])


NamedModel = Annotated[
    str | None,
    typer.Argument(
        metavar="MODEL",
        envvar="RNNCLI_MODEL",
        autocompletion=model_names,
        help="A model under models/ or a folder; without it, the newest finished one.",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        envvar="RNNCLI_MODEL",
        metavar="NAME|DIR",
        autocompletion=model_names,
        help="A model under models/ or a folder; without it, the newest finished one.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]


def _silence_log(quiet: bool) -> bool:
    if quiet:
        logging.getLogger("rnncli").setLevel(logging.ERROR)
    return quiet


Quiet = Annotated[bool, typer.Option("--quiet", "-q", callback=_silence_log, help="Results and errors only.")]
Verbose = Annotated[
    bool,
    typer.Option(
        "--verbose",
        "-v",
        help="Also show the precisions, kernels and GPUs that this machine cannot use.",
        hidden=True,
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="auto|cpu|cuda|mps",
        help="Device to compute on (auto: CUDA if it works, else the CPU).",
    ),
]
GenerationDevice = Annotated[
    str,
    typer.Option(metavar="auto|cpu|cuda|mps", help="Device to generate on (auto: the CPU)."),
]
Settings = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.toml",
        is_eager=True,
        callback=settings_file,
        help="Read options from a file; the command line and RNNCLI_* variables take precedence.",
    ),
]
TEXTS = "files, folders, patterns, compressed or not; @FILE lists them; - is stdin"
Texts = Annotated[list[str], typer.Argument(metavar="TEXT", help=f"Texts: {TEXTS}.")]
OptionalTexts = Annotated[list[str] | None, typer.Argument(metavar="TEXT", help=f"Texts: {TEXTS}.")]
TrainingTexts = Annotated[
    list[str] | None, typer.Argument(metavar="TEXT", help=f"Texts: {TEXTS}. Or token datasets.")
]
Name = Annotated[
    str | None, typer.Option(help="Name of the model under models/.", show_default="that of the text")
]
Resume = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        autocompletion=model_names,
        help="Resume a training; a budget is its new total, or more: --time +10m.",
    ),
]
FromModel = Annotated[
    str | None,
    typer.Option(
        "--from",
        metavar="NAME",
        autocompletion=model_names,
        help="Fine-tune a model: start from its weights.",
    ),
]
TensorBoard = Annotated[
    bool,
    typer.Option(
        "--tensorboard",
        help="Also write event files for TensorBoard.",
        rich_help_panel="Training (what is not given is planned)",
        hidden=True,
    ),
]


def refuse_others(context: typer.Context, allowed: Collection[str], why: str) -> None:
    """Raise a usage error for an option that is given, by the command line or --config, and not allowed."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        given = source is not None and source.name in ("COMMANDLINE", "DEFAULT_MAP")
        if given and parameter.name not in allowed:
            raise typer.BadParameter(why, param_hint=parameter.opts[0])


def check_figure_suffix(output: Path | None) -> None:
    """Raise a usage error for a file name that is neither PNG nor HTML."""
    if output is not None and output.suffix.lower() not in (".png", ".html"):
        raise typer.BadParameter("its name ends with .png or .html", param_hint="--output")


class Progress(StrEnum):
    """How progress is shown."""

    auto = "auto"
    bar = "bar"
    plain = "plain"
    none = "none"


ShownProgress = Annotated[Progress, typer.Option(help="How to show progress.", hidden=True)]
