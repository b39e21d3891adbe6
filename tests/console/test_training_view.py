"""What a person reads: rows, plain lines, and foreign text that is shown but never obeyed."""

import io
import logging
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from rnncli.console import terminal
from rnncli.console.formatting import clock, duration, perplexity, size
from rnncli.console.training_view import (
    BarView,
    PlainView,
    ProgressMode,
    SilentView,
    log_shown_in,
    open_view,
)
from rnncli.events import Evaluated, Event, Planned, Remark, Sampled, Saved, Stepped
from rnncli.metrics import Score
from rnncli.safe_text import one_line, visible

PLAN = Planned(
    corpus="novel.txt",
    encoding="utf-8",
    level="char",
    vocab_size=66,
    corpus_tokens=1_000_000,
    valid_tokens=100_000,
    validation_tokens=100_000,
    architecture="gru, 1 layer of 512, embedding 128",
    parameters=1_028_546,
    batch_size=32,
    bptt=64,
    precision="bf16",
    kernels="fused",
    threads=1,
    device="cpu",
    steps=2225,
    train_tokens=4_556_800,
    epochs=4.5,
    seconds=180.0,
    patience=None,
    tokens_per_second=26_865.0,
    memory_bytes=366_000_000,
    reasons=("hidden size 512: because",),
)
STEP = Stepped(100, 0.2, 8.0, 24.0, 0.25, 1.7, 26_000.0, 3e-3, 0.4, {"embedding": 0.2}, 0)
ROW = Evaluated(555, 1.1, 40.0, 1.6543, Score(150_000.0, 100_000, 20_000, 100_000, 100_000), best=True)
JOURNEY: list[Event] = [
    PLAN,
    Remark("a note"),
    STEP,
    ROW,
    Sampled(555, "Lord, I know"),
    Saved("models/x", 555, 40.0, False),
]
LOG = logging.getLogger("rnncli.anything")
HOSTILE = "\x1b[2J\x1b]52;c;aGk=\x07 \x9b31m [bold red]x[/bold red] \u202eevil\u202c \r over \x00"


def shown_on_a_terminal(reports: list[Event], width: int = 80) -> str:
    stream = io.StringIO()
    view = BarView(Console(file=stream, force_terminal=True, width=width, color_system=None, highlight=False))
    for report in reports:
        view.show(report)
    view.close()
    return stream.getvalue()


def test_a_terminal_shows_plan_row_sample_and_what_comes_next() -> None:
    text = shown_on_a_terminal(JOURNEY)
    for part in ("1,028,546 parameters", "4.5 epochs", "3 min", "366 MB", "because", "tok/s", "0:24 left"):
        assert part in text
    for part in (
        "555",
        "1.6543",
        "1.5000",
        "4.482",
        "2.1640",
        "best",
        "Lord, I know",
        "rnncli generate --model x",
    ):
        assert part in text


@pytest.mark.parametrize("width", [40, 80, 200])
def test_no_row_is_wider_than_an_80_column_terminal(width: int) -> None:
    rows = [line for line in shown_on_a_terminal([ROW], 200).splitlines() if line.strip()]
    assert max(map(len, rows)) <= 80
    assert shown_on_a_terminal(JOURNEY, width)


def test_plain_lines_are_keys_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    view = PlainView()
    for report in JOURNEY:
        view.show(report)
    out, err = capsys.readouterr()
    assert out == ""
    assert "step=100 epoch=0.20 loss=1.7000 tokens_per_second=26000 seconds=8 seconds_left=24" in err
    assert "step=555 epoch=1.10 train=1.6543 valid=1.5000 perplexity=4.482" in err
    assert "\x1b" not in err


def test_plain_lines_come_at_least_every_thirty_seconds_and_not_for_every_step(
    capsys: pytest.CaptureFixture[str],
) -> None:
    instants = iter([float(second) for second in range(300) for _ in range(2)])
    view = PlainView(now=lambda: next(instants))
    for _ in range(120):
        view.show(STEP)
    lines = capsys.readouterr().err.splitlines()
    assert 4 <= len(lines) <= 12


def test_a_log_that_nobody_reads_does_not_end_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Closed())
    with open_view("plain", quiet=False) as view:
        view.show(ROW)
        view.show(ROW)
    sys.stderr.close()


@pytest.mark.parametrize(("mode", "quiet"), [("none", False), ("bar", True), ("auto", True)])
def test_whoever_wants_to_see_nothing_gets_a_view_that_says_so(mode: ProgressMode, quiet: bool) -> None:
    with open_view(mode, quiet) as view:
        assert isinstance(view, SilentView)


