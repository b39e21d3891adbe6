"""`rnncli eval`: perplexity, bits per character and byte."""

import os
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from rnncli.cli import options
from rnncli.inference.config import Adaptation, By, Cache
from rnncli.text.config import Reset

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
        ),
    ] = None,
    part: Annotated[
        EvalPart, typer.Option(help="Which of the model's own parts, where no text is named.")
    ] = EvalPart.valid,
    reset: Annotated[
        Reset | None,
        typer.Option(
            help="Where memory is emptied, and a text begins.", show_default="never; --unit line: line"
        ),
    ] = None,
    by: Annotated[
        By | None, typer.Option(help="Also where the loss is: by distance, by frequency, in the worst lines.")
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
    from rnncli.cli import comparing, corpora, scoring
    from rnncli.cli.device import pick_device
    from rnncli.console import score_view, terminal
    from rnncli.errors import ConfigError
    from rnncli.storage.model_dir import ModelDir
    from rnncli.text.reading import read

    learning = recalling = None
    if adapt or adapt_rate is not None:
        learning = Adaptation() if adapt_rate is None else Adaptation(adapt_rate)
    if cache or cache_size is not None or cache_share is not None:
        recalling = Cache(
            size=Cache.size if cache_size is None else cache_size,
            share=Cache.share if cache_share is None else cache_share,
        )
    note = terminal.notes(quiet)
    reading, where = corpora.read_config(context.params), pick_device(device)
    if model and len(model) > 1:
        if not text or learning or recalling or by:
            raise ConfigError(
                f"{len(model)} models are compared on a text that is named, each as it is",
                hint="name a text, and leave out --by, --adapt and --cache",
            )
        named = read(text, reading)
        score = comparing.side_by_side([ModelDir.find(name) for name in model], where, named, reset, note)
        if json:
            terminal.print_json({"text": named.name, **score.record()})
        else:
            score_view.show(named.name, score)
        return
    folder = ModelDir.find(model[0] if model else os.environ.get("RNNCLI_MODEL"))
    note(f"model {folder.path}")
    network = folder.model(where)
    if text:
        name, scored = scoring.read_part(folder, text, reading, reset, note)
    else:
        name, scored = scoring.own_part(folder, part.value, reset)
    weighed_on_it = not text and part is EvalPart.valid
    score, adaptive = scoring.scored_part(folder, network, scored, weighed_on_it), None
    shares = scoring.broken_down(folder, network, scored, weighed_on_it, by) if by else ()
    if learning is not None or recalling is not None:
        adaptive = scoring.adaptive_part(folder, network, scored, weighed_on_it, learning, recalling)
    if json:
        apart = adaptive.record() if adaptive else {}
        groups = {f"by_{by}": [asdict(share) for share in shares]} if by else {}
        terminal.print_json({"model": folder.path.name, "text": name, **score.record(), **groups, **apart})
    else:
        score_view.show(name, score)
        if by:
            score_view.show_shares(by, shares)
        if adaptive:
            score_view.show_adaptive(adaptive)
