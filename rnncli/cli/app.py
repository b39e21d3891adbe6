"""The `rnncli` command: its subcommands, and the edge where foreseen errors become two lines."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from rnncli import __version__, runtime
from rnncli.cli import (
    compare,
    complete,
    doctor,
    eval,
    generate,
    info,
    manual,
    memorized,
    ngram,
    plot,
    rescore,
    score,
    tokenize,
    train,
    verify,
)
from rnncli.cli.stopping import leave_on_signals
from rnncli.console import terminal
from rnncli.errors import RnncliError
from rnncli.safe_text import one_line

# Typer shows it to the person and has no public name for it.
_UsageError: Any = typer.BadParameter.__bases__[0]


class _Commands(TyperGroup):
    """Wrong usage is answered with what was typed, which may be anything."""

    def make_context(self, *arguments: Any, **settings: Any) -> Any:
        with _shown_safely():
            return super().make_context(*arguments, **settings)

    def invoke(self, *arguments: Any) -> Any:
        with _shown_safely():
            return super().invoke(*arguments)


class _Command(TyperCommand):
    """Its help names the defaults of the program and not those of a --config file, which may be anything."""

    def format_help(self, context: Any, formatter: Any) -> None:
        context.default_map = None
        super().format_help(context, formatter)


@contextmanager
def _shown_safely() -> Iterator[None]:
    try:
        yield
    except _UsageError as error:
        error.message = one_line(error.message)
        raise


app = typer.Typer(
    cls=_Commands,
    name="rnncli",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"auto_envvar_prefix": "RNNCLI", "help_option_names": ["-h", "--help"]},
)
for command in (
    tokenize.tokenize,
    train.train,
    compare.compare,
    ngram.ngram,
    eval.eval,
    score.score,
    rescore.rescore,
    generate.generate,
    complete.complete,
    memorized.memorized,
    info.info,
    plot.plot,
    verify.verify,
    doctor.doctor,
    manual.manual,
):
    # Typer would cut the first line of the help at 45 characters in the manual and in completions.
    app.command(cls=_Command, short_help=(command.__doc__ or "").partition("\n")[0])(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"rnncli {__version__}")
        sys.stdout.flush()  # a script reads this line and no further
        from rnncli.cli.versions import torch_line

        typer.echo(torch_line())
        raise typer.Exit


@app.callback()
def rnncli(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Of rnncli and of torch."),
    ] = False,
) -> None:
    """Recurrent language models: train on a text, measure honestly, write.

    Start with: rnncli train YOUR-TEXT
    """


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 foreseen error, 2 wrong usage, 128 + number of a signal."""
    leave_on_signals()
    runtime.set_up_streams()
    terminal.show_log()
    try:
        try:
            with runtime.quiet_broken_pipe():
                app(prog_name="rnncli")  # also as python -m rnncli
        except RnncliError as error:
            if os.environ.get("RNNCLI_DEBUG") == "1":
                raise
            terminal.error(str(error), error.hint)
            sys.exit(1)
    except SystemExit as leaving:
        runtime.leave(leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None))
        raise
