"""`rnncli rescore`: the best hypothesis of each n-best list, by given scores and the model's."""

import logging
from enum import StrEnum
from typing import Annotated

import typer

from rnncli.cli import options

_log = logging.getLogger(__name__)
_TUNING = "Tuning: weights from lists whose utterances are known"


class ListFormat(StrEnum):
    """Of lists, scores and output."""

    kaldi = "kaldi"
    nbest = "nbest"


class ErrorUnit(StrEnum):
    """What an error is counted in."""

    word = "word"
    character = "character"


def rescore(
    context: typer.Context,
    hypotheses: Annotated[
        str, typer.Argument(metavar="LIST|-", help="Hypotheses, one a line after its name: utt-1 the words.")
    ],
    scores: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Their costs by something else; may be given several times."),
    ] = None,
    model: options.Model = None,
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="W,W,...",
            help="Of each --scores in turn, of the model, and of a word.",
            show_default="1 each, 0 a word",
        ),
    ] = None,
    dev: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="Another list, to find the weights on.", rich_help_panel=_TUNING),
    ] = None,
    dev_scores: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE", help="Its costs, as many as --scores.", rich_help_panel=_TUNING),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What was said: utt the words.", rich_help_panel=_TUNING),
    ] = None,
    unit: Annotated[
        ErrorUnit | None,
        typer.Option(help="What errors are counted in.", show_default="word", rich_help_panel=_TUNING),
    ] = None,
    format: Annotated[
        ListFormat, typer.Option(help="kaldi: names like utt-1 and costs; nbest: log10 in order.")
    ] = ListFormat.kaldi,
    all: Annotated[
        bool, typer.Option("--all", help="The total of every hypothesis, not the best of each utterance.")
    ] = False,
    encoding: options.Encoding = None,
    errors: options.Errors = None,
    newlines: options.Newlines = None,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
    config: options.Settings = None,
) -> None:
    """Choose among hypotheses, with the model's opinion beside other scores.

    Costs are negated natural logarithms, as rnncli score --format kaldi
    writes them. With --dev and --reference the weights are those that make
    the fewest errors there. No hypothesis is lost, and none changes place.

    Example: rnncli rescore test.txt --scores acoustic.txt --weights 1,0.8,0
    """
    from rnncli.cli import corpora, rescoring
    from rnncli.storage.model_dir import ModelDir
    from rnncli.workflows.devices import pick_device

    tuning = rescoring.Tuning.asked(dev, dev_scores or [], reference, unit and unit.value, weights)
    folder = ModelDir.find(model)
    _log.info("model %s", folder.path)
    reading = corpora.read_config(context.params)
    scorer = rescoring.Rescorer(folder, pick_device(device), reading, format.value)
    lists = scorer.read(hypotheses, scores or [])
    chosen = scorer.tuned(tuning, lists) if tuning else scorer.named(weights, lists)
    scorer.write(lists, chosen, all)
