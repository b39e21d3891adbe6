"""Pictures on a terminal: lines in dots, symbols at their places, a text coloured by a unit."""

import math
from collections.abc import Callable, Sequence
from itertools import groupby, pairwise

from rich.console import Console
from rich.text import Text

from rnncli.analysis.figures import LineChart, Picture, SymbolMap, UnitText
from rnncli.console.terminal import stdout_console
from rnncli.safe_text import one_line, symbol_label

_COLOURS = ("cyan", "yellow", "magenta", "green", "red", "blue")
_WIDTH, _HEIGHT, _LONGEST_LABEL = 64, 16, 16
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
# A character of dots is two wide and four high: the bits of U+2800 by column and row.
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
# Activations beyond it are marked where there are no colours.
_ACTIVE = 0.5


def show_picture(picture: Picture) -> None:
    """On stdout, as wide as the window allows."""
    console = stdout_console()
    console.print(Text(one_line(picture.title), style="bold"))
    match picture:
        case LineChart():
            _show_lines(console, picture)
        case SymbolMap():
            _show_map(console, picture)
        case UnitText():
            _show_text(console, picture)


def _show_lines(console: Console, chart: LineChart) -> None:
    scale_x, scale_y = _scale(chart.log_x), _scale(chart.log_y)
    drawn = [
        [(scale_x(x), scale_y(y)) for x, y in zip(line.x, line.y, strict=True) if _shown(chart, x, y)]
        for line in chart.lines
    ]
    points = [point for line in drawn for point in line]
    if not points:
        console.print(Text("nothing to draw", style="dim"))
        return
    (low_x, high_x), (low_y, high_y) = (_range([point[axis] for point in points]) for axis in (0, 1))
    width = max(16, min(_WIDTH, console.width - 14))
    lettered = len(chart.lines) > 1 and (_is_plain(console) or len(chart.lines) > len(_COLOURS))
    cells = [[0] * width for _ in range(_HEIGHT)]
    owners = [[0] * width for _ in range(_HEIGHT)]
    for number, line in enumerate(drawn):
        places = [
            (
                round((x - low_x) / (high_x - low_x) * (2 * width - 1)),
                round((high_y - y) / (high_y - low_y) * (4 * _HEIGHT - 1)),
            )
            for x, y in line
        ]
        for column, row in _joined(places):
            cells[row // 4][column // 2] |= _DOTS[column % 2][row % 4]
            owners[row // 4][column // 2] = number
    raw_y = [10**value if chart.log_y else value for value in (high_y, (high_y + low_y) / 2, low_y)]
    labels = {0: raw_y[0], _HEIGHT // 2: raw_y[1], _HEIGHT - 1: raw_y[2]}
    for row in range(_HEIGHT):
        text = Text(f"{_number(labels[row]) if row in labels else '':>10} │")
        for cell, owner in zip(cells[row], owners[row], strict=True):
            # Without colours each line is drawn with a letter of its own.
            shown = _LETTERS[owner % len(_LETTERS)] if lettered else chr(0x2800 + cell)
            text.append(shown if cell else " ", style=_COLOURS[owner % len(_COLOURS)])
        console.print(text)
    raw_x = [_number(10**value if chart.log_x else value) for value in (low_x, high_x)]
    console.print(Text(f"{'':>10} └{'─' * width}"))
    console.print(Text(f"{'':>12}{raw_x[0]}{raw_x[1]:>{max(width - len(raw_x[0]), 1)}}"))
    logarithmic = " and ".join(axis for axis, log in (("x", chart.log_x), ("y", chart.log_y)) if log)
    console.print(
        Text(f"{chart.y_label} by {chart.x_label}" + (f"; logarithmic {logarithmic}" if logarithmic else ""))
    )
    for number, named in enumerate(chart.lines):
        last = next((y for y in reversed(named.y) if math.isfinite(y)), math.nan)
        said = f"{one_line(named.name)}: {_number(last)} at last"
        key = f"{_LETTERS[number % len(_LETTERS)]} " if lettered else "━━ "
        console.print(Text.assemble((key, _COLOURS[number % len(_COLOURS)]), said))


def _show_map(console: Console, picture: SymbolMap) -> None:
    width, height = max(16, min(_WIDTH + 10, console.width - 2)), 24
    grid: dict[int, list[tuple[int, str]]] = {}
    taken: set[tuple[int, int]] = set()
    (low_x, high_x), (low_y, high_y) = (_range([place[axis] for place in picture.places]) for axis in (0, 1))
    hidden = 0
    for symbol, (x, y) in zip(picture.symbols, picture.places, strict=True):
        label = symbol_label(symbol)
        if Text(label).cell_len > _LONGEST_LABEL:
            label = f"{label[: _LONGEST_LABEL // 2 - 1]}…"
        wide = Text(label).cell_len
        column = round((x - low_x) / (high_x - low_x) * (width - wide))
        row = round((high_y - y) / (high_y - low_y) * (height - 1))
        # A blank on either side keeps two names apart.
        own = {(row, column + step) for step in range(-1, wide + 1)}
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
    console.print(Text(one_line(picture.caption) + behind, style="dim"))


def _show_text(console: Console, picture: UnitText) -> None:
    text, plain = Text(), _is_plain(console)
    pieces = [
        ("\n".join(map(one_line, piece.split("\n"))), activation)
        for piece, activation in zip(picture.pieces, picture.activations, strict=True)
    ]
    if plain:
        for mark, run in groupby(pieces, lambda pair: _mark(pair[1])):
            shown = "".join(piece for piece, _ in run)
            text.append(f"[{mark}{shown}]" if mark else shown)
    else:
        for shown, activation in pieces:
            text.append(shown, style=_heat(activation))
    console.print(text)
    marks = f"; [+ ] above {_ACTIVE}, [- ] below -{_ACTIVE}" if plain else "; red is high, blue is low"
    console.print(Text(one_line(picture.caption) + marks, style="dim"))


def _is_plain(console: Console) -> bool:
    """Whether nothing can be told by colours."""
    return console.no_color or console.color_system is None


def _mark(activation: float) -> str:
    return "+" if activation > _ACTIVE else "-" if activation < -_ACTIVE else ""


def _heat(activation: float) -> str:
    pale = 255 - round(min(abs(activation), 1.0) * 200)
    colour = f"255,{pale},{pale}" if activation > 0.0 else f"{pale},{pale},255"
    return f"black on rgb({colour})"


def _scale(logarithmic: bool) -> Callable[[float], float]:
    return math.log10 if logarithmic else float


def _shown(chart: LineChart, x: float, y: float) -> bool:
    """A logarithm needs more than 0."""
    return (
        math.isfinite(x)
        and math.isfinite(y)
        and (x > 0.0 or not chart.log_x)
        and (y > 0.0 or not chart.log_y)
    )


def _range(values: Sequence[float]) -> tuple[float, float]:
    """The least and the greatest, and a little around them where they are one."""
    low, high = min(values), max(values)
    wider = max(0.5, abs(low) * 1e-6)
    return (low, high) if high > low else (low - wider, high + wider)


def _joined(places: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """All dots between one point and the next."""
    dots = list(places[:1])
    for (x0, y0), (x1, y1) in pairwise(places):
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
