"""`rnncli memorized`: how much of a text is copied from the training data of a model."""

import logging
from typing import Annotated

import typer

from rnncli.cli import options
from rnncli.data.config import ReadOptions
from rnncli.evaluation.config import MemorizationOptions

_log = logging.getLogger(__name__)


def memorized(
    text: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help=f"Texts: {options.TEXTS}. Without any, the model generates one."),
    ] = None,
    model: options.Model = None,
    *,
    memorization: MemorizationOptions,
    read: ReadOptions,
    device: options.GenerationDevice = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
    config: options.Settings = None,
) -> None:
    """Measure how much of a text is also in the training data, and where.

    The same fraction of the validation split, which was not copied, shows
    what is usual in such texts.

    Example: rnncli memorized --model novel
    """
    from rnncli.console import tables, terminal
    from rnncli.storage.model_dir import ModelDir
    from rnncli.workflows.memorized import memorized

    model_dir = ModelDir.find(model)
    _log.info("model %s", model_dir.path)
    found = memorized(model_dir, text or (), options=memorization, read=read, device=device)
    if json:
        terminal.print_json({"model": model_dir.path.name, **found.record()})
    else:
        tables.show_memorization(found)
