"""The ranking of an architecture search: a table with learning curves, or JSON."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rnncli.console import figure_files, tables, terminal, terminal_plots
from rnncli.events import Event
from rnncli.workflows.compare import CompareResult, Ranking


@dataclass
class RankingView:
    """Shows a ranking when it comes, and the winner at the end.

    Attributes:
        output: File for the learning curves, in place of the terminal.
        json: Whether to print one JSON object at the end instead.
        ranking: The ranking, once it came.
        result: The winner, once it is trained.
    """

    output: Path | None
    json: bool
    ranking: Ranking | None = None
    result: CompareResult = field(default_factory=CompareResult)

    def handler(self, show: Callable[[Event], None]) -> Callable[[Event | Ranking], None]:
        """Return a function that shows the ranking here, and other events with `show`."""

        def show_event(event: Event | Ranking) -> None:
            if not isinstance(event, Ranking):
                show(event)
                return
            self.ranking = event
            if event.rows and not self.json:
                tables.show_ranking(event.rows)
                if self.output is None:
                    terminal_plots.show_figure(event.chart)

        return show_event

    def print_json(self) -> None:
        """Print what is known, if the search came to its end."""
        if self.json and self.ranking is not None:
            rows = [row._asdict() for row in self.ranking.rows]
            result = self.result
            terminal.print_json({"ranking": rows, "model": result.model, "command": result.command})

    def finish(self) -> None:
        """Write the learning curves, and name the winner and its command."""
        if self.output is not None and self.ranking is not None:
            figure_files.write(self.ranking.chart, self.output)
        if not self.json:
            lines = (self.result.model, self.result.command)
            terminal.print_lines(line for line in lines if line is not None)


@contextmanager
def shown(output: Path | None, json: bool) -> Iterator[RankingView]:
    """Yield a view; the ranking is printed even if the winner cannot be trained."""
    if output is not None:
        figure_files.check(output)
    view = RankingView(output, json)
    try:
        yield view
    finally:
        view.print_json()
    view.finish()
