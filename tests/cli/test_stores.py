"""Training from token datasets, and the parts of a text: held out, kept for a last test, of its own."""

import os
import random
from pathlib import Path

import pytest

from rnncli.data.dataset import TokenDataset
from rnncli.data.tokenizers.base import decode
from rnncli.storage.model_dir import ModelDir
from tests.cli.conftest import TINY, Command, nothing_is_left
from tests.conftest import RHYME

CHANGED = "rhyme.txt has changed since"


def parts_of(store: TokenDataset) -> dict[str, str]:
    return {
        name: decode(store.tokenizer, part.ids[0 : part.tokens].tolist())
        for name, part in store.splits.items()
    }


def test_train_says_that_the_text_of_a_store_has_changed_and_trains_all_the_same(
    rnncli: Command, rhyme: Path
) -> None:
    rnncli("tokenize", rhyme)
    rhyme.write_text(RHYME + "more\n")
    ran = rnncli("train", "rhyme.tok", "--name", "x", *TINY)
    assert ran.code == 0, ran.err
    assert f"{CHANGED} rhyme.tok was made; the earlier text is used" in ran.err
    assert rnncli("eval", "--json").json["text"] == "validation split of rhyme.txt"


@pytest.mark.parametrize("what", ["nothing", "touched", "gone"])
def test_a_text_that_is_the_same_or_gone_is_no_change(rnncli: Command, rhyme: Path, what: str) -> None:
    rnncli("tokenize", rhyme)
    rnncli("train", rhyme, "--name", "y", *TINY)
    if what == "touched":
        os.utime(rhyme, ns=(1, 1))
    elif what == "gone":
        rhyme.unlink()
    for ran in (
        rnncli("train", "rhyme.tok", "--name", "x", *TINY),
        rnncli("train", "--resume", "y", "--steps", "8"),
    ):
        assert ran.code == 0, ran.err
        assert CHANGED not in ran.err


def test_resume_says_that_the_text_has_changed_and_goes_on_with_that_of_then(
    rnncli: Command, rhyme: Path
) -> None:
    rnncli("train", rhyme, "--name", "x", *TINY)
    before = rnncli("eval", "--json").json["characters"]
    rhyme.write_text(RHYME[:200])
    ran = rnncli("train", "--resume", "x", "--steps", "8")
    assert ran.code == 0, ran.err
    assert f"{CHANGED} models/x was made" in ran.err
    assert rnncli("eval", "--json").json["characters"] == before


def test_a_new_file_in_a_folder_is_a_change_of_the_text(rnncli: Command, own_folder: Path) -> None:
    Path("texts").mkdir()
    Path("texts/a.txt").write_text(RHYME)
    rnncli("train", "texts", "--name", "x", *TINY)
    Path("texts/b.txt").write_text("new")
    assert "b.txt has changed since models/x" in rnncli("train", "--resume", "x", "--steps", "8").err


def test_several_stores_are_trained_on_as_one(rnncli: Command, rhyme: Path) -> None:
    Path("other.txt").write_text(RHYME[::-1])
    assert rnncli("tokenize", rhyme, "-o", "a.tok").code == 0
    made = rnncli("tokenize", "other.txt", "-o", "b.tok", "--tokenizer", "a.tok", "--json")
    assert made.code == 0, made.err
    ran = rnncli("train", "a.tok", "b.tok", "--name", "x", "--json", *TINY)
    assert ran.code == 0, ran.err
    assert ran.json["plan"]["corpus_tokens"] == 2 * len(RHYME)
    assert not Path("models/x/corpus.tok").exists()
    assert rnncli("eval", "--json").json["tokens"] == 2 * (len(RHYME) - int(len(RHYME) * 0.9))
    assert rnncli("train", "--resume", "x", "--steps", "8").code == 0
    assert ModelDir.find("x").record().datasets == tuple(str(Path(n).resolve()) for n in ("a.tok", "b.tok"))


@pytest.mark.parametrize(
    "options", [("--level", "byte"), ("--tokenizer", "a.tok", "--line-by-line")], ids=" ".join
)
def test_stores_that_do_not_fit_together_are_refused(
    rnncli: Command, rhyme: Path, options: tuple[str, ...]
) -> None:
    rnncli("tokenize", rhyme, "-o", "a.tok")
    rnncli("tokenize", rhyme, "-o", "b.tok", *options)
    ran = rnncli("train", "a.tok", "b.tok", "--name", "x", *TINY)
    assert ran.code == 1
    assert "are not tokenized alike" in ran.err
    assert not Path("models").exists()


@pytest.mark.parametrize("order", [("rhyme.tok", "rhyme.txt"), ("rhyme.txt", "rhyme.tok")])
def test_a_store_and_a_text_together_are_refused(
    rnncli: Command, rhyme: Path, order: tuple[str, str]
) -> None:
    rnncli("tokenize", rhyme)
    ran = rnncli("train", *order, "--name", "x", *TINY)
    assert ran.code == 2
    assert "rhyme.tok is a token dataset, and not all of the others are" in ran.err
    assert not Path("models").exists()


