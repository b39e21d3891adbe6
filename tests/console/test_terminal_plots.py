"""The plot of gradients: within 80 columns, with no colors where none are wanted."""

import math
from itertools import pairwise

import pytest

from rnncli.console.terminal_plots import log_bars, show_gradients
from rnncli.results import GradientNorms

FADING = tuple(0.5**distance for distance in range(128))


def test_equal_ratios_are_equal_differences_in_length() -> None:
    lengths = [len(bar) for bar in log_bars([1.0, 0.1, 0.01, 0.001])]
    assert lengths[0] == 44
    steps = [a - b for a, b in pairwise(lengths)]
    assert max(steps) - min(steps) <= 1
    assert lengths[-1] == 1


def test_what_is_no_number_has_no_bar() -> None:
    assert log_bars([1.0, 0.0, math.nan, math.inf]) == ["█" * 44, "", "", ""]
    assert log_bars([0.0]) == [""]


@pytest.mark.parametrize("first", [0.0, math.nan, math.inf])
def test_nothing_is_measured_against_what_is_no_number(
    first: float, capsys: pytest.CaptureFixture[str]
) -> None:
    show_gradients(GradientNorms(1, {"layers.0": (first, 1.0, 0.001)}), bptt=64)
    out = capsys.readouterr().out
    assert f"the decay cannot be measured: the norm one step back is {first:.3g}" in out
    assert "to a tenth" not in out


def test_the_plot_says_when_the_gradient_is_gone(capsys: pytest.CaptureFixture[str]) -> None:
    show_gradients(GradientNorms(32, {"layers.0": FADING, "layers.1": (1.0,) * 128}), bptt=64)
    out = capsys.readouterr().out
    assert "it falls to a tenth after 5 steps, to a hundredth after 8 steps" in out
    assert "not to a tenth in 128 steps" in out
    assert "training cut gradients after 64 steps" in out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= 80
