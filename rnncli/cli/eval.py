"""`rnncli eval`: perplexity, bits per character and byte."""

from enum import StrEnum
from typing import Annotated

import typer

from rnncli.cli import options


class EvalPart(StrEnum):
    """The parts that a model was not trained on."""

    valid = "valid"
    test = "test"


def eval(
    context: typer.Context,
    text: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT...]",
            help=f"Texts to score: {options.TEXTS}. Without any, the model's held-out part.",
        ),
    ] = None,
    model: options.Model = None,
    part: Annotated[
        EvalPart, typer.Option(help="Which of the model's own parts, where no text is named.")
    ] = EvalPart.valid,
    encoding: options.Encoding = None,
    errors: options.Errors = None,
    newlines: options.Newlines = None,
    device: options.Device = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
    config: options.Settings = None,
) -> None:
    """Score a text: every token exactly once, with its full history.

    Where the model has an n-gram beside its network (rnncli ngram), both and their mixture are shown.

    Example: rnncli eval other.txt --model novel --json
    """
    from rnncli.cli import corpora, scoring
    from rnncli.cli.device import pick_device
    from rnncli.console import score_view, terminal
    from rnncli.storage.model_dir import ModelDir

    note = terminal.notes(quiet)
    folder = ModelDir.find(model)
    note(f"model {folder.path}")
    network = folder.model(pick_device(device))
    if text:
        name, scored = scoring.read_part(folder, text, corpora.read_config(context.params), note)
    else:
        name, scored = scoring.own_part(folder, part.value)
    weighed_on_it = not text and part is EvalPart.valid
    score = scoring.scored_part(folder, network, scored, weighed_on_it)
    if json:
        terminal.print_json({"model": folder.path.name, "text": name, **score.record()})
    else:
        score_view.show(name, score)
