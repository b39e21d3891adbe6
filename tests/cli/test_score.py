"""`rnncli score`, from a text or a pipe to rows."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import TINY, Command


@pytest.fixture
def trained(rnncli: Command, rhyme: Path) -> Command:
    for level in ("char", "word"):
        assert rnncli("train", rhyme, "--name", level, "--level", level, *TINY).code == 0
    return rnncli


TEXT = "the rain came down,\n\na lamp was lit\n"


def test_rows_of_a_text_add_up_to_its_score_line_by_line(trained: Command, own_folder: Path) -> None:
    (own_folder / "t.txt").write_text(TEXT)
    for name in ("char", "word"):
        ran = trained("score", "t.txt", "-m", name)
        assert ran.code == 0, ran.err
        head, *rows = ran.out.splitlines()
        assert head == "sentence_id\ttoken_id\ttoken\tsurprisal"
        bits = sum(float(row.split("\t")[3]) for row in rows)
        exact = trained("eval", "t.txt", "-m", name, "--reset", "line", "--json").json
        assert bits * math.log(2.0) == pytest.approx(exact["nll_nats"], rel=1e-5)
        assert len(rows) == exact["tokens"]


def test_a_pipe_without_a_last_line_end_is_read_as_with_it(trained: Command) -> None:
    with_end, without = (
        trained("score", "-m", "char", stdin=text) for text in (b"the rain\na lamp\n", b"the rain\na lamp")
    )
    assert with_end.out == without.out
    assert with_end.out == trained("score", "-", "-m", "char", stdin=b"the rain\na lamp").out


@pytest.mark.parametrize(
    ("format", "unit", "rows"),
    [
        ("tsv", "token", 21),
        ("tsv", "word", 5),
        ("tsv", "character", 21),
        ("tsv", "line", 2),
        ("jsonl", "line", 1),
        ("jsonl", "word", 1),
        ("minicons", "word", 5),
        ("neural-complexity", "word", 5),
        ("srilm", "token", 26),
        ("kenlm", "token", 5),
        ("kaldi", "line", 1),
        ("nbest", "line", 1),
    ],
)
def test_every_format_has_its_rows(trained: Command, format: str, unit: str, rows: int) -> None:
    ran = trained("score", "-m", "char", "--format", format, "--unit", unit, stdin=b"the rain came more;")
    assert ran.code == 0, ran.err
    assert len(ran.out.splitlines()) == rows


def test_names_of_an_nbest_list_are_kept_in_their_order(trained: Command) -> None:
    named = trained(
        "score", "-m", "char", "--format", "kaldi", stdin=b"utt-2 the rain\nutt-1 the lamp\nutt-3\n"
    )
    rows = [row.split("\t") for row in named.out.splitlines()]
    assert [name for name, _ in rows] == ["utt-2", "utt-1", "utt-3"]
    options = ("--format", "jsonl", "--unit", "line")
    plain = trained("score", "-m", "char", *options, stdin=b"the rain\nthe lamp\n\n")
    nats = [json.loads(row)["nll_nats"] for row in plain.out.splitlines()]
    assert [float(cell) for _, cell in rows] == pytest.approx(nats, abs=1e-5)


def test_a_line_is_answered_before_the_next_one_comes(trained: Command) -> None:
    command = [sys.executable, "-m", "rnncli", "score", "-m", "char", "--unit", "line", "--quiet"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline().startswith("sentence_id")
        for number in (1, 2):
            process.stdin.write("the rain\n")
            process.stdin.flush()
            assert process.stdout.readline().startswith(f"{number}\t9\t")
        process.stdin.close()
        assert process.wait(60) == 0


@pytest.mark.parametrize(
    ("options", "given", "named"),
    [
        (("--format", "kaldi", "--unit", "word"), b"x", "the format kaldi has no unit word"),
        (("--format", "srilm", "--base", "2"), b"x", "has its own base"),
        (("--columns", "rank,size"), b"x", "there is no column 'size'"),
        (("--columns", "rank", "--unit", "line"), b"x", "--columns needs the format tsv"),
        (("--columns", "rank", "--top", "3"), b"x", "their own output format"),
        (("--unit", "character", "-m", "word"), b"the rain\n", "longer than a character"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(
    trained: Command, options: tuple[str, ...], given: bytes, named: str
) -> None:
    ran = trained("score", *(options if "-m" in options else ("-m", "char", *options)), stdin=given)
    assert ran.code == 2
    assert named in ran.err


@pytest.mark.parametrize(
    ("options", "given", "named"),
    [
        (("--format", "kaldi"), b"utt-1 a\n\n", "line 2 of stdin has no name"),
        ((), b"", "no lines to score"),
        ((), b"\xff\n", "not valid utf-8"),
    ],
)
def test_a_text_that_cannot_be_scored_is_refused(
    trained: Command, options: tuple[str, ...], given: bytes, named: str
) -> None:
    ran = trained("score", "-m", "char", *options, stdin=given)
    assert ran.code == 1
    assert named in ran.err


def test_the_mixture_is_scored_where_there_is_one(trained: Command, own_folder: Path) -> None:
    (own_folder / "t.txt").write_text(TEXT)
    before = trained("score", "t.txt", "-m", "char", "--unit", "word").out
    trained("ngram", "char", "--order", "5")
    after = trained("score", "t.txt", "-m", "char", "--unit", "word").out
    assert after != before
    rows = trained("score", "t.txt", "-m", "char").out.splitlines()[1:]
    exact = trained("eval", "t.txt", "-m", "char", "--reset", "line", "--json").json
    assert sum(float(row.split("\t")[3]) for row in rows) * math.log(2.0) == pytest.approx(
        exact["nll_nats"], rel=1e-5
    )


def test_the_oddest_lines_come_first(trained: Command) -> None:
    given = b"the rain came more;\n|||%%%\nthe rain came down,\n\n"
    rows = [
        row.split("\t") for row in trained("score", "-m", "char", "--top", "2", stdin=given).out.splitlines()
    ]
    assert rows[0] == ["rank", "sentence_id", "bits_per_character", "sentence"]
    assert len(rows) == 3
    plain = trained("score", "-m", "char", "--unit", "line", stdin=given).out.splitlines()[1:]
    bits = {row.split("\t")[0]: float(row.split("\t")[2]) / int(row.split("\t")[1]) for row in plain}
    ranked = sorted(bits, key=lambda number: -bits[number])
    assert [row[1] for row in rows[1:]] == ranked[:2]
    assert float(rows[1][2]) == pytest.approx(bits[ranked[0]], abs=1e-3)


def test_pairs_say_which_is_preferred_and_how_often_it_is_right(trained: Command) -> None:
    pairs = [("the rain", "zqx%%^ rain"), ("zq%%%^", "rain"), ("rain", "rain")]
    given = "".join(json.dumps({"sentence_good": good, "sentence_bad": bad}) + "\n" for good, bad in pairs)
    *rows, total = map(
        json.loads, trained("score", "-m", "word", "--pairs", stdin=given.encode()).out.splitlines()
    )
    assert rows[2]["preferred"] == "tie"
    for row in rows[:2]:
        assert row["nll_nats_difference"] == pytest.approx(row["nll_nats_bad"] - row["nll_nats_good"])
        assert row["preferred"] == ("good" if row["nll_nats_difference"] > 0 else "bad")
    right = sum(row["preferred"] == "good" for row in rows)
    assert total == {"pairs": 3, "accuracy": pytest.approx(right / 3), "ties": 1}


@pytest.mark.parametrize(
    ("options", "given", "code", "named"),
    [
        (("--pairs",), b"x\n", 1, "line 1 of stdin is not a minimal pair"),
        (("--pairs",), b'{"sentence_good": "a"}\n', 1, "line 1 of stdin is not a minimal pair"),
        (("--pairs",), b'\n{"sentence_good": "a", "sentence_bad": 3}\n', 1, "line 2 of stdin is not a"),
        (("--pairs",), b"\n", 1, "no pairs to score"),
        (("--pairs", "--top", "2"), b"x\n", 2, "their own output format"),
        (("--top", "2", "--format", "jsonl"), b"x\n", 2, "their own output format"),
    ],
)
def test_pairs_and_tops_that_make_no_sense_are_refused(
    trained: Command, options: tuple[str, ...], given: bytes, code: int, named: str
) -> None:
    ran = trained("score", "-m", "char", *options, stdin=given)
    assert ran.code == code
    assert named in ran.err


def test_a_page_holds_the_lines_coloured(trained: Command, own_folder: Path) -> None:
    ran = trained("score", "-m", "char", "--html", "page.html", stdin=b"the <rain>\na lamp\n")
    assert ran.code == 0, ran.err
    content = (own_folder / "page.html").read_text(encoding="utf-8")
    assert content.startswith("<!doctype html>")
    assert "stdin under char" in content
    assert content.count("<p>") == 2
    assert trained("score", "-m", "char", "--html", "no/page.html", stdin=b"a\n").code == 1


@pytest.mark.parametrize("command", [("score",), ("tokenize", "--encode", "--tokenizer", "char")])
def test_utf_16_without_a_mark_is_refused_as_it_comes_too(
    trained: Command, own_folder: Path, command: tuple[str, ...]
) -> None:
    (own_folder / "wide.txt").write_bytes("the rain came down\n".encode("utf-16-le") * 9)
    ran = trained(*command, "wide.txt", *(("-m", "char") if command == ("score",) else ()))
    assert (ran.code, ran.out.count("\n") <= 1) == (1, True)
    assert "wide.txt is full of NUL bytes" in ran.err


def test_a_line_without_a_name_is_counted_in_its_own_file(trained: Command, own_folder: Path) -> None:
    (own_folder / "a.txt").write_text("utt-1 the\nutt-2 rain\n")
    (own_folder / "b.txt").write_text("utt-3 the\n\n")
    ran = trained("score", "a.txt", "b.txt", "-m", "char", "--format", "kaldi")
    assert "line 2 of b.txt has no name" in ran.err


def test_a_page_without_a_folder_is_refused_before_anything_is_scored(trained: Command) -> None:
    ran = trained("score", "-m", "char", "--html", "nowhere/page.html", stdin=b"the rain\n")
    assert (ran.code, ran.out) == (1, "")
    assert "the folder does not exist" in ran.err
