"""The `rnncli` command: its subcommands, and the edge where foreseen errors become two lines."""

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from rnncli import __version__, deadline, runtime
from rnncli.cli import (
    adapter,
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
from rnncli.cli.signals import leave_on_signals
from rnncli.console import terminal
from rnncli.errors import ConfigError, RnncliError
from rnncli.safe_text import one_line

# The class of all usage errors, for which Typer has no public name.
_UsageError: Any = typer.BadParameter.__bases__[0]


class _Commands(TyperGroup):
    """Makes usage errors safe to print: they quote what was typed, which may hold control characters."""

    def make_context(self, *arguments: Any, **settings: Any) -> Any:
        with _shown_safely():
            return super().make_context(*arguments, **settings)

    def invoke(self, *arguments: Any) -> Any:
        with _shown_safely():
            return super().invoke(*arguments)


class _Command(TyperCommand):
    """Shows the defaults of the program in its help, not those of a --config file."""

    def format_help(self, context: Any, formatter: Any) -> None:
        context.default_map = None
        for parameter in self.get_params(context):
            vars(parameter)["show_envvar"] = False
            if getattr(parameter, "is_bool_flag", False):
                vars(parameter)["metavar"] = ""  # in place of <bool>
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
    app.command(cls=_Command, short_help=(command.__doc__ or "").partition("\n")[0])(adapter.command(command))


def _torch_line() -> str:
    """Versions, device and kernels, or why torch cannot be imported."""
    python = f"Python {platform.python_version()}"
    try:
        import torch

        from rnncli.nn.fused.support import why_no_kernels
        from rnncli.workflows.devices import present_devices
    except (ImportError, OSError) as error:
        return f"{python}, no torch: {error}"
    device = "cuda" if "cuda" in present_devices() else "cpu"
    kernels = ", fused kernels" if device == "cpu" and why_no_kernels() is None else ""
    threads = f" with {torch.get_num_threads()} threads" if device == "cpu" else ""
    return f"{python}, torch {torch.__version__}, {device}{threads}{kernels}"


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"rnncli {__version__}")
        sys.stdout.flush()  # a script reads this line and no further
        typer.echo(_torch_line())
        raise typer.Exit


@app.callback()
def rnncli(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            allow_from_autoenv=False,  # RNNCLI_VERSION is a name that a build may set
            help="Show the versions of rnncli and torch.",
        ),
    ] = False,
) -> None:
    """Train, evaluate, score and generate text with recurrent language models.

    Start with: rnncli train YOUR-TEXT
    """


def main() -> None:
    """Run the command line.

    Exit codes: 0 done, 2 wrong usage, 1 any other foreseen error, 128 + number of a signal.
    """
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
            sys.exit(2 if isinstance(error, ConfigError) else 1)
    except SystemExit as leaving:
        deadline.leave(leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None))
        raise
