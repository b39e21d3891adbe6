"""What a person types as a value: times, and files of settings."""

import re
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import typer

_UNIT_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_AMOUNT = r"\d+(?:\.\d+)?"


@dataclass(frozen=True)
class Amount:
    """So much of a budget: in all, or `further`, on top of what is used up already."""

    value: float
    further: bool = False

    def total(self, used: float) -> float:
        return self.value + used if self.further else self.value


def seconds(text: str) -> Amount:
    """ "90s", "5m", "1h30m", "+10m" -> seconds; usage error (exit 2) for anything else, such as "5"."""
    return _amount(text, _seconds)


@dataclass(frozen=True)
class Interval:
    """So many steps, or so many seconds."""

    steps: int | None = None
    seconds: float | None = None


def interval(text: str) -> Interval:
    """ "200" -> steps; "30s", "5m" -> seconds."""
    if text.strip().isdecimal():
        return Interval(steps=int(count(text.strip()).value))
    return Interval(seconds=_seconds(text))


def count(text: str) -> Amount:
    """ "2000" or "+2000" -> a whole number."""
    return _amount(text, lambda number: _number(number, r"[0-9]{1,15}", "a whole number such as 2000"))


def passes(text: str) -> Amount:
    """ "10", "0.5" or "+3" -> a number."""
    return _amount(text, lambda number: _number(number, _AMOUNT, "a number such as 10 or 0.5"))


def _amount(text: str, parse: Callable[[str], float]) -> Amount:
    further = text.strip().startswith("+")
    return Amount(parse(text.strip().removeprefix("+")), further)


def _number(text: str, digits: str, wanted: str) -> float:
    if not re.fullmatch(digits, text) or float(text) == 0.0:
        raise typer.BadParameter(f"{text!r} is not {wanted}")
    return float(text)


def _seconds(text: str) -> float:
    parts = re.findall(rf"({_AMOUNT})([smhd])", text.strip().lower())
    if not parts or "".join(amount + unit for amount, unit in parts) != text.strip().lower():
        raise typer.BadParameter(f"{text!r} is not a time; write 90s, 5m or 1h30m")
    total = sum(float(amount) * _UNIT_SECONDS[unit] for amount, unit in parts)
    if total <= 0.0:
        raise typer.BadParameter(f"{text!r} leaves no time")
    return total


def settings_file(context: typer.Context, path: Path | None) -> Path | None:
    """Make the keys of a TOML file the defaults of this command's options; unknown keys are errors."""
    if path is None:
        return None
    try:
        settings = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"cannot read {path}: {error}") from error
    names = {
        option.lstrip("-"): parameter.name
        for parameter in context.command.params
        for option in parameter.opts
    }
    defaults: dict[str, Any] = {}
    for key, value in settings.items():
        if key not in names or names[key] in ("config", "help"):
            near = get_close_matches(key, names, 1)
            raise typer.BadParameter(
                f"{path}: unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            )
        defaults[names[key] or key] = (
            str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        )
    context.default_map = {**(context.default_map or {}), **defaults}
    return path
