"""`rnncli complete`: what is likely to follow a text, with probabilities."""

from enum import StrEnum
from typing import Annotated

import typer

from rnncli.cli import options


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
        typer.Option(help="How far.", show_default="word where the model knows blanks, else token"),
    ] = None,
    number: Annotated[int, typer.Option("--number", "-n", min=1, help="How many.")] = 10,
    length: Annotated[
        int, typer.Option("--length", "-l", min=1, help="Most tokens of a word or line.")
    ] = 200,
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
    from rnncli.inference.texts import most_probable_texts
    from rnncli.storage.model_dir import ModelDir

    folder = ModelDir.find(model)
    terminal.notes(quiet)(f"model {folder.path}")
    tokenizer, begin = folder.tokenizer(), writing.read_prompt(prompt)
    spaced = tokenizer.level == "word" or not tokenizer.unseen(" ")
    shown = ("word" if spaced else "token") if unit is None else unit.value
    ids = writing.context(tokenizer, folder.record().unit, begin)
    predictor = writing.predictor(folder, device)
    found = list(islice(most_probable_texts(predictor, tokenizer, ids, shown, length), number))
    if json:
        terminal.print_json({"prompt": begin, "unit": shown, "completions": [asdict(text) for text in found]})
    else:
        completion_view.show_completions(begin, shown, found)
