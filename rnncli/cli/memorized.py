"""`rnncli memorized`: how much of a text is copied from what the model has learned from."""

import logging
from typing import Annotated

import typer

from rnncli.cli import options

_log = logging.getLogger(__name__)


def memorized(
    context: typer.Context,
    text: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT...|-]",
            help=f"Texts to look at: {options.TEXTS}. Without any, the model writes one.",
        ),
    ] = None,
    model: options.Model = None,
    least: Annotated[
        int,
        typer.Option(min=4, max=1000, metavar="N", help="Characters that make a run count as copied."),
    ] = 20,
    length: Annotated[
        int | None,
        typer.Option("--length", "-l", min=1, help="Tokens that the model writes.", show_default="10000"),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Of what it writes, at temperature 1.", show_default="0")
    ] = None,
    encoding: options.Encoding = None,
    errors: options.Errors = None,
    newlines: options.Newlines = None,
    device: options.WritingDevice = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
    config: options.Settings = None,
) -> None:
    """Say how much of a text stands in the training text, and where.

    Beside it the same of the held-out part, which nobody copied: what is
    usual in such texts.

    Example: rnncli memorized --model novel
    """
    from rnncli.cli import copying, corpora
    from rnncli.console import copies_view, terminal
    from rnncli.errors import ConfigError
    from rnncli.storage.model_dir import ModelDir

    folder = ModelDir.find(model)
    _log.info("model %s", folder.path)
    if text and (length, seed) != (None, None):
        raise ConfigError("a text that is named has its own length", hint="leave out --length and --seed")
    if text:
        name, sample = copying.named(text, corpora.read_config(context.params))
    else:
        name, sample = copying.written(folder, device, length or 10_000, seed or 0)
    found = copying.compared(folder, name, sample, least)
    if json:
        terminal.print_json({"model": folder.path.name, **found.record()})
    else:
        copies_view.show_copies(found)
