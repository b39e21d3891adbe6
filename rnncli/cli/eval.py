"""`rnncli eval`: perplexity, bits per character and bits per byte of a text."""

import logging
from typing import Annotated

import typer

from rnncli.cli import options
from rnncli.data.config import ReadOptions
from rnncli.evaluation.config import EvaluationOptions

_log = logging.getLogger(__name__)


def eval(
    text: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TEXT",
            help="Texts to score. Without any, a split of the model's own text.",
        ),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|DIR",
            help="Model; several are compared on a text.",
            show_default="the newest",
            autocompletion=options.model_names,
        ),
    ] = None,
    *,
    evaluation: EvaluationOptions,
    read: ReadOptions,
    device: options.Device = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
    config: options.Settings = None,
) -> None:
    """Evaluate a model on a text: every token is scored exactly once, with its full history.

    If the model has an n-gram model (rnncli ngram), the scores of both and
    of their interpolation are shown.

    Example: rnncli eval other.txt --model novel --json
    """
    from rnncli.console import evaluation_view, terminal
    from rnncli.storage.model_dir import ModelDir
    from rnncli.workflows.evaluate import evaluate

    model_dirs = [ModelDir.find(name) for name in options.models_or_default(model)]
    for model_dir in model_dirs:
        _log.info("model %s", model_dir.path)
    name, found = evaluate(model_dirs, text or (), options=evaluation, read=read, device=device)
    if json:
        one_model = {"model": model_dirs[0].path.name} if len(model_dirs) == 1 else {}
        terminal.print_json({**one_model, "text": name, **found.record()})
    else:
        evaluation_view.show_evaluation(name, found)
