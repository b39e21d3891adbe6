"""A training as it goes on: a plan, a pinned bar below scrolling rows, or plain lines for a file."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from rnncli import runtime
from rnncli.console.dataset_view import summary_rows
from rnncli.console.formatting import clock, duration, perplexity, size
from rnncli.console.terminal import is_live, print_json, redirected_log, stderr_console, write
from rnncli.events import CorpusReport, Evaluated, Event, Planned, Remark, Sampled, Saved, Stepped
from rnncli.safe_text import one_line, visible

if TYPE_CHECKING:
    from rnncli.workflows.training_session import TrainResult

ProgressMode = Literal["auto", "bar", "plain", "none"]
# The design promises a plain line at least every 30 seconds.
_PLAIN_SECONDS = 15.0
_COLUMNS = (
    ("step", 9),
    ("epoch", 8),
    ("train", 8),
    ("valid", 8),
    ("perplexity", 11),
    ("bits/char", 10),
    ("time", 8),
)


class View(Protocol):
    """Shows reports until it is closed."""

    def show(self, report: Event) -> None: ...

    def close(self) -> None: ...


@contextmanager
def open_view(mode: ProgressMode, quiet: bool, verbose: bool = False) -> Iterator[View]:
    """Yield a view of a training, and close it at the end: a bar on a terminal, plain lines elsewhere.

    While it is open, it also shows the messages that rnncli logs.

    Args:
        mode: "bar", "plain" or "none" in place of the automatic choice.
        quiet: Whether to show nothing.
        verbose: Whether the plan also lists the backends that cannot be used here.
    """
    bar = mode == "bar" or (mode == "auto" and is_live(sys.stderr))
    view: View
    if quiet or mode == "none":
        view = SilentView()
    else:
        view = SteadyView(BarView(stderr_console(), verbose) if bar else PlainView(verbose=verbose))
    try:
        with log_shown_in(view):
            yield view
    finally:
        view.close()


@contextmanager
def log_shown_in(view: View) -> Iterator[None]:
    """Show the messages that rnncli logs as notes of a view, above its bar, until the end of the block."""
    with redirected_log(lambda message: view.show(Remark(message))):
        yield


def is_shown(view: View) -> bool:
    """Return whether a view shows anything."""
    return not isinstance(view, SilentView)


def print_result(result: "TrainResult", json: bool) -> None:
    """Print the path of the trained model, or one JSON object, on stdout."""
    saved = Saved(result.path, result.step, result.seconds, result.interrupted)
    valid = None if result.score is None else result.score.record()
    try:
        if json:
            print_json({**asdict(saved), "plan": asdict(result.planned), "valid": valid})
        else:
            write(f"{result.path}\n")
    except OSError:
        if not result.signal:
            raise
        runtime.discard_stdout()  # the terminal is gone, which is why training stopped


class SilentView:
    """Shows nothing."""

    def show(self, report: Event) -> None: ...

    def close(self) -> None: ...


class SteadyView:
    """Another view, until what it writes to is gone: a closed terminal or pipe must not end a training."""

    def __init__(self, view: View) -> None:
        self._view = view

    def show(self, report: Event) -> None:
        try:
            self._view.show(report)
        except OSError:
            self._view = SilentView()

    def close(self) -> None:
        with suppress(OSError):
            self._view.close()


class PlainView:
    """key=value lines for logs and pipes, written as they come."""

    def __init__(self, now: Callable[[], float] = time.monotonic, verbose: bool = False) -> None:
        self._now = now
        self._verbose = verbose
        self._last_step_line = -math.inf

    def show(self, report: Event) -> None:
        match report:
            case Stepped() if self._now() - self._last_step_line < _PLAIN_SECONDS:
                return
            case Stepped():
                self._last_step_line = self._now()
                line = (
                    f"step={report.step} epoch={report.epoch:.2f} loss={report.nats_per_token:.4f} "
                    f"tokens_per_second={report.tokens_per_second:.0f} seconds={report.seconds:.0f}"
                )
                if report.seconds_left is not None:
                    line += f" seconds_left={report.seconds_left:.0f}"
            case Evaluated():
                line = (
                    f"step={report.step} epoch={report.epoch:.2f} train={report.train_nats_per_token:.4f} "
                    f"valid={report.score.nats_per_token:.4f} "
                    f"perplexity={report.score.token_perplexity:.3f} "
                    f"bits_per_character={report.score.bits_per_character:.4f} "
                    f"seconds={report.seconds:.0f} best={'yes' if report.best else 'no'}"
                )
            case Planned():
                rows = _plan_rows(report, self._verbose)
                line = "\n".join(f"plan: {name}={one_line(value)}" for name, value in rows)
            case CorpusReport():
                line = "\n".join(f"text: {name}={one_line(value)}" for name, value in summary_rows(report))
            case Sampled():
                line = f"sample: {one_line(report.text)}"
            case Remark():
                line = f"note: {one_line(report.message)}"
            case Saved():
                line = f"saved={one_line(report.path)} step={report.step} seconds={report.seconds:.0f}"
        print(line, file=sys.stderr, flush=True)  # noqa: T201

    def close(self) -> None: ...


class BarView:
    """Rows scroll, one bar stays below them."""

    def __init__(self, console: Console, verbose: bool = False) -> None:
        self._console = console
        self._verbose = verbose
        self._stack = ExitStack()
        self._progress: Progress | None = None
        self._header_shown = False

    def show(self, report: Event) -> None:
        match report:
            case Planned():
                self._console.print(_panel("plan", _plan_rows(report, self._verbose)))
            case CorpusReport():
                self._console.print(_panel("text", summary_rows(report)))
            case Stepped():
                self._move_bar(report)
            case Evaluated():
                self._row(report)
            case Sampled():
                self._console.print(Text(visible(report.text).strip(), style="dim"))
            case Remark():
                self._console.print(Text(f"note: {one_line(report.message)}", style="yellow"))
            case Saved():
                self.close()
                self._console.print(_farewell(report))

    def close(self) -> None:
        self._stack.close()
        self._progress = None

    def _move_bar(self, report: Stepped) -> None:
        if self._progress is None:
            # transient: the bar disappears at the end, and the rows stay
            progress = Progress(
                BarColumn(bar_width=None),
                TextColumn("{task.fields[facts]}"),
                console=self._console,
                transient=True,
                expand=True,
            )
            self._progress = self._stack.enter_context(progress)
            self._progress.add_task("", total=1.0, facts="")
        facts = (
            f"step {report.step:,}  loss {report.nats_per_token:.3f}  {report.tokens_per_second:,.0f} tok/s  "
        )
        if report.seconds_left is not None:
            facts += f"{clock(report.seconds_left)} left"
        else:
            facts += clock(report.seconds)
        # In an open-ended training, the bar pulses.
        task, total = self._progress.task_ids[0], None if report.progress is None else 1.0
        self._progress.update(task, completed=report.progress or 0.0, total=total, facts=facts)

    def _row(self, report: Evaluated) -> None:
        if not self._header_shown:
            self._header_shown = True
            self._console.print(Text("".join(f"{name:>{width}}" for name, width in _COLUMNS), style="bold"))
        cells = (
            f"{report.step:,}",
            f"{report.epoch:.2f}",
            f"{report.train_nats_per_token:.4f}",
            f"{report.score.nats_per_token:.4f}",
            perplexity(report.score.token_perplexity),
            f"{report.score.bits_per_character:.4f}",
            clock(report.seconds),
        )
        row = "".join(f"{cell:>{width}}" for cell, (_, width) in zip(cells, _COLUMNS, strict=True))
        self._console.print(Text.assemble(row, ("  best", "green") if report.best else ""))


def _plan_rows(plan: Planned, verbose: bool) -> list[tuple[str, str]]:
    return [
        (
            "text",
            f"{plan.corpus} ({plan.encoding}): {plan.corpus_tokens:,} tokens, "
            f"{plan.valid_tokens:,} of them for validation",
        ),
        ("validation", f"on {_validation_sample(plan)}"),
        ("level", f"{plan.level}, vocabulary of {plan.vocab_size:,}"),
        ("model", f"{plan.architecture}, {plan.parameters:,} parameters"),
        (
            "training",
            f"batches of {plan.batch_size} x {plan.bptt} tokens, {plan.precision}, "
            f"{plan.kernels} kernels on {plan.device}"
            + ("" if plan.threads is None else f", threads {plan.threads}"),
        ),
        ("budget", _budget(plan)),
        (
            "speed",
            f"{plan.tokens_per_second:,.0f} tokens/s measured, about {size(plan.memory_bytes)} of memory",
        ),
        *(("because", reason) for reason in plan.reasons),
        *(("not used", unusable) for unusable in plan.unusable if verbose),
    ]


def _budget(plan: Planned) -> str:
    ends = [] if plan.patience is None else [f"until {plan.patience} validations without improvement"]
    if plan.seconds is not None:
        ends.insert(
            0,
            f"{duration(plan.seconds)}: about {plan.steps:,} steps, {plan.train_tokens:,} tokens, "
            f"{plan.epochs:.1f} epochs",
        )
    return ", or ".join(ends)


def _validation_sample(plan: Planned) -> str:
    whole = plan.validation_tokens == plan.valid_tokens
    return "all of those" if whole else f"{plan.validation_tokens:,} of those, spread evenly"


def _panel(title: str, rows: list[tuple[str, str]]) -> Panel:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, Text(one_line(value)))
    return Panel(table, title=title, title_align="left", expand=False)


def _farewell(saved: Saved) -> Text:
    path = Path(saved.path)
    name = one_line(path.name if str(path.parent) == "models" else saved.path)
    end = "stopped early and saved" if saved.interrupted else "finished and saved"
    following = f"rnncli train --resume {name}" if saved.interrupted else f"rnncli generate --model {name}"
    return Text.assemble(
        f"{end} at step {saved.step:,} after {duration(saved.seconds)}; next: ", (following, "bold")
    )
