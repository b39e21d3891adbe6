"""Plots on a terminal: line charts in Braille dots, embedding maps, text colored by a neuron, bars."""

import math
from collections.abc import Callable, Sequence
from itertools import groupby, pairwise

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rnncli.analysis.figures import ActivationText, EmbeddingMap, Figure, LineChart
from rnncli.console.terminal import stdout_console
from rnncli.results import GradientNorms
from rnncli.safe_text import one_line, token_label

_DISTANCES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)
_BAR_WIDTH = 44
_BLOCKS = " ▏▎▍▌▋▊▉█"

_COLORS = ("cyan", "yellow", "magenta", "green", "red", "blue")
_WIDTH, _HEIGHT, _LONGEST_LABEL = 64, 16, 16
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
# A character of dots is two wide and four high: the bits of U+2800 by column and row.
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
# Activations with a larger magnitude are marked where there are no colors.
_ACTIVE = 0.5


def show_figure(figure: Figure) -> None:
    """Print a figure on stdout, as wide as the window allows."""
    console = stdout_console()
    console.print(Text(one_line(figure.title), style="bold"))
    match figure:
        case LineChart():
            _show_lines(console, figure)
        case EmbeddingMap():
            _show_map(console, figure)
        case ActivationText():
            _show_text(console, figure)


