"""A text's report and its store as people read them: whole, and never obeyed by a terminal."""

import io
import json

import pytest
from rich.console import Console

from rnncli.console import dataset_view
from rnncli.console.dataset_view import (
    print_tokenized,
    show_dataset,
    show_report,
    summary_rows,
)
from rnncli.console.training_view import BarView, PlainView
from rnncli.events import CharacterCount, CorpusReport, LevelSize
from rnncli.workflows.tokenize import TokenizeResult

HOSTILE = "\x1b[2J\x1b]52;c;aGk=\x07 \x9b31m [bold red]x[/bold red] \u202eevil\u202c \r over \x00\nnext\tline"
LIVE = ("\x1b", "\x9b", "\u202e", "\u202c", "\x07", "\r", "\x00")


def report(**changes: object) -> CorpusReport:
    values: dict[str, object] = {
        "name": "novel.txt",
        "encoding": "utf-8, gzip",
        "disk_bytes": 400_000,
        "bytes": 1_100_000,
        "characters": 1_000_000,
        "lines": 20_000,
        "distinct_characters": 70,
        "han_characters": 250_000,
        "frequent": (CharacterCount(" ", 170_000, "U+0020", "SPACE"), CharacterCount("e", 99, "U+0065", "E")),
        "rare": (
            CharacterCount("\x1b", 1, "U+001B", "unnamed"),
            CharacterCount("\u202e", 2, "U+202E", "OVERRIDE"),
        ),
        "sample_characters": 1_000_000,
        "growth_unit": "word",
        "growth": ((100, 60), (200, 90), (400, 120)),
        "duplicate_lines": 0.125,
        "valid_lines_in_train": 0.25,
        "levels": (LevelSize("char", 71, 1_000_000, 1.0), LevelSize("subword", 2000, 250_000, 4.0)),
        "level": "subword",
        "vocab_size": 2500,
        "reasons": ("one reason", "another"),
    }
    return CorpusReport(**{**values, **changes})  # type: ignore[arg-type]


STORE = {
    "path": "novel.tok",
    "name": "novel.txt",
    "encoding": "utf-8",
    "characters": 1000,
    "words": 200,
    "bytes": 1100,
    "level": "char",
    "vocab_size": 66,
    "line_by_line": False,
    "tokens": 1000,
    "valid_tokens": 100,
    "test_tokens": 0,
    "oov_tokens": 3,
}


def on_a_terminal(monkeypatch: pytest.MonkeyPatch, width: int = 100) -> io.StringIO:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=width, color_system=None, highlight=False)
    monkeypatch.setattr(dataset_view, "stdout_console", lambda: console)
    return stream


def test_the_summary_says_what_should_be_known_before_a_training() -> None:
    rows = dict(summary_rows(report()))
    assert rows["text"] == "novel.txt, utf-8, gzip, 400 kB"
    assert rows["size"] == "1,000,000 characters, 20,000 lines"
    assert rows["characters"] == "70 distinct, 250,000 Han (25%)"
    assert rows["word types"] == "60 in 100, 90 in 200, 120 in 400 words"
    assert rows["repeated lines"] == "12.5%"
    assert rows["overlap"] == "25.0% of validation lines occur in the training split"
    assert rows["advice"] == "--level subword --vocab-size 2500: one reason; another"


def test_what_was_seen_in_a_sample_says_so() -> None:
    rows = dict(summary_rows(report(sample_characters=64_000)))
    for name in ("word types", "repeated lines"):
        assert "(seen in 64,000 characters of it)" in rows[name]
    for name in ("characters", "overlap"):  # of the whole text, always
        assert "seen in" not in rows[name]


def test_what_is_not_known_is_left_out() -> None:
    bare = report(growth=(), duplicate_lines=None, valid_lines_in_train=None, vocab_size=None, characters=0)
    rows = dict(summary_rows(bare))
    assert rows.keys() == {"text", "size", "characters", "advice"}
    assert rows["advice"].startswith("--level subword: ")
    assert dict(summary_rows(report(level=None)))["advice"] == "one reason; another"
    assert "advice" not in dict(summary_rows(report(level=None, reasons=())))


