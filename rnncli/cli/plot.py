"""`rnncli plot`: how models were trained and what they learned, as a figure."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from rnncli.analysis.config import PlotOptions
from rnncli.cli import options

_log = logging.getLogger(__name__)


def plot(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="MODEL",
            autocompletion=options.model_names,
            help="Models under models/ or folders; without any, the newest finished one.",
        ),
    ] = None,
    *,
    plotting: PlotOptions,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE.png|FILE.html", help="A file instead of the terminal."),
    ] = None,
    quiet: options.Quiet = False,
    config: options.Settings = None,
) -> None:
    """Plot how models were trained and what they learned, on the terminal or to a file.

    Example: rnncli plot novel --figure vanishing-gradients --output gradients.png
    """
    options.check_figure_suffix(output)
    from rnncli.console import figure_files, terminal, terminal_plots
    from rnncli.storage.model_dir import ModelDir
    from rnncli.workflows.plot import plot

    if output is not None:
        figure_files.check(output)
    model_dirs = [ModelDir.find(name) for name in options.models_or_default(models)]
    _log.info("model %s", ", ".join(str(model_dir.path) for model_dir in model_dirs))
    figure = plot(model_dirs, plotting)
    if output is None:
        terminal_plots.show_figure(figure)
        return
    if not figure_files.write(figure, output):
        _log.warning("no installed font has all of these characters; --output FILE.html shows them")
    terminal.print_lines([str(output)])