def _show_lines(console: Console, chart: LineChart) -> None:
    scale_x, scale_y = _scale(chart.log_x), _scale(chart.log_y)
    lines = [
        [(scale_x(x), scale_y(y)) for x, y in zip(line.x, line.y, strict=True) if _shown(chart, x, y)]
        for line in chart.curves
    ]
    points = [point for line in lines for point in line]
    if not points:
        console.print(Text("no points to plot", style="dim"))
        return
    (low_x, high_x), (low_y, high_y) = (_range([point[axis] for point in points]) for axis in (0, 1))
    width = max(16, min(_WIDTH, console.width - 14))
    lettered = len(chart.curves) > 1 and (_is_plain(console) or len(chart.curves) > len(_COLORS))
    cells = [[0] * width for _ in range(_HEIGHT)]
    owners = [[0] * width for _ in range(_HEIGHT)]
    for number, line in enumerate(lines):
        positions = [
            (
                round((x - low_x) / (high_x - low_x) * (2 * width - 1)),
                round((high_y - y) / (high_y - low_y) * (4 * _HEIGHT - 1)),
            )
            for x, y in line
        ]
        for column, row in _joined(positions):
            cells[row // 4][column // 2] |= _DOTS[column % 2][row % 4]
            owners[row // 4][column // 2] = number
    raw_y = [10**value if chart.log_y else value for value in (high_y, (high_y + low_y) / 2, low_y)]
    labels = {0: raw_y[0], _HEIGHT // 2: raw_y[1], _HEIGHT - 1: raw_y[2]}
    for row in range(_HEIGHT):
        text = Text(f"{_number(labels[row]) if row in labels else '':>10} │")
        for cell, owner in zip(cells[row], owners[row], strict=True):
            # Without colors each line is drawn with its own letter.
            shown = _LETTERS[owner % len(_LETTERS)] if lettered else chr(0x2800 + cell)
            text.append(shown if cell else " ", style=_COLORS[owner % len(_COLORS)])
        console.print(text)
    raw_x = [_number(10**value if chart.log_x else value) for value in (low_x, high_x)]
    console.print(Text(f"{'':>10} └{'─' * width}"))
    console.print(Text(f"{'':>12}{raw_x[0]}{raw_x[1]:>{max(width - len(raw_x[0]), 1)}}"))
    logarithmic = " and ".join(axis for axis, log in (("x", chart.log_x), ("y", chart.log_y)) if log)
    console.print(
        Text(f"{chart.y_label} by {chart.x_label}" + (f"; logarithmic {logarithmic}" if logarithmic else ""))
    )
    for number, named in enumerate(chart.curves):
        last = next((y for y in reversed(named.y) if math.isfinite(y)), math.nan)
        legend = f"{one_line(named.name)}: {_number(last)} at the end"
        key = f"{_LETTERS[number % len(_LETTERS)]} " if lettered else "━━ "
        console.print(Text.assemble((key, _COLORS[number % len(_COLORS)]), legend))


def _show_map(console: Console, figure: EmbeddingMap) -> None:
    width, height = max(16, min(_WIDTH + 10, console.width - 2)), 24
    grid: dict[int, list[tuple[int, str]]] = {}
    taken: set[tuple[int, int]] = set()
    (low_x, high_x), (low_y, high_y) = (
        _range([position[axis] for position in figure.positions]) for axis in (0, 1)
    )
    hidden = 0
    for token, (x, y) in zip(figure.tokens, figure.positions, strict=True):
        label = token_label(token)
        if Text(label).cell_len > _LONGEST_LABEL:
            label = f"{label[: _LONGEST_LABEL // 2 - 1]}…"
        label_width = Text(label).cell_len
        column = round((x - low_x) / (high_x - low_x) * (width - label_width))
        row = round((high_y - y) / (high_y - low_y) * (height - 1))
        # A space on either side separates two labels.
        own = {(row, column + step) for step in range(-1, label_width + 1)}
        if own & taken:
            hidden += 1
            continue
        taken |= own
        grid.setdefault(row, []).append((column, label))
    for row in range(height):
        text, at = Text(), 0
        for column, label in sorted(grid.get(row, [])):
            text.append(" " * (column - at))
            text.append(label, style="cyan")
            at = column + Text(label).cell_len
        console.print(text)
    behind = f"; {hidden} more lie behind others" if hidden else ""
    console.print(Text(one_line(figure.caption) + behind, style="dim"))


def _show_text(console: Console, figure: ActivationText) -> None:
    text, plain = Text(), _is_plain(console)
    pieces = [
        ("\n".join(map(one_line, piece.split("\n"))), activation)
        for piece, activation in zip(figure.token_texts, figure.activations, strict=True)
    ]
    if plain:
        for mark, run in groupby(pieces, lambda pair: _mark(pair[1])):
            shown = "".join(piece for piece, _ in run)
            text.append(f"[{mark}{shown}]" if mark else shown)
    else:
        for shown, activation in pieces:
            text.append(shown, style=heat_style(activation))
    console.print(text)
    marks = f"; [+ ] above {_ACTIVE}, [- ] below -{_ACTIVE}" if plain else "; red is high, blue is low"
    console.print(Text(one_line(figure.caption) + marks, style="dim"))


def _is_plain(console: Console) -> bool:
    """Whether the console shows no colors."""
    return console.no_color or console.color_system is None


def _mark(activation: float) -> str:
    return "+" if activation > _ACTIVE else "-" if activation < -_ACTIVE else ""


def heat_style(activation: float) -> str:
    pale = 255 - round(min(abs(activation), 1.0) * 200)
    color = f"255,{pale},{pale}" if activation > 0.0 else f"{pale},{pale},255"
    return f"black on rgb({color})"


def _scale(logarithmic: bool) -> Callable[[float], float]:
    return math.log10 if logarithmic else float


def _shown(chart: LineChart, x: float, y: float) -> bool:
    """Whether a point can be drawn: on a logarithmic axis only positive values can."""
    return (
        math.isfinite(x)
        and math.isfinite(y)
        and (x > 0.0 or not chart.log_x)
        and (y > 0.0 or not chart.log_y)
    )


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Return the minimum and maximum, widened a little where they are equal."""
    low, high = min(values), max(values)
    wider = max(0.5, abs(low) * 1e-6)
    return (low, high) if high > low else (low - wider, high + wider)


def _joined(positions: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return all dots on the lines between successive points."""
    dots = list(positions[:1])
    for (x0, y0), (x1, y1) in pairwise(positions):
        steps = max(abs(x1 - x0), abs(y1 - y0), 1)
        dots += [
            (round(x0 + (x1 - x0) * step / steps), round(y0 + (y1 - y0) * step / steps))
            for step in range(1, steps + 1)
        ]
    return dots


def _number(value: float) -> str:
    """1234.5 -> "1,234", 0.123456 -> "0.1235", 1e-9 -> "1e-09"."""
    if not math.isfinite(value):
        return str(value)
    if value != 0.0 and not 1e-3 <= abs(value) < 1e7:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def show_gradients(gradient_norms: GradientNorms, bptt: int) -> None:
    """Print the gradient norm by distance for each layer; training truncates gradients after `bptt` steps."""
    console = stdout_console()
    console.print(Text("gradient of a token's loss with respect to earlier hidden states", style="bold"))
    for block, norms in gradient_norms.norms.items():
        table = Table.grid(padding=(0, 2))
        table.add_column(justify="right")
        table.add_column(width=_BAR_WIDTH)
        table.add_column(justify="right")
        shown = [distance for distance in _DISTANCES if distance <= len(norms)]
        bars = log_bars([norms[distance - 1] for distance in shown])
        for distance, bar in zip(shown, bars, strict=True):
            table.add_row(f"{distance}", Text(bar, style="cyan"), f"{norms[distance - 1]:.2e}")
        console.print(Text(f"{block}: steps back, norm (logarithmic)"))
        console.print(table)
        console.print(Text(_decay_sentence(norms)))
    console.print(
        Text(f"mean over {gradient_norms.segments} segments; training cut gradients after {bptt} steps")
    )


def log_bars(values: list[float]) -> list[str]:
    """Draw one bar per value on a logarithmic scale; zero and NaN have no bar."""
    logs = [math.log(value) if value > 0.0 and math.isfinite(value) else None for value in values]
    known = [log for log in logs if log is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    scale = (8 * _BAR_WIDTH - 1) / (high - low) if high > low else 0.0
    return [
        "" if log is None else _horizontal_bar(round(8 * _BAR_WIDTH - (high - log) * scale)) for log in logs
    ]


def _horizontal_bar(eighths: int) -> str:
    whole, rest = divmod(eighths, 8)
    return _BLOCKS[8] * whole + _BLOCKS[rest].strip()


def _decay_sentence(norms: tuple[float, ...]) -> str:
    if not 0.0 < norms[0] < math.inf:  # nan too
        return f"the decay cannot be measured: the norm one step back is {norms[0]:.3g}"
    found = []
    for divisor, name in ((10, "a tenth"), (100, "a hundredth")):
        below = [distance for distance, norm in enumerate(norms, 1) if norm < norms[0] / divisor]
        found.append(f"to {name} after {below[0]} steps" if below else f"not to {name} in {len(norms)} steps")
    return f"it falls {', '.join(found)}"
