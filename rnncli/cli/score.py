"""`rnncli score`: the surprisal of every line of a text, in the formats of other tools."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from rnncli.cli import options
from rnncli.data.config import ReadOptions
from rnncli.evaluation.config import ScoreOptions

_log = logging.getLogger(__name__)


def score(
    text: Annotated[
        list[str] | None,
        typer.Argument(metavar="TEXT", help="Texts with lines to score. Without any, stdin."),
    ] = None,
    model: options.Model = None,
    *,
    scoring: ScoreOptions,
    top: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Print only the N lines with the most bits per character."),
    ] = None,
    pairs: Annotated[
        bool,
        typer.Option("--pairs", help="Score minimal pairs: JSON lines with sentence_good and sentence_bad."),
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Also write an HTML page with the text colored by surprisal.", dir_okay=False
        ),
    ] = None,
    read: ReadOptions,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
    config: options.Settings = None,
) -> None:
    """Score lines: the surprisal of every token, word, character or line.

    Every line is scored with its line end and an initial state that was
    reset, and printed as soon as it is scored. The probability of a word
    includes that it ends there. If the model has an n-gram model, their
    interpolation is scored; ranks and entropies are the network's.

    Example: echo "to be or not to be" | rnncli score --unit word
    """
    from rnncli import files
    from rnncli.console import terminal
    from rnncli.console.html_pages import surprisal_page
    from rnncli.data.sources import expand_sources, readable_name
    from rnncli.errors import ConfigError
    from rnncli.evaluation.surprisal import ScoredLine
    from rnncli.storage.model_dir import ModelDir
    from rnncli.workflows.score import most_surprising_lines, score_lines, score_pairs

    texts = text or ["-"]
    if (top is not None and pairs) or ((top is not None or pairs) and (scoring != ScoreOptions() or html)):
        raise ConfigError(
            "--top and --pairs have their own output format",
            hint="give one of them, without --unit, --format, --base, --columns and --html",
        )
    if html is not None:
        files.check_parent_folder(html)
    model_dir = ModelDir.find(model)
    _log.info("model %s", model_dir.path)
    if pairs:
        for rows in score_pairs(model_dir, texts, read=read, device=device):
            terminal.write(rows)
    elif top is not None:
        terminal.write(most_surprising_lines(model_dir, texts, number=top, read=read, device=device))
    else:
        scored = list[ScoredLine]()
        for batch in score_lines(model_dir, texts, options=scoring, read=read, device=device):
            terminal.write(batch.rows)
            scored += batch.lines if html is not None else []
        if html is not None:
            title = f"{', '.join(map(readable_name, expand_sources(texts)))} under {model_dir.path.name}"
            files.write_file(html, surprisal_page(title, scored))
