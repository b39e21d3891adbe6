"""How much of a text is copied from what the model has learned from."""

from pathlib import Path

import pytest

from tests.cli.conftest import TINY, Command


def test_what_was_copied_is_found_with_its_line(rnncli: Command, rhyme: Path, own_folder: Path) -> None:
    assert rnncli("train", rhyme, "--name", "m", *TINY).code == 0
    line = rhyme.read_text().splitlines()[1]
    (own_folder / "new.txt").write_text("0123456789" + line + "0123456789\x1b[2J")
    record = rnncli("memorized", "new.txt", "--json").json
    (run,) = record["longest"]
    assert (run["text"], run["source_line"], run["sample_start"]) == (line, 2, 10)
    assert record["share"] == pytest.approx(len(line) / record["characters"])
    assert record["usual_share"] > 0.9, "a rhyme that comes again and again"
    shown = rnncli("memorized", "new.txt").out
    assert line in shown
    assert "\x1b" not in shown
    nothing = rnncli("memorized", "new.txt", "--least", "100", "--json").json
    assert (nothing["share"], nothing["longest"]) == (0.0, [])


@pytest.mark.parametrize("unit", ["stream", "line"])
def test_without_a_text_the_model_writes_one(rnncli: Command, rhyme: Path, unit: str) -> None:
    assert rnncli("train", rhyme, "--name", "m", "--unit", unit, *TINY).code == 0
    record = rnncli("memorized", "--length", "400", "--least", "4", "--json").json
    assert record["name"] == "400 tokens written by m"
    assert record["characters"] == 400
    assert rnncli("memorized", "--length", "400", "--least", "4", "--json").json == record
    ran = rnncli("memorized", "-", stdin=b"")
    assert ran.code == 1
    assert "nothing to look at" in ran.err


def test_a_text_of_words_is_compared_as_the_model_reads_it(rnncli: Command, own_folder: Path) -> None:
    text = "a cat sat on the mat\x0cand slept,\n a dog ran to the house and barked\n" * 20
    (own_folder / "words.txt").write_text(text + "never before seen words of this kind\n" * 2)
    assert rnncli("train", "words.txt", "--name", "w", "--level", "word", *TINY).code == 0
    (own_folder / "new.txt").write_text("a  dog ran\tto the house and barked zebra zebra zebra zebra zebra\n")
    record = rnncli("memorized", "new.txt", "--json").json
    (run,) = record["longest"]
    assert run["text"] == "a dog ran to the house and barked"
    assert run["source_line"] == 2
    assert rnncli("memorized", "new.txt", "--length", "9").code == 1


def test_a_text_of_which_the_model_reads_nothing_is_refused(rnncli: Command, own_folder: Path) -> None:
    Path("t.txt").write_text("the rain came <unk> down\n" * 40)
    assert rnncli("train", "t.txt", "--name", "x", "--level", "word", *TINY).code == 0
    ran = rnncli("memorized", "-", stdin=b"   ")
    assert ran.code == 1
    assert "nothing to look at" in ran.err