@pytest.mark.parametrize(
    "option",
    [
        ("--valid", "rhyme.txt"),
        ("--tokenizer", "rhyme.tok"),
        ("--line-by-line",),
        ("--test-fraction", "0.1"),
        ("--split-method", "lines"),
        ("--workers", "1"),
        ("--newlines", "unix"),
    ],
    ids=" ".join,
)
def test_what_a_store_has_settled_cannot_be_said_again(
    rnncli: Command, rhyme: Path, option: tuple[str, str]
) -> None:
    rnncli("tokenize", rhyme)
    ran = rnncli("train", "rhyme.tok", *option, *TINY)
    assert ran.code == 2
    assert f"rhyme.tok is already tokenized, so {option[0]} has no effect" in ran.err
    assert not Path("models").exists()


def test_a_text_of_its_own_is_held_out(rnncli: Command, rhyme: Path) -> None:
    Path("held.txt").write_text("a page was turned\n" * 30)
    ran = rnncli("train", rhyme, "--valid", "held.txt", "--name", "x", *TINY)
    assert ran.code == 0, ran.err
    parts = parts_of(ModelDir.find("x").corpus())
    assert parts == {"train": RHYME, "valid": "a page was turned\n" * 30, "test": ""}
    own, other = rnncli("eval", "--json").json, rnncli("eval", "held.txt", "--json").json
    assert own["nll_nats"] == pytest.approx(other["nll_nats"], rel=1e-9)
    Path("held.txt").write_text("another\n")
    assert "held.txt has changed" in rnncli("train", "--resume", "x", "--steps", "8").err


def test_a_test_part_is_kept_for_the_end(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--test-fraction", "0.2", "--name", "x", *TINY)
    parts = parts_of(ModelDir.find("x").corpus())
    assert "".join(parts.values()) == RHYME
    Path("end.txt").write_text(parts["test"])
    test, other = rnncli("eval", "--split", "test", "--json").json, rnncli("eval", "end.txt", "--json").json
    assert test["text"] == "test split of rhyme.txt"
    assert test["nll_nats"] == pytest.approx(other["nll_nats"], rel=1e-9)
    assert test["tokens"] == len(RHYME) - int(len(RHYME) * 0.8)
    valid = rnncli("eval", "--split", "valid", "--json").json
    assert valid["text"] == "validation split of rhyme.txt"
    assert valid == rnncli("eval", "--json").json


def test_without_a_test_part_there_is_an_error_and_a_hint(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "x", *TINY)
    ran = rnncli("eval", "--split", "test")
    assert ran.code == 1
    assert "rhyme.txt has no test split" in ran.err
    assert "hint: train with --test-fraction 0.1" in ran.err
    assert rnncli("eval", "--split", "train").code == 2


def test_lines_that_are_drawn_are_whole_and_the_seed_says_which(rnncli: Command, own_folder: Path) -> None:
    lines = [f"line {random.Random(n).randrange(10**6)} number {n}\n" for n in range(200)]
    Path("t.txt").write_text("".join(lines))
    found = {}
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        options = (
            "--split-method",
            "lines",
            "--split-seed",
            seed,
            "--test-fraction",
            "0.05",
            "-o",
            f"{name}.tok",
        )
        ran = rnncli("tokenize", "t.txt", *options)
        assert ran.code == 0, ran.err
        found[name] = parts_of(TokenDataset.open(Path(f"{name}.tok")))
    assert found["one"] == found["again"] != found["other"]
    for parts in found.values():
        split = {name: text.splitlines(keepends=True) for name, text in parts.items()}
        assert {name: len(drawn) for name, drawn in split.items()} == {"train": 170, "valid": 20, "test": 10}
        assert sorted(line for drawn in split.values() for line in drawn) == sorted(lines)
        for drawn in split.values():
            assert drawn == [line for line in lines if line in drawn], "in their order"


def test_a_pattern_says_what_a_word_is(rnncli: Command, rhyme: Path) -> None:
    options = ("--level", "word", "--pattern", r"\w+|[^\w\s]")
    ran = rnncli("train", rhyme, "--name", "x", *options, *TINY)
    assert ran.code == 0, ran.err
    store = ModelDir.find("x").corpus()
    assert "".join(parts_of(store).values()) == RHYME, "no blank and no comma is lost"
    written = rnncli("generate", "--prompt", "The  rain,", "--length", "6")
    assert written.out.startswith("The  rain,")
    assert rnncli("eval", rhyme, "--json").json["characters"] == len(RHYME)


def test_a_failed_training_from_a_damaged_store_leaves_nothing(rnncli: Command, rhyme: Path) -> None:
    rnncli("tokenize", rhyme, "-o", "stores/a.tok")
    Path("stores/a.tok/tokens.bin").write_bytes(b"abc")
    ran = rnncli("train", "stores/a.tok", *TINY)
    assert ran.code == 1
    assert "tokens.bin does not have the recorded length" in ran.err
    assert nothing_is_left()
