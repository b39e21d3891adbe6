"""Several models on one text: side by side, also between tokenizers."""

import math
from pathlib import Path

import pytest

from tests.cli.conftest import TINY, Command, words


@pytest.fixture
def models(rnncli: Command, rhyme: Path) -> Command:
    for name, steps, level in (
        ("a", "6", "char"),
        ("b", "60", "char"),
        ("w", "6", "word"),
        ("s", "6", "subword"),
    ):
        settings = [setting if setting != "6" else steps for setting in TINY]
        ran = rnncli("train", rhyme, "--name", name, "--level", level, *settings)
        assert ran.code == 0, ran.err
    return rnncli


def test_the_better_of_two_models_is_named_with_its_lead(models: Command, rhyme: Path) -> None:
    record = models("eval", rhyme, "-m", "a", "-m", "b", "--json").json
    alone = [models("eval", rhyme, "-m", name, "--json").json for name in ("a", "b")]
    assert [model["name"] for model in record["models"]] == ["a", "b"]
    for side, single in zip(record["models"], alone, strict=True):
        assert side["nll_nats"] == pytest.approx(single["nll_nats"], rel=1e-6)
    (gap,) = record["differences"]
    assert (gap["better"], gap["worse"], gap["unit"]) == ("b", "a", "character")
    expected = (alone[0]["nll_nats"] - alone[1]["nll_nats"]) / alone[0]["characters"]
    assert gap["nats_per_unit"] == pytest.approx(expected, rel=1e-6)
    assert 0.0 < gap["nats_per_unit_ci_low"] < gap["nats_per_unit"] < gap["nats_per_unit_ci_high"]
    shown = models("eval", rhyme, "-m", "a", "-m", "b").out
    assert "b beats a by" in shown


def test_models_with_other_tokenizers_are_compared_by_character(models: Command, rhyme: Path) -> None:
    record = models("eval", rhyme, "-m", "a", "-m", "w", "-m", "s", "--json").json
    assert [model["characters"] for model in record["models"]] == [len(rhyme.read_text())] * 3
    assert len({model["tokens"] for model in record["models"]}) == 3
    assert len(record["differences"]) == 2
    assert len({gap["better"] for gap in record["differences"]}) == 1
    shown = models("eval", rhyme, "-m", "a", "-m", "w").out
    row = next(line for line in shown.splitlines() if line.startswith("tokens"))
    assert [number.replace(",", "") for number in row.split()[1:]] == [
        str(model["tokens"]) for model in record["models"][:2]
    ]


def test_an_ngram_counts_for_its_model(models: Command, rhyme: Path) -> None:
    models("ngram", "a", "--order", "5")
    record = models("eval", rhyme, "-m", "a", "-m", "b", "--json").json
    assert record["differences"][0]["better"] == "a"


def test_several_models_need_a_text_and_do_not_adapt(models: Command, rhyme: Path) -> None:
    for arguments in (("eval", "-m", "a", "-m", "b"), ("eval", rhyme, "-m", "a", "-m", "b", "--cache")):
        ran = models(*arguments)
        assert ran.code == 2
        assert "2 models are compared on a given text" in ran.err


