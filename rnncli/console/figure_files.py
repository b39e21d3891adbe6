"""Write figures as PNG files or self-contained HTML pages; the only module that imports matplotlib."""

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
from rnncli.analysis.figures import ActivationText, EmbeddingMap, Figure, LineChart
from rnncli.console.html_pages import page
from rnncli.errors import MissingPackageError
from rnncli.safe_text import one_line, token_label, visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as MatplotlibFigure

# Fonts with Chinese characters, by their names on different systems; missing ones are skipped.
_FONTS = (
    *("DejaVu Sans", "Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "PingFang SC"),
    *("Microsoft YaHei", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "SimHei", "Arial Unicode MS"),
)
# The warning of matplotlib about a character that it replaces with a box.
_NO_GLYPH = "Glyph .* missing"
_TEXT_COLUMNS, _CAPTION_COLUMNS = 80, 110
_STYLE = """.text { white-space: pre-wrap; overflow-wrap: anywhere; font-family: monospace; }
svg { max-width: 100%; height: auto; }
svg text { font-family: sans-serif; }
"""


def check(output: Path) -> None:
    """Raise MissingPackageError if matplotlib is missing, StorageError if the folder of `output` is."""
    if find_spec("matplotlib") is None:
        raise _missing("No module named 'matplotlib'")
    files.check_parent_folder(output)


def write(figure: Figure, output: Path) -> bool:
    """Write a figure as PNG or HTML, by the suffix of `output`.

    Returns:
        Whether an installed font has every character.

    Raises:
        StorageError: The file cannot be written.
    """
    kind = output.suffix.removeprefix(".").lower()
    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", _NO_GLYPH)
        content = figure_bytes(figure, kind)
    files.write_file(output, content)
    return kind != "png" or not caught  # a page uses the reader's fonts


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """Return the content of a file of `kind` (png or html).

    Raises:
        MissingPackageError: matplotlib is needed and missing.
    """
    if kind == "png":
        return _rendered(figure, "png")
    if isinstance(figure, ActivationText):
        return page(
            figure.title,
            _STYLE,
            f'<p class="text">{_spans(figure)}</p>\n<p>{escape(figure.caption)}</p>\n',
        )
    # Skip the XML header: the SVG is part of a page.
    svg = _rendered(figure, "svg").decode()
    caption = figure.caption if isinstance(figure, EmbeddingMap) else ""
    return page(figure.title, _STYLE, f"{svg[svg.index('<svg') :]}\n<p>{escape(caption)}</p>\n")


def _spans(figure: ActivationText) -> str:
    return "".join(
        f'<span style="background: {_css(activation)}" title="{activation:.2f}">{escape(piece)}</span>'
        for piece, activation in zip(figure.token_texts, figure.activations, strict=True)
    )


def _css(activation: float) -> str:
    color = "214 72 40" if activation > 0.0 else "40 92 214"
    return f"rgb({color} / {min(abs(activation), 1.0):.2f})"


def _rendered(figure: Figure, kind: str) -> bytes:
    try:
        import matplotlib  # noqa: PLC0415 - an extra, and slow
        from matplotlib import font_manager  # noqa: PLC0415
        from matplotlib.figure import Figure as MatplotlibFigure  # noqa: PLC0415
    except ImportError as error:
        raise _missing(str(error)) from error
    there = {entry.name for entry in font_manager.fontManager.ttflist}
    # Text stays text in SVG: the page is small, and the reader's fonts show Chinese.
    settings: Any = {
        "font.family": [name for name in _FONTS if name in there],
        "svg.fonttype": "none",
        "svg.hashsalt": "rnncli",
    }
    with matplotlib.rc_context(settings):
        drawing = MatplotlibFigure(figsize=(9.0, 5.0), layout="constrained")
        axes = drawing.add_subplot()
        match figure:
            case LineChart():
                _draw_lines(axes, figure)
            case EmbeddingMap():
                _draw_map(axes, figure)
            case ActivationText():
                _draw_text(drawing, axes, figure)
        if kind == "png":  # a page has its title above the figure
            axes.set_title(_plain(figure.title))
        content = io.BytesIO()
        drawing.savefig(content, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)
    return content.getvalue()


def _missing(reason: str) -> MissingPackageError:
    return MissingPackageError(
        f"a figure file needs matplotlib: {reason}", hint="pip install 'rnncli[plots]'"
    )


def _draw_lines(axes: "Axes", chart: LineChart) -> None:
    for line in chart.curves:
        shown = [y if math.isfinite(y) and (y > 0.0 or not chart.log_y) else math.nan for y in line.y]
        axes.plot(line.x, shown, lw=1.5)
    axes.set_xlabel(chart.x_label)
    axes.set_ylabel(chart.y_label)
    if chart.log_x:
        axes.set_xscale("log")
    if chart.log_y:
        axes.set_yscale("log")
    axes.grid(alpha=0.3)
    handles, labels = axes.get_lines(), [_plain(line.name) for line in chart.curves]
    if handles:  # passed explicitly, because a label that begins with _ would be left out
        axes.legend(handles, labels)


def _draw_map(axes: "Axes", figure: EmbeddingMap) -> None:
    x, y = ([position[axis] for position in figure.positions] for axis in (0, 1))
    axes.scatter(x, y, s=4, alpha=0.3)
    for token, position in zip(figure.tokens, figure.positions, strict=True):
        axes.annotate(token_label(token), position, ha="center", va="center", parse_math=False)
    axes.set_xlabel(_plain(figure.caption))


def _draw_text(drawing: "MatplotlibFigure", axes: "Axes", figure: ActivationText) -> None:
    rows = _rows(figure.token_texts, figure.activations)
    drawing.set_size_inches(9.0, max(2.0, 0.2 * len(rows) + 1.0))
    axes.set_xlim(0, _TEXT_COLUMNS)
    axes.set_ylim(len(rows), 0)
    axes.axis("off")
    for number, row in enumerate(rows):
        for column, (character, activation) in enumerate(row):
            color = (0.84, 0.28, 0.16) if activation > 0.0 else (0.16, 0.36, 0.84)
            strength = min(abs(activation), 1.0)
            axes.axhspan(
                number,
                number + 1,
                xmin=column / _TEXT_COLUMNS,
                xmax=(column + 1) / _TEXT_COLUMNS,
                color=(*color, strength),
                lw=0,
            )
            axes.text(column + 0.5, number + 0.75, character, ha="center", fontsize=8, parse_math=False)
    caption = textwrap.fill(_plain(figure.caption), _CAPTION_COLUMNS)
    axes.text(0, len(rows) + 0.5, caption, fontsize=8, va="top")


def _rows(pieces: Sequence[str], activations: Sequence[float]) -> list[list[tuple[str, float]]]:
    """Return rows of at most _TEXT_COLUMNS characters, each with the activation of its token."""
    rows: list[list[tuple[str, float]]] = [[]]
    for piece, activation in zip(pieces, activations, strict=True):
        for character in visible(piece):
            if character == "\n" or len(rows[-1]) == _TEXT_COLUMNS:
                rows.append([])
            if character != "\n":
                rows[-1].append((character, activation))
    return rows


def _plain(text: str) -> str:
    """Escape control characters, and dollars, which would start a formula."""
    return one_line(text).replace("$", r"\$")
