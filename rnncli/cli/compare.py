"""`rnncli compare`: which structure suits a text, found by trying."""

from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from rnncli.cli import options
from rnncli.cli.parsing import Amount, seconds
from rnncli.training.config import TrainConfig

_DEFAULT_MINUTES = 20


def compare(
    context: typer.Context,
    corpus: Annotated[list[str], typer.Argument(metavar="TEXT...", help=f"Texts: {options.TEXTS}.")],
    name: Annotated[
        str | None, typer.Option(help="The winner's name under models/.", show_default="the text's")
    ] = None,
    time: Annotated[
        Amount,
        typer.Option(
            parser=seconds, metavar="20m|1h30m", help="All of it: half to search, half to train the winner."
        ),
    ] = f"{_DEFAULT_MINUTES}m",  # type: ignore[assignment]  # parsed as if it were typed
    encoding: options.Encoding = None,
    errors: options.Errors = None,
    newlines: options.Newlines = None,
    level: options.Level = None,
    unit: options.Unit = None,
    valid: options.Valid = None,
    valid_fraction: options.ValidFraction = None,
    split: options.Split = None,
    split_seed: options.SplitSeed = None,
    seed: Annotated[int, typer.Option(help="Of the search, weights and dropout.")] = TrainConfig.seed,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE.png|FILE.html", help="The learning curves as a file."),
    ] = None,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
    config: options.Settings = None,
) -> None:
    """Try structures on a text within a time, and train the best one.

    Cells, depths, widths and levels are tried for a little while, the best of them for longer.

    Example: rnncli compare novel.txt --time 20m
    """
    began = monotonic()
    options.refuse_no_picture(output)
    from rnncli.cli import contest
    from rnncli.console import contest_view, picture_files, picture_view, terminal, training_view
    from rnncli.workflows.devices import pick_device

    contest.check(time.value)
    if output is not None:
        picture_files.check(output)
    with (
        training_view.open_view("auto", quiet, verbose) as view,
        contest.Contest.open(corpus, context.params, name, pick_device(device), view) as tried,
    ):
        winner = contest.find_winner(tried, time.value, began)
        rows, chart = contest.rows(tried), contest.chart(tried)
        if rows and not json:
            contest_view.show_ranking(rows)
            if output is None:
                picture_view.show_picture(chart)
        stopped = tried.signal
        found: dict[str, str | None] = {"model": None, "command": None}
        try:
            if winner is not None:
                session, outcome = tried.finish(winner, max(time.value - (monotonic() - began), 1.0))
                stopped = outcome.signal
                found = {"model": outcome.saved.path, "command": tried.command(winner, session)}
        finally:  # what was found is told whatever becomes of the winner
            if json:
                terminal.print_json({"ranking": [row._asdict() for row in rows], **found})
    if output is not None:
        picture_files.write(chart, output)
    if not json:
        terminal.print_lines([said for said in found.values() if said is not None])
    if stopped:
        raise SystemExit(128 + stopped)
