"""The `rnncli` command: its subcommands, and the edge where foreseen errors become two lines."""

import os
import sys
from typing import Annotated

import typer

from rnncli import __version__
from rnncli.cli import (
    complete,
    eval,
    generate,
    info,
    memorized,
    ngram,
    rescore,
    score,
    tokenize,
    train,
    verify,
)
from rnncli.cli.stopping import leave_on_signals
from rnncli.console import terminal
from rnncli.errors import RnncliError

app = typer.Typer(
    name="rnncli",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"auto_envvar_prefix": "RNNCLI", "help_option_names": ["-h", "--help"]},
)
for command in (
    tokenize.tokenize,
    train.train,
    ngram.ngram,
    eval.eval,
    score.score,
    rescore.rescore,
    generate.generate,
    complete.complete,
    memorized.memorized,
    info.info,
    verify.verify,
):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rnncli {__version__}")
        raise typer.Exit


@app.callback()
def rnncli(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Say which version this is."),
    ] = False,
) -> None:
    """Recurrent language models: train on a text, measure honestly, write.

    Start with: rnncli train YOUR-TEXT
    """


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 foreseen error, 2 wrong usage, 128 + number of a signal."""
    leave_on_signals()
    try:
        app()
    except RnncliError as error:
        if os.environ.get("RNNCLI_DEBUG") == "1":
            raise
        terminal.error(str(error), error.hint)
        sys.exit(1)
