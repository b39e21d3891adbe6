"""What a person types as a value: times, and files of settings."""

import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import typer

_UNIT_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_AMOUNT = r"\d+(?:\.\d+)?"


def seconds(text: str) -> float:
    """ "90s", "5m", "1h30m" -> seconds; usage error (exit 2) for anything else, such as "5"."""
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
