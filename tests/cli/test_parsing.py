"""Times as people type them."""

import pytest
import typer

from rnncli.cli.options import models_or_usual
from rnncli.cli.parsing import Amount, count, passes, seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [("90s", 90.0), ("5m", 300.0), ("1h30m", 5400.0), ("1.5h", 5400.0), ("2d", 172_800.0), (" 10M ", 600.0)],
)
def test_a_time_has_its_units(text: str, value: float) -> None:
    assert seconds(text) == Amount(value)


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5m", "0s", "5m later", "1e3s", "nan"])
def test_a_time_without_units_or_sense_is_wrong_usage(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        seconds(text)


def test_a_plus_asks_for_more_than_is_used_up() -> None:
    assert seconds("+10m") == Amount(600.0, further=True)
    assert count("+500").total(used=1_500.0) == 2_000.0
    assert passes("2.5").total(used=1.0) == 2.5


@pytest.mark.parametrize("text", ["", "+", "2.5", "many", "-3", "0", "++4"])
def test_steps_are_a_whole_number_above_zero(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        count(text)


@pytest.mark.parametrize("text", ["", "nan", "inf", "-1", "0", "ten"])
def test_epochs_are_a_number_above_zero(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        passes(text)


def test_a_model_that_the_environment_names_may_have_blanks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNCLI_MODEL", "models/my novel")
    assert models_or_usual(None) == ["models/my novel"]
    assert models_or_usual(["a", "b"]) == ["a", "b"]
    monkeypatch.setenv("RNNCLI_MODEL", "")
    assert models_or_usual(None) == [None]
