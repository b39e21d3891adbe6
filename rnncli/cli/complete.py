"""`rnncli complete`: what is likely to follow a text, with probabilities."""

import logging
from typing import Annotated

import typer

from rnncli.cli import options
from rnncli.generation.config import CompletionOptions

_log = logging.getLogger(__name__)


def complete(
    prompt: Annotated[
        str, typer.Argument(metavar="TEXT|-", help="Text to complete; - reads it from stdin.")
    ] = "",
    model: options.Model = None,
    *,
    completion: CompletionOptions,
    device: options.GenerationDevice = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
    config: options.Settings = None,
) -> None:
    """Show what is likely to follow a text, the most probable first.

    The probability of a word or line includes that it ends there.

    Example: rnncli complete "The ki"
    """
    from rnncli.console import tables, terminal
    from rnncli.storage.model_dir import ModelDir
    from rnncli.workflows.complete import complete
    from rnncli.workflows.generate import load_decoder, read_prompt

    model_dir = ModelDir.find(model)
    _log.info("model %s", model_dir.path)
    found = complete(model_dir, load_decoder(model_dir, device), read_prompt(prompt), completion)
    if json:
        terminal.print_json(found.record())
    else:
        tables.show_completions(found.prompt, found.to, found.completions)
