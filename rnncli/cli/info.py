"""`rnncli info`: what a model is."""

from typing import Annotated

import typer

from rnncli.cli import options


def info(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="[MODEL]",
            envvar="RNNCLI_MODEL",
            help="A model under models/ or a folder; without it, the newest finished one.",
        ),
    ] = None,
    json: options.Json = False,
    config: options.Settings = None,
) -> None:
    """Say what a model is: its shapes, its text, how it was trained, how good it is.

    Example: rnncli info novel
    """
    from rnncli.console import model_view, terminal
    from rnncli.storage.model_dir import ModelDir

    described = ModelDir.find(model).describe()
    if json:
        terminal.print_json(described)
    else:
        model_view.show_model(described)
