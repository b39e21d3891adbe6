"""Command-line options of typed option groups: a command is a function whose parameters may be groups."""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from rnncli.options import Option, OptionGroup, all_options, build


class Only:
    """Offers only some options of a group: `training: Annotated[TrainingOptions, Only("seed")]`."""

    def __init__(self, *names: str) -> None:
        self.names = names


def _show_all(context: typer.Context, requested: bool) -> None:
    if requested:
        hidden = [parameter for parameter in context.command.params if getattr(parameter, "hidden", False)]
        for parameter in hidden:
            vars(parameter)["hidden"] = False
        typer.echo(context.get_help())
        for parameter in hidden:
            vars(parameter)["hidden"] = True
        raise typer.Exit


_HelpAll = Annotated[
    bool,
    typer.Option("--help-all", is_eager=True, callback=_show_all, help="Show all options and exit."),
]


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Return a function for Typer with one parameter per option; `function` gets one object per group."""
    hints = get_type_hints(function, include_extras=True)
    parameters, groups = [], dict[str, tuple[type[OptionGroup], list[str]]]()
    for name, parameter in inspect.signature(function).parameters.items():
        kind, *extras = get_args(hints[name]) if get_origin(hints[name]) is Annotated else (hints[name],)
        if not (isinstance(kind, type) and issubclass(kind, OptionGroup)):
            parameters.append(parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name]))
            continue
        only = {name for extra in extras if isinstance(extra, Only) for name in extra.names}
        offered = [option for option in all_options(kind) if not only or option.name in only]
        groups[name] = kind, [option.name for option in offered]
        parameters += [_parameter(option) for option in offered]
    parameters.append(
        inspect.Parameter("help_all", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=_HelpAll)
    )

    @wraps(function)
    def run(**values: Any) -> None:
        del values["help_all"]
        for name, (kind, names) in groups.items():
            own = {one: values.pop(one) for one in names}
            values[name] = build(kind, {one: v for one, v in own.items() if v is not None})
        function(**values)

    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run


def _parameter(option: Option) -> inspect.Parameter:
    """Typer's parameter of an option. Ranges and choices are checked by the group itself."""
    info, choices, flags = option.info, option.choices, list(option.info.flags)
    kind = option.types[0]
    if get_origin(kind) is tuple:
        kind = list[str]
    elif choices or info.parse is not None:
        kind = str
    if kind is bool and option.default is False and not flags:
        flags = [option.flag]  # without a --no-flag
    settings = typer.Option(
        *flags,
        help=info.help,
        metavar=info.metavar or "|".join(choices) or None,
        show_default=info.shown or not (option.default in (None, ()) or option.default is False),
        rich_help_panel=info.panel,
        hidden=info.advanced,
        autocompletion=(lambda incomplete: [c for c in choices if c.startswith(incomplete)])
        if choices
        else None,
    )
    optional = option.optional or option.default == ()
    return inspect.Parameter(
        option.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None if option.default == () else option.default,
        annotation=Annotated[kind | None if optional else kind, settings],
    )