def test_the_whole_report_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = on_a_terminal(monkeypatch)
    show_report(report())
    shown = stream.getvalue()
    for part in ("most frequent characters", "rarest characters", "U+0020", "SPACE", "170,000", "17.00%"):
        assert part in shown
    for part in ("tokens at each level", "subword", "250,000", "4.00", "█"):
        assert part in shown


def test_a_report_without_characters_and_levels_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = on_a_terminal(monkeypatch)
    show_report(report(frequent=(), rare=(), levels=(), characters=0, lines=0))
    assert "novel.txt" in stream.getvalue()


@pytest.mark.parametrize("width", [30, 80, 200])
def test_control_characters_of_a_report_are_shown_and_not_obeyed(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    stream = on_a_terminal(monkeypatch, width)
    characters = tuple(CharacterCount(live, 5, f"U+{ord(live):04X}", "unnamed") for live in LIVE)
    show_report(
        report(name=HOSTILE, encoding=HOSTILE, frequent=characters, rare=characters, reasons=(HOSTILE,))
    )
    assert not [live for live in LIVE if live in stream.getvalue()]


def test_the_characters_themselves_and_the_name_of_a_text_are_escaped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = on_a_terminal(monkeypatch, 300)
    characters = tuple(
        CharacterCount(live, 5, f"U+{ord(live):04X}", "unnamed") for live in (*LIVE, "\n", "\t")
    )
    show_report(report(name=HOSTILE, frequent=characters, rare=characters))
    shown = stream.getvalue()
    assert not [live for live in LIVE if live in shown]
    for escaped in ("\\x1b", "\\x9b", "\\u202e", "\\r", "\\x00", "\\n", "\\t", "[bold red]x[/bold red]"):
        assert escaped in shown


def test_control_characters_in_the_table_of_a_store_are_shown_and_not_obeyed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stream = on_a_terminal(monkeypatch, 300)
    show_dataset({**STORE, "path": HOSTILE, "name": HOSTILE, "encoding": HOSTILE})
    shown = stream.getvalue()
    assert not [live for live in LIVE if live in shown]
    assert shown.count("\\x1b[2J") == 3
    assert shown.count("[bold red]x[/bold red]") == 3


def test_the_table_of_a_store_names_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = on_a_terminal(monkeypatch)
    show_dataset(STORE)
    shown = stream.getvalue()
    assert "1,000, 100 for validation, 3 out of vocabulary" in shown
    assert "every line a sample" not in shown
    show_dataset({**STORE, "test_tokens": 50, "line_by_line": True})
    assert "100 for validation, 50 for testing, 3 out of vocabulary" in stream.getvalue()
    assert "vocabulary of 66, line by line" in stream.getvalue()


def test_plain_progress_shows_a_text_as_keys_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    PlainView().show(report(name=HOSTILE))
    err = capsys.readouterr().err
    lines = err.splitlines()
    assert all(line.startswith("text: ") and "=" in line for line in lines)
    assert "text: characters=70 distinct, 250,000 Han (25%)" in lines
    assert not [live for live in LIVE if live in err]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_terminal_shows_a_text_in_a_panel(width: int) -> None:
    stream = io.StringIO()
    view = BarView(Console(file=stream, force_terminal=True, width=width, color_system=None, highlight=False))
    view.show(report(name=HOSTILE))
    view.close()
    shown = stream.getvalue()
    assert "70 distinct" in shown
    assert not [live for live in LIVE if live in shown]
    assert max(map(len, shown.splitlines())) <= width


def test_json_has_null_for_a_fraction_that_is_not_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    """What else it has, with and without a token dataset, is tested in tests/cli/test_tokenize.py."""
    print_tokenized(TokenizeResult(report=report(duplicate_lines=float("nan"))), json=True)
    made = json.loads(capsys.readouterr().out)
    assert made.keys() == {"report"}
    assert made["report"]["duplicate_lines"] is None
    assert made["report"]["frequent"][1] == {
        "character": "e",
        "count": 99,
        "code_point": "U+0065",
        "name": "E",
    }
