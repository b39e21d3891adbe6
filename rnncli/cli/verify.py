"""`rnncli verify`: whether a model folder is what was written."""

import logging

import typer

from rnncli.cli import options

_log = logging.getLogger(__name__)


def verify(
    model: options.NamedModel = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    config: options.Settings = None,
) -> None:
    """Check every file of a model against its manifest; ends with 1 where anything is wrong.

    Example: rnncli verify novel
    """
    from rnncli.console import terminal
    from rnncli.storage.model_dir import ModelDir

    folder = ModelDir.find(model)
    _log.info("model %s", folder.path)
    wrong = folder.wrong()
    if json:
        terminal.print_json({"model": folder.path.name, "wrong": wrong})
    else:
        terminal.print_lines(wrong or [f"every file of {folder.path} is what was written"])
    if wrong:
        raise typer.Exit(1)
