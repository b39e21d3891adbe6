"""`rnncli compare`: which architecture suits a text, found by training several."""

from pathlib import Path
from time import monotonic
from typing import Annotated

import typer

from rnncli.cli import options
from rnncli.cli.adapter import Only
from rnncli.data.config import ReadOptions, TextOptions
from rnncli.training.config import TrainingOptions, TrainOptions, parse_time

_TEXT = Only("level", "line_by_line", "valid", "valid_fraction", "split_method", "split_seed")
_TIME = typer.Option(metavar="20m|1h30m", help="Total time: half to search, half to train the winner.")
_OUTPUT = typer.Option("--output", "-o", metavar="FILE.png|FILE.html", help="Write the learning curves.")


def compare(
    texts: options.Texts,
    name: options.Name = None,
    time: Annotated[str, _TIME] = "20m",
    *,
    read: ReadOptions,
    text: Annotated[TextOptions, _TEXT],
    training: Annotated[TrainingOptions, Only("seed")],
    output: Annotated[Path | None, _OUTPUT] = None,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
    json: options.Json = False,
    config: options.Settings = None,
) -> None:
    """Compare architectures on a text within a time, and train the best one.

    Cells, depths, hidden sizes and levels are trained briefly, the best of them for longer.

    Example: rnncli compare novel.txt --time 20m
    """
    began, seconds = monotonic(), parse_time(time).value
    options.check_figure_suffix(output)
    from rnncli.cli.signals import signal_requests
    from rnncli.console import ranking_view, training_view
    from rnncli.workflows import compare
    from rnncli.workflows.devices import pick_device
    from rnncli.workflows.train import watch_events

    chosen = TrainOptions(read=read, text=text, training=training)
    with training_view.open_view("auto", quiet, verbose) as view, ranking_view.shown(output, json) as ranking:
        comparison = compare.Comparison(
            texts=tuple(texts),
            options=chosen,
            seconds=seconds,
            device=pick_device(device),
            device_name=device,
            name=name,
            requests=signal_requests,
            samples=training_view.is_shown(view),
        )
        result = watch_events(compare.compare(comparison, began), ranking.handler(view.show))
        ranking.result = result
    if result.signal:
        raise SystemExit(128 + result.signal)
