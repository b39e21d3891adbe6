"""The vanishing gradient as a plot: one bar a distance, on a logarithmic scale."""

import math

from rich.table import Table
from rich.text import Text

from rnncli.console.terminal import stdout_console
from rnncli.results import GradientReach

_DISTANCES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
_BAR = 44
_BLOCKS = " ▏▎▍▌▋▊▉█"


def show_gradients(reach: GradientReach, bptt: int) -> None:
    """How far back the loss of a token reaches, by layer; `bptt` is where training cuts."""
    console = stdout_console()
    console.print(Text("gradient of a token's loss with respect to the memory before it", style="bold"))
    for block, norms in reach.norms.items():
        table = Table.grid(padding=(0, 2))
        table.add_column(justify="right")
        table.add_column(width=_BAR)
        table.add_column(justify="right")
        shown = [distance for distance in _DISTANCES if distance <= len(norms)]
        bars = log_bars([norms[distance - 1] for distance in shown])
        for distance, bar in zip(shown, bars, strict=True):
            table.add_row(f"{distance}", Text(bar, style="cyan"), f"{norms[distance - 1]:.2e}")
        console.print(Text(f"{block}: steps back, norm (logarithmic)"))
        console.print(table)
        console.print(Text(_sentence(norms)))
    console.print(Text(f"mean over {reach.stretches} stretches; training cut gradients after {bptt} steps"))


def log_bars(values: list[float]) -> list[str]:
    """A bar a value, the greatest full and the least just to be seen; zero and what is no number: none."""
    logs = [math.log(value) if value > 0.0 and math.isfinite(value) else None for value in values]
    known = [log for log in logs if log is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    scale = (8 * _BAR - 1) / (high - low) if high > low else 0.0
    return ["" if log is None else _bar(round(8 * _BAR - (high - log) * scale)) for log in logs]


def _bar(eighths: int) -> str:
    whole, rest = divmod(eighths, 8)
    return _BLOCKS[8] * whole + _BLOCKS[rest].strip()


def _sentence(norms: tuple[float, ...]) -> str:
    if not 0.0 < norms[0] < math.inf:  # nan too
        return f"how it falls cannot be said: one step back it is {norms[0]:.3g}"
    found = []
    for share, name in ((10, "a tenth"), (100, "a hundredth")):
        below = [distance for distance, norm in enumerate(norms, 1) if norm < norms[0] / share]
        found.append(f"to {name} after {below[0]} steps" if below else f"not to {name} in {len(norms)} steps")
    return f"it falls {', '.join(found)}"
