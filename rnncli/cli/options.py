"""Options that several commands share, written once."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rnncli.cli.parsing import settings_file
from rnncli.text.config import TextConfig

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        envvar="RNNCLI_MODEL",
        metavar="NAME|DIR",
        help="A model under models/ or a folder; without it, the newest finished one.",
    ),
]
Encoding = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Encoding of texts without a byte order mark; without it, UTF-8."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Results and errors only.")]
Device = Annotated[
    str,
    typer.Option(metavar="auto|cpu|cuda|mps", help="Where to compute; auto takes a GPU where there is one."),
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
Level = Annotated[
    str | None,
    typer.Option(metavar="char|byte|word|subword", help="What a token is; without it, the text decides."),
]
VocabSize = Annotated[int | None, typer.Option(metavar="N", help="Most symbols at word and subword level.")]
SubwordKind = Annotated[
    str | None,
    typer.Option(
        metavar="bpe|unigram", help="How subword pieces are learned.", show_default=TextConfig.subword_kind
    ),
]
ValidFraction = Annotated[
    float | None,
    typer.Option(
        metavar="F",
        help="Part of the text held out, from its end; at most 5 million characters.",
        show_default=str(TextConfig.valid_fraction),
    ),
]


class Progress(StrEnum):
    """How a training is shown."""

    auto = "auto"
    bar = "bar"
    plain = "plain"
    none = "none"
