"""`rnncli complete`: what is likely to follow a text, with probabilities."""

import logging
from enum import StrEnum
from typing import Annotated

import typer

from rnncli.cli import options

_log = logging.getLogger(__name__)


class CompletedUnit(StrEnum):
    """What is completed."""

    token = "token"
    word = "word"
    line = "line"


def complete(
    prompt: Annotated[
        str, typer.Argument(metavar="TEXT|-", help="What is to be completed; - reads it from stdin.")
    ] = "",
    model: options.Model = None,
    unit: Annotated[
        CompletedUnit | None,
        typer.Option(help="How far.", show_default="word where its text sets words apart, else token"),
    ] = None,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="How many.")] = 10,
    length: Annotated[
        int | None,
        typer.Option("--length", "-l", min=1, help="Most tokens of a word or line.", show_default="200"),
    ] = None,
    device: options.WritingDevice = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
    config: options.Settings = None,
) -> None:
    """Say what is likely to come next, the most probable first.

    Words and lines have the probability that they end where they do.

    Example: rnncli complete "The ki"
    """
    from dataclasses import asdict
    from itertools import islice

    from rnncli.cli import writing
    from rnncli.console import completion_view, terminal
    from rnncli.errors import ConfigError
    from rnncli.generation.texts import most_probable_texts
    from rnncli.storage.model_dir import ModelDir
    from rnncli.workflows import generate
    from rnncli.workflows.prompts import begun

    folder = ModelDir.find(model)
    tokenizer = folder.tokenizer()
    _log.info("model %s", folder.path)
    shown = generate.usual_unit(folder, tokenizer) if unit is None else unit.value
    if length is not None and (shown == "token" or (shown, tokenizer.level) == ("word", "word")):
        raise ConfigError("a token has no length", hint="leave out --length, or use --unit line")
    # A line that is piped in has an end which nobody means.
    begin = writing.read_prompt(prompt).removesuffix("\n")
    read = begun(folder, begin)
    predictor = generate.predictor(folder, device)
    place, most = read.read(predictor), length or 200
    found = list(islice(most_probable_texts(predictor, place, tokenizer, read.ids, shown, most), number))
    if json:
        terminal.print_json(
            {"prompt": read.text, "unit": shown, "completions": [asdict(text) for text in found]}
        )
    else:
        completion_view.show_completions(read.text, shown, found)
