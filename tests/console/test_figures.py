"""Pictures on a terminal and as files."""

import math
import re
from pathlib import Path

import pytest

from rnncli.analysis.figures import ActivationText, Curve, EmbeddingMap, Figure, LineChart
from rnncli.console.figure_files import figure_bytes, write
from rnncli.console.terminal_plots import show_figure

FALLING = LineChart(
    "the decay of gradients",
    "steps",
    "loss",
    (
        Curve("first", (1.0, 10.0, 100.0), (4.0, 2.0, 1.0)),
        Curve("$second$", (1.0, 10.0, 100.0), (3.0, math.nan, 0.5)),
    ),
    log_x=True,
)
MAP = EmbeddingMap(
    "symbols", "near is alike", ("a", "春", " ", "$x$", "b"), ((0, 0), (1, 1), (2, 0), (1, 2), (0, 0))
)
TEXT = ActivationText(
    "unit layers.0:3", "tracks quotes", ("he ", "<b>", "\n", "春", "\x1b[2J"), (0.9, 0.8, 0.0, -0.9, 0.1)
)
PICTURES = {"lines": FALLING, "map": MAP, "text": TEXT}


def test_a_line_goes_from_corner_to_corner(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    show_figure(LineChart("one", "k", "nats", (Curve("x", (0.0, 1.0), (0.0, 1.0)),)))
    rows = [line.split("│")[1] for line in capsys.readouterr().out.split("\n") if "│" in line]
    assert len(rows) == 16
    assert rows[0].rstrip()[-1] > "\u2800"
    assert rows[0][: len(rows[0]) // 2].strip() == ""
    assert rows[-1][0] > "\u2800"


def test_lines_that_cannot_be_told_by_colors_have_letters(capsys: pytest.CaptureFixture[str]) -> None:
    show_figure(FALLING)
    out = capsys.readouterr().out
    rows = [line.split("│")[1] for line in out.split("\n") if "│" in line]
    assert {character for row in rows for character in row} == {" ", "a", "b"}
    assert "a first: 1 at the end" in out
    assert "b $second$: 0.5 at the end" in out


def test_a_label_that_is_too_long_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    show_figure(EmbeddingMap("long", "", ("x" * 300, "b"), ((0.0, 0.0), (1.0, 1.0))))
    assert max(map(len, capsys.readouterr().out.split("\n"))) <= 80


@pytest.mark.parametrize("value", [0.0, 1e17, -1e300])
def test_equal_values_of_any_size_are_drawn(capsys: pytest.CaptureFixture[str], value: float) -> None:
    show_figure(LineChart("flat", "x", "y", (Curve("x", (value, value), (value, value)),)))
    assert any("\u2801" <= character <= "\u28ff" for character in capsys.readouterr().out)


def test_names_are_shown_and_not_obeyed_in_files() -> None:
    names = ("_hidden", "\x1b[2J", "m\udcff", "$x$")
    chart = LineChart("\udcff", "x", "y", tuple(Curve(name, (1.0, 2.0), (1.0, 2.0)) for name in names))
    page = figure_bytes(chart, "html").decode()
    for shown in ("_hidden", "\\x1b[2J", "m\\udcff", "$x$"):
        assert shown in page


def test_axes_name_their_ends_and_lines_their_last_value(capsys: pytest.CaptureFixture[str]) -> None:
    show_figure(FALLING)
    out = capsys.readouterr().out
    assert re.search(r"4 │", out)
    assert re.search(r"0.5 │", out)
    assert "loss by steps; logarithmic x" in out
    assert "first: 1 at the end" in out
    assert "$second$: 0.5 at the end" in out


@pytest.mark.parametrize(
    "lines",
    [
        (),
        (Curve("none", (), ()),),
        (Curve("nan", (1.0,), (math.nan,)),),
        (Curve("zeros", (0.0, 0.0), (0.0, 0.0)),),
    ],
)
def test_what_has_no_points_says_so(capsys: pytest.CaptureFixture[str], lines: tuple[Curve, ...]) -> None:
    show_figure(LineChart("empty", "x", "y", lines, log_x=True, log_y=True))
    assert "no points to plot" in capsys.readouterr().out


def test_one_point_is_drawn(capsys: pytest.CaptureFixture[str]) -> None:
    show_figure(LineChart("one", "x", "y", (Curve("point", (3.0,), (2.0,)),)))
    assert any("\u2801" <= character <= "\u28ff" for character in capsys.readouterr().out)


def test_symbols_stand_apart_and_blanks_can_be_seen(capsys: pytest.CaptureFixture[str]) -> None:
    show_figure(MAP)
    out = capsys.readouterr().out
    for label in ("a", "春", "␣", "$x$", "1 more lie behind others"):
        assert label in out


def test_without_colors_runs_of_active_pieces_are_marked(capsys: pytest.CaptureFixture[str]) -> None:
    show_figure(TEXT)
    out = capsys.readouterr().out
    assert "[+he <b>]" in out
    assert "[-春]" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("rows", [1, 40])
def test_a_long_caption_leaves_room_for_its_picture(rows: int) -> None:
    """Warnings are errors here: where there is no room matplotlib warns and draws nothing."""
    text = ActivationText("unit", "a unit that tracks something; " * 20, ("line\n",) * rows, (0.5,) * rows)
    assert figure_bytes(text, "png").startswith(b"\x89PNG")


def test_characters_without_a_font_are_said(own_folder: Path) -> None:
    private = EmbeddingMap(
        "x", "", ("\ue123", "a"), ((0.0, 0.0), (1.0, 1.0))
    )  # of private use: no font has it
    plain = EmbeddingMap("x", "", ("b", "a"), ((0.0, 0.0), (1.0, 1.0)))
    assert not write(private, own_folder / "x.png")
    assert write(plain, own_folder / "x.PNG")
    assert write(private, own_folder / "x.html")


@pytest.mark.filterwarnings("ignore:Glyph .* missing")
@pytest.mark.parametrize("figure", PICTURES)
def test_a_png_is_one(figure: str) -> None:
    content = figure_bytes(PICTURES[figure], "png")
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(content) > 5_000


@pytest.mark.filterwarnings("ignore:Glyph .* missing")
@pytest.mark.parametrize("figure", PICTURES)
def test_a_page_needs_nothing_else_and_lets_no_markup_through(figure: str) -> None:
    page = figure_bytes(PICTURES[figure], "html").decode()
    assert page.startswith("<!doctype html>")
    assert not re.search(r'(src|href)="(?!#)', page), "nothing is fetched"
    assert "<script" not in page
    assert "<b>" not in page
    for said in {"lines": ("first", "$second$", "loss"), "map": ("春", "$x$"), "text": ("&lt;b&gt;", "春")}[
        figure
    ]:
        assert said in page


@pytest.mark.filterwarnings("ignore:Glyph .* missing")
def test_the_same_picture_is_the_same_page(own_folder: object) -> None:
    figures: list[Figure] = [FALLING, MAP, TEXT]
    for figure in figures:
        assert figure_bytes(figure, "html") == figure_bytes(figure, "html")
