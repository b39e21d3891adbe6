"""Files of options: `--config FILE.toml`."""

import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import typer


def settings_file(context: typer.Context, path: Path | None) -> Path | None:
    """Make the keys of a TOML file the defaults of the options; an unknown key is a usage error."""
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
    for given, value in settings.items():
        key = given.replace("_", "-")
        if key not in names or names[key] in ("config", "help", "help_all"):
            near = get_close_matches(key, names, 1)
            raise typer.BadParameter(
                f"{path}: unknown key {given!r}" + (f"; did you mean {near[0]!r}?" if near else "")
            )
        defaults[names[key] or key] = (
            str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        )
    context.default_map = {**(context.default_map or {}), **defaults}
    return path
