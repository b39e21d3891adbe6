"""The n-gram beside a network, from the command line."""

from pathlib import Path

import pytest

from tests.cli.conftest import TINY, Command


@pytest.fixture
def trained(rnncli: Command, rhyme: Path) -> Command:
    assert rnncli("train", rhyme, "--name", "x", *TINY).code == 0
    return rnncli


def test_ngram_puts_one_beside_the_network_and_shows_all_three(trained: Command) -> None:
    before = trained("eval", "--json").json
    ran = trained("ngram", "x", "--order", "4")
    assert ran.code == 0, ran.err
    for word in ("network", "4-gram", "mixture", "the 4-gram beats the network"):
        assert word in ran.out
    record = trained("eval", "--json").json
    assert record["network"]["nats"] == pytest.approx(before["nats"], rel=1e-5)
    assert record["ngram"]["order"] == 4
    assert max(record["nats"], record["ngram"]["nats"]) < record["network"]["nats"], "six steps teach nothing"
    assert trained("eval").out == ran.out


def test_its_order_follows_the_level(rnncli: Command, rhyme: Path) -> None:
    for level, order in (("char", 7), ("word", 5)):
        assert rnncli("train", rhyme, "--name", level, "--level", level, *TINY).code == 0
        assert rnncli("ngram", level, "--json").json["ngram"]["order"] == order


def test_train_puts_it_there_at_its_end(rnncli: Command, rhyme: Path) -> None:
    ran = rnncli("train", rhyme, "--name", "x", "--ngram", "3", "--unit", "line", *TINY)
    assert ran.code == 0, ran.err
    assert "3-gram" in ran.err
    assert rnncli("eval", "--json").json["ngram"]["order"] == 3


def test_another_text_is_scored_by_all_three(trained: Command, own_folder: Path) -> None:
    trained("ngram", "x", "--order", "3")
    (own_folder / "other.txt").write_text("the rain came down, the rain came more;\n" * 30)
    record = trained("eval", "other.txt", "--json").json
    assert record["ngram"]["nats"] < record["network"]["nats"]
    assert record["nats"] < record["network"]["nats"]


def test_it_writes_with_the_mixture(trained: Command) -> None:
    alone = trained("generate", "--prompt", "the ra", "--length", "60", "--seed", "1").out
    trained("ngram", "x", "--order", "6")
    mixed = trained("generate", "--prompt", "the ra", "--length", "60", "--seed", "1").out
    assert mixed != alone
    assert mixed.startswith("the rain came"), "what the text says again and again"


@pytest.mark.parametrize("order", ["0", "17", "-1"])
def test_an_order_out_of_bounds_is_refused_before_anything_is_done(
    trained: Command, rhyme: Path, order: str
) -> None:
    for command in (("ngram", "x", "--order", order), ("train", rhyme, "--name", "y", "--ngram", order)):
        ran = trained(*command)
        assert ran.code == 1
        assert f"the order of an n-gram is {order}" in ran.err
    assert not Path("models/y").exists()
