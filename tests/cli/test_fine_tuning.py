"""`train --from`: a model that begins where another ended."""

from pathlib import Path

import pytest

from rnncli.storage.model_dir import ModelDir
from tests.cli.conftest import TINY, Command

TRAINING = TINY[:2] + TINY[6:]  # the sizes come with the weights


def test_symbols_are_matched_and_new_ones_counted(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "old", *TINY)
    Path("other.txt").write_text("A lamp was lit: 3 times, 7 times.\n" * 20, encoding="utf-8")
    ran = rnncli("train", "other.txt", "--from", "old", "--name", "new", *TRAINING)
    assert ran.code == 0, ran.err
    old, new = ModelDir.find("old"), ModelDir.find("new")
    known = old.record().model.vocab_size
    assert f"starting from old, step 6: {known} of its {known} tokens are in this text, 4 are new" in ran.err
    assert new.record().model.vocab_size == known + 4, "A, 3, 7 and the colon"
    assert new.record().model.hidden_size == 12
    assert rnncli("generate", "-m", "new", "--length", "5").code == 0


def test_it_begins_better_than_nothing(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "old", *TINY[2:], "--steps", "150", "--learning-rate", "0.02")
    first = rnncli("train", rhyme, "--name", "fresh", "--json", *TINY[2:], "--steps", "1").json
    begun = rnncli(
        "train", rhyme, "--from", "old", "--name", "new", "--json", *TRAINING[2:], "--steps", "1"
    ).json
    assert begun["valid"]["nats_per_token"] < first["valid"]["nats_per_token"] - 0.5


@pytest.mark.parametrize("level", ["byte", "subword", "word"])
def test_every_level_can_be_gone_on_with(rnncli: Command, rhyme: Path, level: str) -> None:
    rnncli("train", rhyme, "--name", "old", "--level", level, *TINY)
    ran = rnncli("train", rhyme, "--from", "old", "--name", "new", *TRAINING)
    assert ran.code == 0, ran.err
    assert "0 are new" in ran.err
    assert ModelDir.find("new").record().level == level


def test_new_words_are_cut_as_the_old_ones_were(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "old", "--level", "word", "--pattern", r"\w+|[^\w\s]", *TINY)
    Path("more.txt").write_text("a lantern, a lantern, was lit\n" * 40)
    ran = rnncli("train", "more.txt", "--from", "old", "--name", "new", *TRAINING)
    assert ran.code == 0, ran.err
    tokenizer = ModelDir.find("new").tokenizer()
    assert "lantern" in tokenizer.words  # type: ignore[attr-defined]
    assert "lantern," not in tokenizer.words  # type: ignore[attr-defined]


def test_a_token_store_is_matched_too(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "old", *TINY)
    rnncli("tokenize", rhyme, "-o", "r.tok", "--level", "char")
    assert "0 are new" in rnncli("train", "r.tok", "--from", "old", "--name", "new", *TRAINING).err


def test_lines_stay_lines(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "old", "--line-by-line", *TINY)
    rnncli("train", rhyme, "--from", "old", "--name", "new", *TRAINING)
    assert ModelDir.find("new").record().line_by_line


@pytest.mark.parametrize(
    "option", [("--cell", "lstm"), ("--hidden-size", "9"), ("--level", "byte"), ("--tokenizer", "old")]
)
def test_what_the_model_settles_cannot_be_asked_for(
    rnncli: Command, rhyme: Path, option: tuple[str, str]
) -> None:
    rnncli("train", rhyme, "--name", "old", *TINY)
    ran = rnncli("train", rhyme, "--from", "old", "--name", "new", *option)
    assert ran.code == 2
    assert f"{option[0]} is settled by --from old" in ran.err
    assert not Path("models/new").exists()


def test_a_store_of_another_level_is_refused(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "old", *TINY)
    rnncli("tokenize", rhyme, "-o", "r.tok", "--level", "byte")
    ran = rnncli("train", "r.tok", "--from", "old", "--name", "new", *TRAINING)
    assert ran.code == 1
    assert "has level char, and the text is tokenized at level byte" in ran.err
    assert not Path("models/new").exists()


@pytest.mark.parametrize("level", ["char", "subword"])
def test_a_model_elsewhere_is_gone_on_with_by_its_path(rnncli: Command, rhyme: Path, level: str) -> None:
    """And not one of the same name that lies under models/."""
    rnncli("train", rhyme, "--name", "old", "--level", level, *TINY)
    Path("models/old").rename("elsewhere")
    rnncli("train", rhyme, "--name", "old", "--level", "byte", *TINY)
    ran = rnncli("train", rhyme, "--from", "elsewhere", "--name", "new", *TRAINING)
    assert ran.code == 0, ran.err
    assert ModelDir.find("new").record().level == level
