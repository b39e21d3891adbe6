"""The n-gram beside a network, from the command line."""

import re
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
    for word in ("network", "4-gram", "interpolated", "4-gram beats network by"):
        assert word in ran.out
    record = trained("eval", "--json").json
    network, ngram, interpolated = record["models"]
    assert [model["name"] for model in record["models"]] == ["network", "4-gram", "interpolated"]
    assert network["nll_nats"] == pytest.approx(before["nll_nats"], rel=1e-5)
    assert record["nll_nats"] == interpolated["nll_nats"], "the model as a whole"
    assert max(interpolated["nll_nats"], ngram["nll_nats"]) < network["nll_nats"], "six steps teach nothing"
    assert trained("eval").out == ran.out


def test_its_order_follows_the_level(rnncli: Command, rhyme: Path) -> None:
    for level, order in (("char", 7), ("word", 5)):
        assert rnncli("train", rhyme, "--name", level, "--level", level, *TINY).code == 0
        assert rnncli("ngram", level, "--json").json["models"][1]["name"] == f"{order}-gram"


def test_train_puts_it_there_at_its_end(rnncli: Command, rhyme: Path) -> None:
    ran = rnncli("train", rhyme, "--name", "x", "--ngram", "3", "--line-by-line", *TINY)
    assert ran.code == 0, ran.err
    assert "3-gram" in ran.err
    assert rnncli("eval", "--json").json["models"][1]["name"] == "3-gram"


def test_another_text_is_scored_by_all_three(trained: Command, own_folder: Path) -> None:
    trained("ngram", "x", "--order", "3")
    (own_folder / "other.txt").write_text("the rain came down, the rain came more;\n" * 30)
    record = trained("eval", "other.txt", "--json").json
    network, ngram, interpolated = (model["nll_nats"] for model in record["models"])
    assert max(ngram, interpolated) < network


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
        assert ran.code == 2
        assert re.search(f"(order|ngram) is {order}; it must be at (least 1|most 16)", ran.err)
    assert not Path("models/y").exists()


def test_adaptive_figures_stand_apart(trained: Command) -> None:
    static = trained("eval", "--json").json
    record = trained("eval", "--json", "--dynamic", "--cache-size", "100").json
    assert {key: value for key, value in record.items() if key != "dynamic"} == static
    assert record["dynamic"]["tokens"] == static["tokens"]
    assert record["dynamic"]["nll_nats"] != static["nll_nats"]
    assert (
        record["dynamic"]["method"] == "network with dynamic evaluation, learning rate 0.0003, "
        "cache of 100 tokens with weight 0.1 and flatness 0.3"
    )
    shown = trained("eval", "--cache").out
    assert shown.startswith(trained("eval").out)
    assert "dynamic: network, cache of 2,000 tokens" in shown
    assert "do not compare" in shown


def test_lines_by_themselves_have_nothing_to_adapt_along(rnncli: Command, rhyme: Path) -> None:
    assert rnncli("train", rhyme, "--name", "x", "--line-by-line", *TINY).code == 0
    ran = rnncli("eval", "--cache")
    assert ran.code == 2
    assert "whose state is never reset" in ran.err
    assert rnncli("eval", "--cache", "--reset", "never").code == 0
