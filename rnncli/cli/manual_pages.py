"""The command line as Typer knows it -> pages of a manual."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import groupby
from types import NoneType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from rnncli import __version__

_VALUES = {bool: "", int: "N", float: "X", str: "TEXT"}
_EXIT_CODES = (
    ("0", "done"),
    ("1", "an error that was foreseen: two lines on stderr, what and what next"),
    ("2", "wrong usage"),
    ("129, 130, 143", "ended by SIGHUP, Ctrl-C, SIGTERM, after saving; on Windows 149 by Ctrl-Break"),
)
_ENVIRONMENT = (
    ("RNNCLI_MODEL", "the model where --model names none"),
    ("RNNCLI_COMMAND_OPTION", "the value of an option that is not given: RNNCLI_TRAIN_HIDDEN_SIZE=512"),
    ("RNNCLI_DEBUG=1", "errors with their traceback"),
    ("NO_COLOR, TERM=dumb", "no colours, no moving bar"),
)
_FILES = (
    ("models/NAME/", "models, where a command is run"),
    ("FILE.toml", "settings by option name, with --config; the command line and RNNCLI_* come first"),
)


@dataclass(frozen=True)
class Parameter:
    """An argument or option as people write it; `default` is empty where there is none to tell."""

    names: str
    value: str
    help: str
    default: str
    panel: str
    positional: bool


@dataclass(frozen=True)
class Command:
    """`summary` is the first line of its help, `body` the rest of it, paragraphs apart."""

    name: str
    summary: str
    body: str
    parameters: tuple[Parameter, ...]

    @property
    def usage(self) -> str:
        """As it is typed."""
        if not self.name:
            return "rnncli [OPTIONS] COMMAND ..."
        shown = [p.value for p in self.parameters if p.positional]
        return " ".join(["rnncli", self.name, "[OPTIONS]", *shown])


def described(root: Any) -> list[Command]:
    """Every command of a Typer group, in its order; those that are hidden are left out."""
    whole = [_command("", root)]
    return whole + [_command(name, one) for name, one in root.commands.items() if not one.hidden]


def as_man(commands: list[Command]) -> str:
    """A page in the man macros, for section 1."""
    lines = [
        f'.TH RNNCLI 1 "" "rnncli {__version__}" "rnncli manual"',
        *(".SH NAME", "rnncli \\- recurrent language models from the command line"),
        *(".SH SYNOPSIS", *(f".B {_roff(command.usage)}\n.br" for command in commands)),
    ]
    for command in commands:
        lines += [f".SH {_roff(command.name.upper() or 'DESCRIPTION')}", _roff(command.summary)]
        lines += [f".PP\n{_roff(part)}" for part in _paragraphs(command.body)]
        for panel, parameters in groupby(command.parameters, lambda parameter: parameter.panel):
            lines.append(f".SS {_roff(panel)}")
            lines += [
                f".TP\n.B {_roff(f'{p.names} {p.value}'.strip())}\n{_roff(_told(p))}" for p in parameters
            ]
    for title, rows in (("EXIT STATUS", _EXIT_CODES), ("ENVIRONMENT", _ENVIRONMENT), ("FILES", _FILES)):
        lines += [f".SH {title}", *(f".TP\n.B {_roff(name)}\n{_roff(means)}" for name, means in rows)]
    return "\n".join(lines) + "\n"


def as_markdown(commands: list[Command]) -> str:
    """The same as a document."""
    lines = [
        "# Commands and options",
        "",
        "Written by `rnncli manual --format markdown`, from the program itself.",
        "",
        *(f"- [`rnncli {one.name}`](#rnncli-{one.name}): {one.summary}" for one in commands if one.name),
    ]
    for command in commands:
        lines += ["", f"## rnncli {command.name}".rstrip(), "", f"    {command.usage}", "", command.summary]
        for part in _paragraphs(command.body):
            lines += ["", re.sub(r"^Example: (.*)", r"Example: `\1`", part)]
        for panel, parameters in groupby(command.parameters, lambda parameter: parameter.panel):
            lines += ["", f"| {panel} | | default |", "|---|---|---|"]
            lines += [
                f"| `{_cell(f'{p.names} {p.value}'.strip())}` | {_cell(p.help)} | {_cell(p.default)} |"
                for p in parameters
            ]
    for title, rows in (("Exit codes", _EXIT_CODES), ("Environment", _ENVIRONMENT), ("Files", _FILES)):
        lines += ["", f"## {title}", "", "| | |", "|---|---|"]
        lines += [f"| `{name}` | {means} |" for name, means in rows]
    return "\n".join(lines) + "\n"


def _command(name: str, command: Any) -> Command:
    summary, _, body = command.help.partition("\n")
    types = get_type_hints(command.callback)
    # What Typer adds of itself, such as --install-completion, are flags.
    shown = [_parameter(each, types.get(each.name, bool)) for each in command.params if not each.hidden]
    panels = list(dict.fromkeys(parameter.panel for parameter in shown))
    shown.sort(key=lambda parameter: panels.index(parameter.panel))
    return Command(name, summary.strip(), body.strip(), tuple(shown))


def _parameter(parameter: Any, kind: Any) -> Parameter:
    positional = parameter.param_type_name == "argument"
    names = "" if positional else ", ".join([*parameter.opts, *parameter.secondary_opts])
    value = _value(parameter, kind)
    panel = "Arguments" if positional else parameter.rich_help_panel or "Options"
    return Parameter(names, value, parameter.help or "", _default(parameter), panel, positional)


def _value(parameter: Any, kind: Any) -> str:
    """What stands after the name: nothing after a flag's."""
    if parameter.metavar:
        return str(parameter.metavar)
    bare = next((each for each in get_args(kind) if each is not NoneType), kind)
    if get_origin(bare) is Literal:
        return "|".join(get_args(bare))
    return "|".join(choice.value for choice in bare) if issubclass(bare, Enum) else _VALUES[bare]


def _default(parameter: Any) -> str:
    if isinstance(parameter.show_default, str):
        return parameter.show_default
    value = parameter.default
    if value is None or value == "" or isinstance(value, bool):
        return ""
    return str(value.value if isinstance(value, Enum) else value)


def _told(parameter: Parameter) -> str:
    return parameter.help + (f" Default: {parameter.default}." if parameter.default else "")


def _paragraphs(body: str) -> Iterator[str]:
    for part in re.split(r"\n\s*\n", body):
        if part.strip():
            yield " ".join(part.split())


def _roff(text: str) -> str:
    """As it is, whatever troff would read in it."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + escaped if escaped[:1] in (".", "'") else escaped


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