def test_without_a_terminal_lines_are_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    for mode in ("auto", "plain"):
        sys.stderr = io.StringIO()
        with open_view(mode, quiet=False) as view:
            view.show(ROW)
        assert sys.stderr.getvalue().startswith("step=")
    sys.stderr = io.StringIO()
    with open_view("bar", quiet=False) as view:
        view.show(ROW)
    assert "step=" not in sys.stderr.getvalue()


@pytest.fixture
def shown_log() -> Iterator[None]:
    """The log as the command line shows it."""
    log = logging.getLogger("rnncli")
    terminal.show_log()
    yield
    log.handlers, log.propagate = [], True
    log.setLevel(logging.NOTSET)


@pytest.mark.usefixtures("shown_log")
def test_warnings_and_facts_that_are_logged_are_lines_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    LOG.warning("%s is damaged", HOSTILE)
    LOG.info("read as %s", "utf-8")
    LOG.debug("nobody sees it")
    out, err = capsys.readouterr()
    assert out == ""
    assert err == f"{one_line(HOSTILE)} is damaged\nread as utf-8\n"


@pytest.mark.usefixtures("shown_log")
def test_a_view_shows_what_is_logged_as_notes_while_it_is_open(capsys: pytest.CaptureFixture[str]) -> None:
    with open_view("plain", quiet=False):
        LOG.warning("first")
        LOG.info("second")
        with log_shown_in(SilentView()):
            LOG.warning("a trial that is thrown away")
        LOG.info("third")
    LOG.info("after it")
    assert capsys.readouterr().err.splitlines() == ["note: first", "note: second", "note: third", "after it"]


@pytest.mark.usefixtures("shown_log")
@pytest.mark.parametrize(("mode", "quiet"), [("none", False), ("bar", True)])
def test_a_silent_view_shows_nothing_that_is_logged(
    mode: ProgressMode, quiet: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_view(mode, quiet):
        LOG.warning("a warning")
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("shown_log")
def test_what_is_logged_goes_above_the_bar_and_leaves_it_whole() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, width=80, color_system=None, highlight=False)
    view = BarView(console)
    with log_shown_in(view):
        view.show(STEP)
        while "tok/s" not in stream.getvalue():  # another thread draws it
            time.sleep(0.01)
        stream.seek(0)
        stream.truncate()
        LOG.warning("a save failed")
    written = stream.getvalue()
    view.close()
    erased, note, bar = written.partition("note: a save failed")
    assert "\x1b[2K" in erased
    assert note
    assert "tok/s" in bar


@given(st.text())
def test_no_control_character_of_foreign_text_reaches_a_terminal(text: str) -> None:
    safe = visible(text)
    for character in safe:
        assert character in "\n\t" or (ord(character) >= 32 and not 0x7F <= ord(character) <= 0x9F)
        assert not 0x202A <= ord(character) <= 0x202E
        assert not 0x2066 <= ord(character) <= 0x2069
    assert "\n" not in one_line(text)


def test_markup_and_escapes_of_a_sample_are_shown_and_not_obeyed() -> None:
    text = shown_on_a_terminal([Sampled(1, HOSTILE), Remark(HOSTILE)])
    assert "[bold red]x[/bold red]" in text
    assert "\x1b[2J" not in text
    assert "\x1b]52" not in text
    assert "\x9b" not in text
    assert "\u202e" not in text


def test_errors_are_two_lines_whatever_they_quote(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.error(f"cannot read {HOSTILE}\nsecond line", "check [/] it")
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: cannot read \\x1b[2J")
    assert hint == "hint: check [/] it"


def test_ordinary_text_of_many_scripts_is_left_alone() -> None:
    for text in ("Grüße, 世界！", "日本語テキスト", "שלום", "नमस्ते", "👩\u200d👩\u200d👧", "a\tb\nc"):
        assert visible(text) == text


def test_numbers_are_written_as_people_read_them() -> None:
    assert [duration(s) for s in (7.2, 59.0, 125.0, 300.0)] == ["7.2 s", "59 s", "2 min 5 s", "5 min"]
    assert duration(7300.0) == "2 h 2 min"
    assert [clock(s) for s in (5, 125, 7300)] == ["0:05", "2:05", "2:01:40"]
    assert [size(n) for n in (950, 12_300_000, 2_500_000_000)] == ["950 B", "12.3 MB", "2.5 GB"]
    assert [perplexity(p) for p in (4.33521, 12345.6, 3.1e21)] == ["4.335", "12,346", "3.10e+21"]


def test_json_has_no_number_that_json_lacks(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    terminal.print_json({"a": float("nan"), "b": {"c": float("inf")}, "d": [1.5, float("-inf")]})
    assert capsys.readouterr().out == '{"a": null, "b": {"c": null}, "d": [1.5, null]}\n'
