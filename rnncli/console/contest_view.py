"""Structures that were compared: ranked, with what each costs."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from rnncli.console.terminal import stdout_console


class Row(NamedTuple):
    """One structure after its longest trial."""

    structure: str
    seconds: float
    bits_per_character: float
    tokens_per_second: float
    parameters: int
    characters_written_per_second: float


def show_ranking(rows: Sequence[Row]) -> None:
    """A table on stdout, the best first; only those of equal seconds can be held against one another."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("structure", no_wrap=True)
    for title in ("seconds", "bits/char", "tok/s", "weights", "writes/s"):
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(
            row.structure,
            f"{row.seconds:.0f}",
            f"{row.bits_per_character:.4f}",
            f"{row.tokens_per_second:,.0f}",
            f"{row.parameters:,}",
            f"{row.characters_written_per_second:,.0f}",
        )
    console = stdout_console()
    console.print(table)
    told = "bits per character as watched on the held-out part; writes: characters"
    console.print(Text(told, style="dim"))
