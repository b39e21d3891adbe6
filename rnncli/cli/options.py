"""Options that several commands share, written once."""

import logging
import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from rnncli.cli.parsing import settings_file
from rnncli.data.config import ReadConfig, TextConfig


def model_names(incomplete: str) -> list[str]:
    """What a shell offers where a model is to be named: those under models/."""
    from rnncli.storage.model_dir import ModelDir

    names = (folder.path.name for folder in ModelDir.all())
    return [name for name in names if name.startswith(incomplete)]


def models_or_usual(names: list[str] | None) -> list[str] | list[None]:
    """Those that are named, else the usual one: in a list's own variable blanks would part names."""
    usual = os.environ.get("RNNCLI_MODEL")
    return names or ([usual] if usual else [None])


NamedModel = Annotated[
    str | None,
    typer.Argument(
        metavar="[MODEL]",
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
        "--verbose", "-v", help="Also show the precisions, kernels and GPUs that this machine cannot use."
    ),
]
Device = Annotated[
    str,
    typer.Option(
        metavar="auto|cpu|cuda|mps",
        help="Device to compute on (auto: CUDA if it works, else the CPU; mps is experimental).",
    ),
]
WritingDevice = Annotated[
    str,
    typer.Option(
        metavar="auto|cpu|cuda|mps", help="Where to compute; auto is the processor, where a step takes least."
    ),
]
Settings = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE.toml",
        is_eager=True,
        callback=settings_file,
        help="Settings by option name; options on the command line and RNNCLI_* variables come first.",
    ),
]
_READING, _TOKENS, _PARTS = "Reading", "Tokens", "Parts"
TEXTS = "files, folders, patterns, packed or not; @FILE lists them; - is stdin"
Encoding = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Of texts without a byte order mark.",
        show_default="utf-8",
        rich_help_panel=_READING,
    ),
]
Errors = Annotated[
    str | None,
    typer.Option(
        metavar="strict|replace",
        help="What does not decode: refused, or U+FFFD and counted.",
        show_default=ReadConfig.errors,
        rich_help_panel=_READING,
    ),
]
Newlines = Annotated[
    str | None,
    typer.Option(
        metavar="keep|unix",
        help="Line ends as they are, or all as \\n.",
        show_default=ReadConfig.newlines,
        rich_help_panel=_READING,
    ),
]


def _level(default: str) -> Any:
    return typer.Option(
        metavar="char|byte|word|subword",
        help="What a token is.",
        show_default=default,
        rich_help_panel=_TOKENS,
    )


Level = Annotated[str | None, _level("by the text")]
TrainedLevel = Annotated[str | None, _level("by the text and the time")]
VocabSize = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Most symbols at word and subword level.",
        show_default="by the text",
        rich_help_panel=_TOKENS,
    ),
]
SubwordKind = Annotated[
    str | None,
    typer.Option(
        metavar="bpe|unigram",
        help="How subword pieces are learned.",
        show_default=TextConfig.subword_kind,
        rich_help_panel=_TOKENS,
    ),
]
Pattern = Annotated[
    str | None,
    typer.Option(
        metavar="REGEX",
        help="What a word is, at word level; the text between two matches is a word too.",
        show_default="between white space",
        rich_help_panel=_TOKENS,
    ),
]
TokenizerFrom = Annotated[
    str | None,
    typer.Option(
        "--tokenizer",
        metavar="FOLDER|NAME",
        help="That of a token store or a model, instead of a new one.",
        rich_help_panel=_TOKENS,
    ),
]
Unit = Annotated[
    str | None,
    typer.Option(
        metavar="stream|line",
        help="One text, or every line a sample of its own.",
        show_default=TextConfig.unit,
        rich_help_panel=_TOKENS,
    ),
]
Valid = Annotated[
    list[str] | None,
    typer.Option(
        "--valid",
        metavar="TEXT",
        help="A text of its own as held-out part.",
        rich_help_panel=_PARTS,
    ),
]
ValidFraction = Annotated[
    float | None,
    typer.Option(
        metavar="F",
        help="Part of the text held out.",
        show_default="0.1, at most 5 million tokens",
        rich_help_panel=_PARTS,
    ),
]
TestFraction = Annotated[
    float | None,
    typer.Option(
        metavar="F",
        help="Part kept for rnncli eval --part test.",
        show_default=str(TextConfig.test_fraction),
        rich_help_panel=_PARTS,
    ),
]
Split = Annotated[
    str | None,
    typer.Option(
        metavar="end|lines",
        help="Held-out parts are the text's end, or lines drawn at random.",
        show_default=TextConfig.split,
        rich_help_panel=_PARTS,
    ),
]
SplitSeed = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Which lines --split lines draws.",
        show_default=str(TextConfig.split_seed),
        rich_help_panel=_PARTS,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="Processes that cut words and pieces; the result is the same.",
        show_default="one a processor",
        rich_help_panel=_TOKENS,
    ),
]


def refuse_no_picture(output: Path | None) -> None:
    """Raises a usage error for a file that would be of no kind that is drawn."""
    if output is not None and output.suffix.lower() not in (".png", ".html"):
        raise typer.BadParameter("its name ends with .png or .html", param_hint="--output")


class Progress(StrEnum):
    """How a training is shown."""

    auto = "auto"
    bar = "bar"
    plain = "plain"
    none = "none"
