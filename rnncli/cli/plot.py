"""`rnncli plot`: what a model learned, and how, as a picture."""

import logging
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnncli.cli import options

_log = logging.getLogger(__name__)

if TYPE_CHECKING:
    from rnncli.analysis.figures import Picture
    from rnncli.storage.model_dir import ModelDir


class Subject(StrEnum):
    """What is drawn."""

    curves = "curves"
    rate = "rate"
    norms = "norms"
    speed = "speed"
    gradients = "gradients"
    memory = "memory"
    units = "units"
    symbols = "symbols"


def plot(
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL...]",
            autocompletion=options.model_names,
            help="Models under models/ or folders; without any, the newest finished one.",
        ),
    ] = None,
    of: Annotated[
        Subject,
        typer.Option(
            help="Loss, rate, gradient norms or tokens/s as it was trained; how gradients fade through time; "
            "loss by the history that can be seen; what units track; where symbols lie."
        ),
    ] = Subject.curves,
    unit: Annotated[
        str | None, typer.Option(metavar="BLOCK:N", help="Of --of units: one that is named, as layers.0:17.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE.png|FILE.html", help="A file instead of the terminal."),
    ] = None,
    quiet: options.Quiet = False,
    config: options.Settings = None,
) -> None:
    """Draw how models were trained and what they learned, on the terminal or as a file.

    Example: rnncli plot novel --of gradients --output gradients.png
    """
    options.refuse_no_picture(output)
    if unit is not None and of != Subject.units:
        raise typer.BadParameter("only --of units has one", param_hint="--unit")
    if len(models or []) > 1 and of in (Subject.units, Subject.symbols):
        raise typer.BadParameter(f"--of {of} is of one model", param_hint="MODEL...")
    from rnncli.console import picture_files, picture_view, terminal
    from rnncli.storage.model_dir import ModelDir

    if output is not None:
        picture_files.check(output)
    folders = [ModelDir.find(name) for name in options.models_or_usual(models)]
    _log.info("model %s", ", ".join(str(folder.path) for folder in folders))
    picture = _picture(of, folders, unit)
    if output is None:
        picture_view.show_picture(picture)
    else:
        if not picture_files.write(picture, output):
            _log.warning(
                "no font of this system has all of its characters: a page, --output FILE.html, shows them"
            )
        terminal.print_lines([str(output)])


def _picture(of: Subject, folders: "list[ModelDir]", unit: str | None) -> "Picture":
    from rnncli.cli import plotting

    match of:
        case Subject.curves:
            return plotting.curves(folders)
        case Subject.rate:
            return plotting.logged(folders, "learning_rate", "learning rate")
        case Subject.norms:
            return plotting.logged(
                folders, "gradient_norms", "norms of gradients before clipping", log_y=True
            )
        case Subject.speed:
            return plotting.logged(folders, "tokens_per_second", "speed of training")
        case Subject.gradients:
            return plotting.gradients(folders)
        case Subject.memory:
            return plotting.memory(folders)
        case Subject.units:
            return plotting.units(folders[0], unit)
        case Subject.symbols:
            return plotting.symbols(folders[0])
