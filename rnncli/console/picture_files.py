"""Pictures as files: PNG, or an HTML page that needs nothing else. Nothing else imports matplotlib."""

import io
import math
import textwrap
import warnings
from collections.abc import Sequence
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rnncli import files
from rnncli.analysis.figures import LineChart, Picture, SymbolMap, UnitText
from rnncli.console.page import page
from rnncli.errors import ConfigError
from rnncli.safe_text import one_line, symbol_label, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Fonts with Chinese, as systems name them; what is not there is passed over.
_FONTS = (
    *("DejaVu Sans", "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "PingFang SC"),
    *("Microsoft YaHei", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "SimHei", "Arial Unicode MS"),
)
# What matplotlib warns of, and puts a box in its place.
_NO_GLYPH = "Glyph .* missing"
_TEXT_COLUMNS, _CAPTION_COLUMNS = 80, 110
_STYLE = """.text { white-space: pre-wrap; overflow-wrap: anywhere; font-family: monospace; }
svg { max-width: 100%; height: auto; }
svg text { font-family: sans-serif; }
"""


def check(output: Path) -> None:
    """Before anything is measured: raises ConfigError without matplotlib, StorageError without a folder."""
    if find_spec("matplotlib") is None:
        raise _missing("No module named 'matplotlib'")
    files.refuse_no_folder(output)


def write(picture: Picture, output: Path) -> bool:
    """As a whole file, PNG or HTML by its name; raises StorageError. Whether a font has all of it."""
    kind = output.suffix.removeprefix(".").lower()
    with warnings.catch_warnings(record=True) as said:
        warnings.filterwarnings("always", _NO_GLYPH)
        content = picture_bytes(picture, kind)
    files.write_file(output, content)
    return kind != "png" or not said  # a page is set in the reader's own fonts


def picture_bytes(picture: Picture, kind: str) -> bytes:
    """The content of a file of that kind; raises ConfigError where matplotlib is needed and missing."""
    if kind == "png":
        return _figure_bytes(picture, "png")
    if isinstance(picture, UnitText):
        return page(
            picture.title,
            _STYLE,
            f'<p class="text">{_spans(picture)}</p>\n<p>{escape(picture.caption)}</p>\n',
        )
    # From <svg on: what precedes it is for a file of its own.
    svg = _figure_bytes(picture, "svg").decode()
    caption = picture.caption if isinstance(picture, SymbolMap) else ""
    return page(picture.title, _STYLE, f"{svg[svg.index('<svg') :]}\n<p>{escape(caption)}</p>\n")


def _spans(picture: UnitText) -> str:
    return "".join(
        f'<span style="background: {_css(activation)}" title="{activation:.2f}">{escape(piece)}</span>'
        for piece, activation in zip(picture.pieces, picture.activations, strict=True)
    )


def _css(activation: float) -> str:
    colour = "214 72 40" if activation > 0.0 else "40 92 214"
    return f"rgb({colour} / {min(abs(activation), 1.0):.2f})"


def _figure_bytes(picture: Picture, kind: str) -> bytes:
    try:
        import matplotlib  # noqa: PLC0415 - an extra, and slow
        from matplotlib import font_manager  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise _missing(str(error)) from error
    there = {entry.name for entry in font_manager.fontManager.ttflist}
    # Text stays text in SVG, so that a page is small and Chinese is set in the reader's own font.
    settings: Any = {
        "font.family": [name for name in _FONTS if name in there],
        "svg.fonttype": "none",
        "svg.hashsalt": "rnncli",
    }
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(9.0, 5.0), layout="constrained")
        axes = figure.add_subplot()
        match picture:
            case LineChart():
                _draw_lines(axes, picture)
            case SymbolMap():
                _draw_map(axes, picture)
            case UnitText():
                _draw_text(figure, axes, picture)
        if kind == "png":  # a page has its title above the picture
            axes.set_title(_plain(picture.title))
        content = io.BytesIO()
        figure.savefig(content, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)
    return content.getvalue()


def _missing(reason: str) -> ConfigError:
    return ConfigError(f"a picture as a file needs matplotlib: {reason}", hint="pip install 'rnncli[plots]'")


def _draw_lines(axes: "Axes", chart: LineChart) -> None:
    for line in chart.lines:
        shown = [y if math.isfinite(y) and (y > 0.0 or not chart.log_y) else math.nan for y in line.y]
        axes.plot(line.x, shown, lw=1.5)
    axes.set_xlabel(chart.x_label)
    axes.set_ylabel(chart.y_label)
    if chart.log_x:
        axes.set_xscale("log")
    if chart.log_y:
        axes.set_yscale("log")
    axes.grid(alpha=0.3)
    handles, labels = axes.get_lines(), [_plain(line.name) for line in chart.lines]
    if handles:  # named one by one: a label that begins with _ would be left out
        axes.legend(handles, labels)


def _draw_map(axes: "Axes", picture: SymbolMap) -> None:
    x, y = ([place[axis] for place in picture.places] for axis in (0, 1))
    axes.scatter(x, y, s=4, alpha=0.3)
    for symbol, place in zip(picture.symbols, picture.places, strict=True):
        axes.annotate(symbol_label(symbol), place, ha="center", va="center", parse_math=False)
    axes.set_xlabel(_plain(picture.caption))


def _draw_text(figure: "Figure", axes: "Axes", picture: UnitText) -> None:
    rows = _rows(picture.pieces, picture.activations)
    figure.set_size_inches(9.0, max(2.0, 0.2 * len(rows) + 1.0))
    axes.set_xlim(0, _TEXT_COLUMNS)
    axes.set_ylim(len(rows), 0)
    axes.axis("off")
    for number, row in enumerate(rows):
        for column, (character, activation) in enumerate(row):
            colour = (0.84, 0.28, 0.16) if activation > 0.0 else (0.16, 0.36, 0.84)
            strength = min(abs(activation), 1.0)
            axes.axhspan(
                number,
                number + 1,
                xmin=column / _TEXT_COLUMNS,
                xmax=(column + 1) / _TEXT_COLUMNS,
                color=(*colour, strength),
                lw=0,
            )
            axes.text(column + 0.5, number + 0.75, character, ha="center", fontsize=8, parse_math=False)
    caption = textwrap.fill(_plain(picture.caption), _CAPTION_COLUMNS)
    axes.text(0, len(rows) + 0.5, caption, fontsize=8, va="top")


def _rows(pieces: Sequence[str], activations: Sequence[float]) -> list[list[tuple[str, float]]]:
    """Characters with the activation of their piece, a row a line of at most _TEXT_COLUMNS."""
    rows: list[list[tuple[str, float]]] = [[]]
    for piece, activation in zip(pieces, activations, strict=True):
        for character in visible(piece):
            if character == "\n" or len(rows[-1]) == _TEXT_COLUMNS:
                rows.append([])
            if character != "\n":
                rows[-1].append((character, activation))
    return rows


def _plain(text: str) -> str:
    """Nothing that is obeyed, and no formula between two dollars."""
    return one_line(text).replace("$", r"\$")
