"""`rnncli eval`: perplexity, bits per character and byte."""

import logging
from enum import StrEnum
from typing import Annotated

import typer

from rnncli.cli import options
from rnncli.data.config import Reset
from rnncli.evaluation.config import Adaptation, By, Cache

_log = logging.getLogger(__name__)
_ADAPTIVE = "Adaptive: figures of a model that learns from the text, shown apart"


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
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|DIR",
            help="A model under models/ or a folder; several are compared on a named text.",
            show_default="RNNCLI_MODEL, or the newest finished one",
            autocompletion=options.model_names,
        ),
    ] = None,
    part: Annotated[
        EvalPart, typer.Option(help="Which of the model's own parts, where no text is named.")
    ] = EvalPart.valid,
    reset: Annotated[
        Reset | None,
        typer.Option(
            help="Where memory is emptied, and a text begins; a file is a document.",
            show_default="never; --unit line: line",
        ),
    ] = None,
    by: Annotated[
        By | None, typer.Option(help="Also where the loss is: by distance, by frequency, in the worst lines.")
    ] = None,
    streams: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Quicker, not exact: N streams, each read from 512 tokens before it.",
            show_default="exact",
        ),
    ] = None,
    unseen_types: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Also the perplexity with p(<unk>) shared among N types."),
    ] = None,
    adapt: Annotated[
        bool,
        typer.Option(
            "--adapt",
            help="Dynamic evaluation: learn from each stretch once scored.",
            rich_help_panel=_ADAPTIVE,
        ),
    ] = False,
    adapt_rate: Annotated[
        float | None,
        typer.Option(help="Of --adapt.", show_default=f"{Adaptation.rate:g}", rich_help_panel=_ADAPTIVE),
    ] = None,
    cache: Annotated[
        bool,
        typer.Option(
            "--cache", help="Neural cache: recall what followed a like memory.", rich_help_panel=_ADAPTIVE
        ),
    ] = False,
    cache_size: Annotated[
        int | None,
        typer.Option(help="Tokens that it recalls.", show_default=f"{Cache.size}", rich_help_panel=_ADAPTIVE),
    ] = None,
    cache_share: Annotated[
        float | None,
        typer.Option(
            help="Its share of the probability.", show_default=f"{Cache.share:g}", rich_help_panel=_ADAPTIVE
        ),
    ] = None,
    cache_sharpness: Annotated[
        float | None,
        typer.Option(
            help="How much more alike memories count.",
            show_default=f"{Cache.sharpness:g}",
            rich_help_panel=_ADAPTIVE,
        ),
    ] = None,
    tune: Annotated[
        bool,
        typer.Option(
            "--tune",
            help="Find rate, share and sharpness on the model's held-out part.",
            rich_help_panel=_ADAPTIVE,
        ),
    ] = False,
    encoding: options.Encoding = None,
    errors: options.Errors = None,
    newlines: options.Newlines = None,
    device: options.Device = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
    config: options.Settings = None,
) -> None:
    """Score a text: every token exactly once, with its full history.

    Where the model has an n-gram beside its network (rnncli ngram), both
    and their mixture are shown.

    Example: rnncli eval other.txt --model novel --json
    """
    from rnncli.cli import corpora
    from rnncli.console import score_view, terminal
    from rnncli.errors import ConfigError
    from rnncli.storage.model_dir import ModelDir
    from rnncli.workflows import compare_models, evaluate
    from rnncli.workflows.devices import pick_device

    learning = recalling = None
    if adapt or adapt_rate is not None:
        learning = Adaptation() if adapt_rate is None else Adaptation(adapt_rate)
    if cache or (cache_size, cache_share, cache_sharpness) != (None, None, None):
        recalling = Cache(
            size=Cache.size if cache_size is None else cache_size,
            sharpness=Cache.sharpness if cache_sharpness is None else cache_sharpness,
            share=Cache.share if cache_share is None else cache_share,
        )
    if tune and (adapt_rate, cache_share, cache_sharpness) != (None, None, None):
        raise ConfigError(
            "--tune is to find what --adapt-rate, --cache-share and --cache-sharpness say",
            hint="leave them out",
        )
    source = context.get_parameter_source("part")
    if text and source is not None and source.name == "COMMANDLINE":
        raise typer.BadParameter("is of the model's own text, and another is named", param_hint="--part")
    asked = evaluate.Asked(part.value, reset, by, streams, unseen_types, learning, recalling, tune)
    reading = corpora.read_config(context.params)
    folders = [ModelDir.find(name) for name in options.models_or_usual(model)]
    for folder in folders:
        _log.info("model %s", folder.path)
    of_one = len(folders) == 1
    evaluated = evaluate.evaluated if of_one else compare_models.evaluated
    name, evaluation = evaluated(folders, pick_device(device), text or [], reading, asked)
    if json:
        one = {"model": folders[0].path.name} if of_one else {}
        terminal.print_json({**one, "text": name, **evaluation.record()})
    else:
        score_view.show(name, evaluation)