def test_a_model_can_be_named_by_the_environment(
    models: Command, rhyme: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RNNCLI_MODEL", "models/a")
    assert models("eval", "--json").json["model"] == "a"


def test_a_score_has_an_interval(models: Command, rhyme: Path) -> None:
    record = models("eval", rhyme, "-m", "b", "--json").json
    assert record["nats_per_token_ci_low"] < record["nats_per_token"] < record["nats_per_token_ci_high"]
    assert "95% confidence interval" in models("eval", rhyme, "-m", "b").out


@pytest.mark.parametrize("rule", ["line", "sentence"])
@pytest.mark.parametrize("name", ["b", "w"])
def test_a_memory_that_is_emptied_is_that_of_pieces_by_themselves(
    models: Command, own_folder: Path, name: str, rule: str
) -> None:
    """The same pieces, each in a file of its own: what stands before them changes nothing."""
    pieces = ["the rain came more;\n", "a lamp was lit.\n", "and what was lost?\n"]
    (own_folder / "all.txt").write_text("".join(pieces))
    together = models("eval", "all.txt", "-m", name, "--reset", rule, "--json").json
    apart = []
    for number, piece in enumerate(pieces):
        (own_folder / f"{number}.txt").write_text(piece)
        apart.append(models("eval", f"{number}.txt", "-m", name, "--json").json["nll_nats"])
    assert together["nll_nats"] == pytest.approx(sum(apart), rel=1e-5)
    whole = models("eval", "all.txt", "-m", name, "--json").json
    assert whole["nll_nats"] != pytest.approx(together["nll_nats"], rel=1e-5)
    assert whole["tokens"] == together["tokens"]


def test_every_file_is_a_document(models: Command, own_folder: Path) -> None:
    texts = ["the rain came down.\nthe rain\n", "a lamp was lit. A page\n"]
    for number, text in enumerate(texts):
        (own_folder / f"{number}.txt").write_text(text)
    named = ("0.txt", "1.txt", "-m", "b", "--json")
    together = models("eval", *named, "--reset", "document").json
    apart = [models("eval", f"{number}.txt", "-m", "b", "--json").json["nll_nats"] for number in range(2)]
    assert together["nll_nats"] == pytest.approx(sum(apart), rel=1e-5)
    assert models("eval", *named).json["nll_nats"] != pytest.approx(together["nll_nats"], rel=1e-5)
    own = models("eval", "-m", "b", "--reset", "document")
    assert own.code == 2
    assert "where documents begin" in own.err


@pytest.mark.parametrize("name", ["a", "w", "s"])
def test_line_ends_are_those_of_the_text_at_every_level(models: Command, rhyme: Path, name: str) -> None:
    record = models("eval", rhyme, "-m", name, "--json").json
    assert record["line_ends"] == rhyme.read_text().count("\n")


def test_unknown_words_are_left_out_or_shared_and_counted(models: Command, own_folder: Path) -> None:
    (own_folder / "new.txt").write_text("the zebra came more;\na quagga was what\n")
    record = models("eval", "new.txt", "-m", "w", "--oov-types", "1000", "--json").json
    assert (record["oov_tokens"], record["oov_rate"], record["line_ends"]) == (2, 0.2, 2)
    known = math.exp((record["nll_nats"] - record["oov_nll_nats"]) / 8)
    assert record["in_vocabulary_token_perplexity"] == pytest.approx(known)
    assert record["open_vocabulary_token_perplexity"] == pytest.approx(record["token_perplexity"] * 1000**0.2)
    shown = models("eval", "new.txt", "-m", "w", "--oov-types", "1000").out
    assert "per token, without <unk>" in shown
    assert "<unk> shared by 1,000 types" in shown


def test_what_is_unknown_stays_so_where_memory_is_emptied(rnncli: Command, own_folder: Path) -> None:
    """Words by a pattern: <unk> in a text would be three of them."""
    (own_folder / "words.txt").write_text(
        "a cat sat. a cat ran. a dog sat.\n" * 20 + "a zebra sat. a cat ran.\n" * 4
    )
    settings = ("--level", "word", "--pattern", r"\w+", "--valid-fraction", "0.15", *TINY)
    assert rnncli("train", "words.txt", "--name", "p", *settings).code == 0
    never, line = (rnncli("eval", "--reset", rule, "--json").json for rule in ("never", "line"))
    assert never["oov_tokens"] == line["oov_tokens"] == 4
    assert never["tokens"] == line["tokens"]
    ran = rnncli("eval", "--reset", "sentence")
    assert ran.code == 2
    assert "its sentences" in ran.err


def test_chunks_say_that_they_are_not_exact(models: Command, own_folder: Path, rhyme: Path) -> None:
    (own_folder / "long.txt").write_text(rhyme.read_text() * 3)
    exact = models("eval", "long.txt", "-m", "b", "--json").json
    split = models("eval", "long.txt", "-m", "b", "--chunks", "8", "--json").json
    assert "chunked_scoring" not in exact
    assert (split["chunked_scoring"]["chunks"], split["chunked_scoring"]["overlap_tokens"]) == (8, 512)
    assert split["nats_per_token"] == pytest.approx(exact["nats_per_token"], abs=1e-4)
    short = models("eval", rhyme, "-m", "w", "--chunks", "8", "--json").json
    assert "chunked_scoring" not in short, "it is not worth two streams"
    assert "not exact: in 8 chunks" in models("eval", "long.txt", "-m", "b", "--chunks", "8").out
    refused = models("eval", "long.txt", "-m", "b", "--chunks", "8", "--reset", "line")
    assert (refused.code, "is not scored in chunks" in refused.err) == (2, True)


def test_the_settings_of_learning_are_found_on_the_held_out_part(models: Command, rhyme: Path) -> None:
    record = models("eval", rhyme, "-m", "a", "--dynamic", "--cache", "--tune", "--json").json
    assert record["dynamic"]["method"].endswith("; tuned on the validation split")
    assert "flatness" in record["dynamic"]["method"]
    own = models("eval", "-m", "a", "--cache", "--tune", "--json").json["dynamic"]["method"]
    assert own.endswith("; tuned on this very text")
    fixed = models("eval", rhyme, "-m", "a", "--dynamic", "--cache", "--json").json
    assert record["dynamic"]["nll_nats"] < fixed["dynamic"]["nll_nats"]
    assert record["nll_nats"] == fixed["nll_nats"]
    for arguments, named in (
        (("--tune",), "there is nothing to tune"),
        (("--tune", "--dynamic-lr", "0.1"), "--tune finds --dynamic-lr itself"),
        (("--cache-flatness", "0"), "cache flatness is 0.0; it must be more than 0"),
    ):
        ran = models("eval", "-m", "a", *arguments)
        assert ran.code == 2
        assert named in ran.err


def test_the_own_part_can_be_taken_line_by_line_too(models: Command, rhyme: Path) -> None:
    never, line = (models("eval", "-m", "b", "--reset", rule, "--json").json for rule in ("never", "line"))
    assert models("eval", "-m", "b", "--json").json == never
    assert never["tokens"] == line["tokens"]
    assert never["nll_nats"] != line["nll_nats"]


@pytest.mark.parametrize("by", ["position", "frequency", "line"])
def test_the_loss_can_be_broken_down(models: Command, rhyme: Path, by: str) -> None:
    models("ngram", "a", "--order", "3")
    for name in ("a", "b"):
        record = models("eval", rhyme, "-m", name, "--by", by, "--json").json
        rows = record[f"by_{by}"]
        if by != "line":
            assert sum(row["tokens"] for row in rows) == record["tokens"]
            nats = sum(row["tokens"] * row["nats_per_token"] for row in rows)
            assert nats == pytest.approx(record["nll_nats"], rel=1e-6)
        shown = models("eval", rhyme, "-m", name, "--by", by).out
        assert f"by {by}" in shown
        assert "█" in shown


def test_figures_by_line_are_whole_where_the_terminal_is_narrow(
    models: Command, own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    (own_folder / "long.txt").write_text(
        "the rain came down, and a lamp was lit, and a page was turned\n" * 3
    )
    ran = models("eval", "long.txt", "-m", "a", "--by", "line")
    rows = [row for row in ran.out.splitlines() if "█" in row]
    assert rows
    assert all(len(row) <= 80 and row.endswith("%") for row in rows)
    assert all("…" not in row.split("█")[-1] for row in rows)


def test_a_split_of_the_own_text_is_none_of_another(models: Command, rhyme: Path) -> None:
    ran = models("eval", rhyme, "-m", "a", "--split", "test")
    assert ran.code == 2
    assert "a split of the model's own text" in words(ran.err)
