"""`rnncli info --gradients`, from the command line."""

from pathlib import Path

import pytest

from tests.cli.conftest import TINY, Command


@pytest.mark.parametrize("lines", [(), ("--line-by-line",)])
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_the_gradient_is_shown_and_given_as_numbers(
    rnncli: Command, rhyme: Path, lines: tuple[str, ...], cell: str
) -> None:
    rnncli("train", rhyme, "--name", "x", *lines, "--cell", cell, "--num-layers", "2", *TINY)
    shown = rnncli("info", "x", "--gradients")
    assert shown.code == 0, shown.err
    assert "layers.1: steps back" in shown.out
    assert "training cut gradients after 16 steps" in shown.out
    norms = rnncli("info", "x", "--gradients", "--json").json["gradient_norm_by_layer_and_distance"]
    assert list(norms) == ["layers.0", "layers.1"]
    assert norms["layers.0"][0] > norms["layers.0"][-1] >= 0.0


def test_without_the_option_nothing_is_measured(rnncli: Command, rhyme: Path) -> None:
    rnncli("train", rhyme, "--name", "x", *TINY)
    assert "gradient" not in rnncli("info", "x").out
    assert "gradient_norm_by_layer_and_distance" not in rnncli("info", "x", "--json").json
