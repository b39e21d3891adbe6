"""`rnncli generate`: text from a model, as it is generated."""

import logging
from typing import Annotated

import typer

from rnncli.cli import options
from rnncli.generation.config import GenerationTask

_log = logging.getLogger(__name__)


def generate(
    prompt: Annotated[
        str, typer.Option("--prompt", "-p", metavar="TEXT|-", help="Text to continue; - is stdin.")
    ] = "",
    model: options.Model = None,
    *,
    task: GenerationTask,
    device: options.GenerationDevice = "auto",
    quiet: options.Quiet = False,
    config: options.Settings = None,
) -> None:
    """Generate text with a model. It goes to stdout as it is generated.

    Example: rnncli generate --prompt "Once" --length 300 --seed 1
    """
    import sys

    from rnncli.cli.interactive import converse
    from rnncli.console import terminal
    from rnncli.errors import ConfigError
    from rnncli.generation.interactive import InteractiveSession
    from rnncli.storage.model_dir import ModelDir
    from rnncli.workflows.generate import (
        generate_output,
        load_decoder,
        random_seed,
        read_prompt,
        text_generator,
    )

    if task.interactive and prompt:
        raise ConfigError("--interactive reads the prompts from stdin", hint="leave out --prompt")
    if task.raw and sys.stdout.isatty():
        raise ConfigError("--raw would send raw bytes to the terminal", hint="redirect stdout")
    model_dir, generation = ModelDir.find(model), task.generation
    seed = random_seed() if generation.seed is None else generation.seed
    _log.info("model %s%s", model_dir.path, "" if task.searches else f", seed {seed}")
    text, decoder = read_prompt(prompt), load_decoder(model_dir, device)
    if task.interactive:
        converse(InteractiveSession(text_generator(model_dir, decoder, generation), seed=seed))
        return
    pieces = generate_output(model_dir, decoder, text, task=task, seed=seed)
    if task.streams:
        terminal.write_stream(pieces)
    else:
        for piece in pieces:
            terminal.write(piece)
