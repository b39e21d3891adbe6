"""Times and other amounts as people type them."""

import pytest

from rnncli.cli.options import models_or_default
from rnncli.errors import OptionError
from rnncli.training.config import Amount, BudgetOptions, Interval, parse_epochs, parse_steps, parse_time


@pytest.mark.parametrize(
    ("text", "value"),
    [("90s", 90.0), ("5m", 300.0), ("1h30m", 5400.0), ("1.5h", 5400.0), ("2d", 172_800.0), (" 10M ", 600.0)],
)
def test_a_time_has_its_units(text: str, value: float) -> None:
    assert parse_time(text) == Amount(value)


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5m", "0s", "5m later", "1e3s", "nan"])
def test_a_time_without_units_or_sense_is_wrong_usage(text: str) -> None:
    with pytest.raises(OptionError):
        parse_time(text)


def test_a_plus_asks_for_more_than_is_used_up() -> None:
    assert parse_time("+10m") == Amount(600.0, further=True)
    assert parse_steps("+500").total(used=1_500.0) == 2_000.0
    assert parse_epochs("2.5").total(used=1.0) == 2.5


@pytest.mark.parametrize("text", ["", "+", "2.5", "many", "-3", "0", "++4"])
def test_steps_are_a_whole_number_above_zero(text: str) -> None:
    with pytest.raises(OptionError):
        parse_steps(text)


@pytest.mark.parametrize("text", ["", "nan", "inf", "-1", "0", "ten"])
def test_epochs_are_a_number_above_zero(text: str) -> None:
    with pytest.raises(OptionError):
        parse_epochs(text)


def test_python_may_give_numbers() -> None:
    budget = BudgetOptions(time=300, steps=20, save_every=5)
    assert budget.time_amount == Amount(300.0)
    assert budget.steps_amount == Amount(20)
    assert budget.save_interval == Interval(steps=5)
    assert BudgetOptions(save_every="30s").save_interval == Interval(seconds=30.0)
    for wrong in ({"time": 0}, {"time": float("inf")}, {"steps": 2.5}, {"epochs": -1.0}, {"save_every": "0"}):
        with pytest.raises(OptionError):
            BudgetOptions(**wrong)  # type: ignore[arg-type]


def test_a_model_that_the_environment_names_may_have_blanks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RNNCLI_MODEL", "models/my novel")
    assert models_or_default(None) == ["models/my novel"]
    assert models_or_default(["a", "b"]) == ["a", "b"]
    monkeypatch.setenv("RNNCLI_MODEL", "")
    assert models_or_default(None) == [None]
