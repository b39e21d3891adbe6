"""Times as people type them."""

import pytest
import typer

from rnncli.cli.parsing import seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [("90s", 90.0), ("5m", 300.0), ("1h30m", 5400.0), ("1.5h", 5400.0), ("2d", 172_800.0), (" 10M ", 600.0)],
)
def test_a_time_has_its_units(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["", "5", "m", "5 m", "-5m", "0s", "5m later", "1e3s", "nan"])
def test_a_time_without_units_or_sense_is_wrong_usage(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        seconds(text)
