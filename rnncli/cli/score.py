"""`rnncli score`: lines in, their surprisal out, in the formats that people use."""

import logging
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rnncli.cli import options

_log = logging.getLogger(__name__)


class ScoreUnit(StrEnum):
    """What has a row of its own."""

    token = "token"
    word = "word"
    character = "character"
    line = "line"


class ScoreFormat(StrEnum):
    """Who reads it."""

    tsv = "tsv"
    jsonl = "jsonl"
    minicons = "minicons"
    neural_complexity = "neural-complexity"
    srilm = "srilm"
    kenlm = "kenlm"
    kaldi = "kaldi"
    nbest = "nbest"


class ScoreBase(StrEnum):
    """Of the logarithm."""

    two = "2"
    e = "e"
    ten = "10"


def score(
    context: typer.Context,
    text: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT...|-]",
            help=f"Lines to score: {options.TEXTS}. Without any, stdin.",
        ),
    ] = None,
    model: options.Model = None,
    unit: Annotated[
        ScoreUnit | None, typer.Option(help="What has a row of its own.", show_default="the format's own")
    ] = None,
    format: Annotated[ScoreFormat, typer.Option(help="Of the output.")] = ScoreFormat.tsv,
    base: Annotated[
        ScoreBase | None,
        typer.Option(help="Of the logarithms of tsv; the others have theirs.", show_default="2"),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="Of tsv besides: rank, entropy, entropy-reduction, oov."),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Only the N lines with the most bits per character."),
    ] = None,
    pairs: Annotated[
        bool,
        typer.Option(
            "--pairs", help="Lines are JSON with sentence_good and sentence_bad: which is preferred?"
        ),
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also a page with the text coloured by surprisal.", dir_okay=False),
    ] = None,
    encoding: options.Encoding = None,
    errors: options.Errors = None,
    newlines: options.Newlines = None,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
    config: options.Settings = None,
) -> None:
    """Say how surprising each line is, token by token, word by word or as a whole.

    Every line is read with its end, from an empty memory, and written as
    soon as it is scored. Words have the probability that they end where
    they do. Where the model has an n-gram beside its network, the mixture
    is scored; ranks and entropies are the network's.

    Example: echo "to be or not to be" | rnncli score --unit word
    """
    from rnncli.cli import corpora, score_lines, score_pairs
    from rnncli.errors import ConfigError
    from rnncli.storage.model_dir import ModelDir
    from rnncli.workflows.devices import pick_device

    wanted = score_lines.Wanted(
        format.value,
        None if unit is None else unit.value,
        None if base is None else base.value,
        tuple(columns.split(",")) if columns else (),
    )
    plain = wanted == score_lines.Wanted("tsv") and html is None
    if (top is not None and pairs) or ((top is not None or pairs) and not plain):
        raise ConfigError(
            "--top and --pairs have a form of their own",
            hint="give one of them, without --unit, --format, --base, --columns and --html",
        )
    folder = ModelDir.find(model)
    _log.info("model %s", folder.path)
    where, reading = pick_device(device), corpora.read_config(context.params)
    if pairs:
        score_pairs.stream(folder, where, text or ["-"], reading)
    elif top is not None:
        score_lines.most_surprising(folder, where, text or ["-"], reading, top)
    else:
        score_lines.stream(folder, where, text or ["-"], reading, wanted, html)
