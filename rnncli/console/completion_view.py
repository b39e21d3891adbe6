"""What may follow a text, as a table with probabilities."""

import math
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from rnncli.console.terminal import stdout_console
from rnncli.results import Written
from rnncli.safe_text import one_line

_BAR = 24
# Of what was written before, so much is shown in front of what may follow.
_SHOWN = 24


def show_completions(prompt: str, unit: str, found: Sequence[Written]) -> None:
    """A row a completion: its probability, as a number and as a bar, after the end of the prompt."""
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    table.add_column(width=_BAR)
    table.add_column(overflow="fold")
    before = prompt.rsplit("\n", 1)[-1][-_SHOWN:]
    most = max((math.exp(-text.nats) for text in found), default=1.0)
    for text in found:
        probability = math.exp(-text.nats)
        table.add_row(
            f"{probability:.2%}",
            Text("█" * round(_BAR * probability / most), style="cyan"),
            Text.assemble((one_line(before), "dim"), (_shown(text.text), "bold")),
        )
    console = stdout_console()
    console.print(table)
    whole = sum(math.exp(-text.nats) for text in found)
    console.print(Text(f"{whole:.1%} of all that could follow, by {unit}", style="dim"))


def _shown(text: str) -> str:
    """White space by itself, and the end of a line, can be seen."""
    if not text:
        return "∎"
    return one_line(text).replace(" ", "␣") if not text.strip() else one_line(text)
