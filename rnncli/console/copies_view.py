"""How much of a text was copied, and the longest runs."""

from rich.table import Table
from rich.text import Text

from rnncli.console.terminal import stdout_console
from rnncli.results import Copies
from rnncli.safe_text import one_line


def show_copies(found: Copies) -> None:
    """The share of the text that is copied, beside what is usual, and the longest runs with their lines."""
    console = stdout_console()
    console.print(Text(one_line(found.name), style="bold"))
    usual = "" if found.usual_share is None else f"; of the held-out part {found.usual_share:.1%}"
    console.print(
        Text(
            f"{found.share:.1%} of {found.characters:,} characters stand in the training text, in runs of "
            f"{found.least} and more{usual}"
        )
    )
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    table.add_column(justify="right")
    table.add_column(max_width=60, no_wrap=True, overflow="ellipsis")
    if found.longest:
        table.add_row(*(Text(title, style="dim") for title in ("length", "line", "the longest")))
    for run in found.longest:
        table.add_row(f"{run.length:,}", f"{run.source_line:,}", Text(one_line(run.text)))
    console.print(table)
