"""`rnncli verify`: whether the files of a model match its manifest."""

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
    """Check every file of a model against the manifest; exit with code 1 if one does not match.

    Example: rnncli verify novel
    """
    from rnncli.console import terminal
    from rnncli.storage.model_dir import ModelDir

    model_dir = ModelDir.find(model)
    _log.info("model %s", model_dir.path)
    mismatches = model_dir.mismatches()
    if json:
        terminal.print_json({"model": model_dir.path.name, "mismatches": mismatches})
    else:
        terminal.print_lines(mismatches or [f"every file of {model_dir.path} matches its manifest"])
    if mismatches:
        raise typer.Exit(1)
