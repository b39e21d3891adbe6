"""Typed options: dataclass fields with help text, range and choices, for the command line and Python."""

import dataclasses
import operator
import os
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from rnncli.errors import OptionError

_METADATA = "option"
_TYPE_NAMES = {int: "a whole number", float: "a number", bool: "True or False", str: "text"}

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptionInfo:
    """What an option field carries besides its type and default.

    Attributes:
        help: Help text, a noun phrase or an imperative.
        min: Smallest value.
        max: Largest value.
        above: The value must be more than this.
        below: The value must be less than this.
        choices: Allowed values; those of a `Literal` type need not be repeated.
        metavar: Placeholder in the help; without it, the choices or the type.
        panel: Heading in the help.
        shown: Default as shown in the help, where the field's own default says too little.
        advanced: Whether only `--help-all` shows the option.
        name: Name of the keyword and option, where it is not the field's name.
        flags: Flags of the command line, where they are not made of the name.
        parse: Function that raises OptionError for a string that is no value of this option.
    """

    help: str
    min: float | None = None
    max: float | None = None
    above: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    metavar: str | None = None
    panel: str | None = None
    shown: str | None = None
    advanced: bool = False
    name: str | None = None
    flags: tuple[str, ...] = ()
    parse: Callable[[str], object] | None = None


def option(
    default: Any,
    *,
    help: str,
    min: float | None = None,
    max: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple[str, ...] = (),
    metavar: str | None = None,
    panel: str | None = None,
    shown: str | None = None,
    advanced: bool = False,
    name: str | None = None,
    flags: tuple[str, ...] = (),
    parse: Callable[[str], object] | None = None,
) -> Any:
    """Return a dataclass field that is an option; see OptionInfo for the arguments."""
    settings = {key: value for key, value in locals().items() if key != "default"}
    return dataclasses.field(default=default, metadata={_METADATA: OptionInfo(**settings)})


@dataclasses.dataclass(frozen=True, kw_only=True)
class OptionGroup:
    """Base class of option groups: frozen, keyword-only dataclasses of options or of other groups.

    Every value is checked when a group is made. A group with more to check than types, ranges and choices
    overrides `__post_init__` and calls that of its base class first.
    """

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True)
class Option:
    """A field of an option group with its type, and the name of the keyword and command-line option."""

    name: str
    field: str
    type: Any
    default: Any
    info: OptionInfo

    @property
    def flag(self) -> str:
        """The long flag of the command line."""
        return self.info.flags[0] if self.info.flags else "--" + self.name.replace("_", "-")

    @property
    def label(self) -> str:
        """The name in a sentence."""
        return self.name.replace("_", " ")

    @property
    def types(self) -> tuple[Any, ...]:
        """The types of a union, without None."""
        union = get_origin(self.type) in (Union, types.UnionType)
        return tuple(
            kind for kind in (get_args(self.type) if union else (self.type,)) if kind is not type(None)
        )

    def without_default(self) -> "Option":
        """Return the option with None as its default; the help still shows the value that is used then."""
        info = dataclasses.replace(self.info, shown=self.info.shown or str(self.default))
        return dataclasses.replace(self, type=self.type | None, default=None, info=info)

    @property
    def optional(self) -> bool:
        return type(None) in get_args(self.type)

    @property
    def choices(self) -> tuple[str, ...]:
        literals = [kind for kind in self.types if get_origin(kind) is Literal]
        return self.info.choices or tuple(value for kind in literals for value in get_args(kind))


def own_options(kind: type) -> tuple[Option, ...]:
    """Options among the fields of a dataclass, in their order, without those of groups in it."""
    hints = get_type_hints(kind)
    return tuple(
        Option(info.name or field.name, field.name, hints[field.name], field.default, info)
        for field in dataclasses.fields(kind)
        if isinstance(info := field.metadata.get(_METADATA), OptionInfo)
    )


def inner_groups(kind: type) -> Mapping[str, type[OptionGroup]]:
    """Option groups among the fields of an option group, by field."""
    hints = get_type_hints(kind)
    return {
        field.name: group
        for field in dataclasses.fields(kind)
        for group in (*get_args(hints[field.name]), hints[field.name])
        if isinstance(group, type) and issubclass(group, OptionGroup)
    }


def all_options(kind: type[OptionGroup]) -> Iterator[Option]:
    """Options of a group and of the groups in it.

    A group that may be None is made only if one of its options is given, so that these have no default.
    """
    yield from own_options(kind)
    for name, inner in inner_groups(kind).items():
        for one in all_options(inner):
            yield one.without_default() if _may_be_none(kind, name) else one


def _may_be_none(kind: type, field: str) -> bool:
    return type(None) in get_args(get_type_hints(kind)[field])


def check(values: object, described_by: type | None = None) -> None:
    """Check types, ranges and choices.

    Args:
        values: An object with an attribute for each option.
        described_by: The option group that describes them, where that is not the class of `values`.

    Raises:
        OptionError: A value is out of range or not among the choices.
    """
    hints = get_type_hints(type(values))
    for described in own_options(described_by or type(values)):
        if described.field not in hints:
            continue
        if described_by is not None:
            info = dataclasses.replace(described.info, choices=())
            described = dataclasses.replace(described, type=hints[described.field], info=info)
        value = getattr(values, described.field)
        if not (value is None and described.optional):
            _check_value(described, value)


def _check_value(described: Option, value: object) -> None:
    info, kinds = described.info, described.types
    if described.choices:
        if value not in described.choices:
            allowed = " or ".join(filter(None, [", ".join(described.choices[:-1]), described.choices[-1]]))
            raise _error(described, value, allowed, f"for example {described.flag} {described.choices[0]}")
    elif isinstance(value, str) and info.parse is not None:
        info.parse(value)
    elif float in kinds or int in kinds:
        number = float if float in kinds else int
        if isinstance(value, bool) or not isinstance(value, int if number is int else (int, float)):
            raise _error(
                described, value, _TYPE_NAMES[number], f"leave out {described.flag}, or give it a number"
            )
        for bound, inside, words in (
            (info.min, operator.ge, "at least"),
            (info.max, operator.le, "at most"),
            (info.above, operator.gt, "more than"),
            (info.below, operator.lt, "less than"),
        ):
            if bound is not None and not inside(value, bound):  # NaN is inside nothing
                raise _error(
                    described,
                    value,
                    f"{words} {_number(bound)}",
                    f"leave out {described.flag}, or give it a value {_range(info)}",
                )
    elif bool in kinds and not isinstance(value, bool):
        raise _error(described, value, _TYPE_NAMES[bool], f"leave out {described.flag}, or give it no value")
    elif get_origin(described.type) is tuple:
        for one in value if isinstance(value, tuple) else (value,):
            if not isinstance(one, str):
                raise _error(described, one, _TYPE_NAMES[str], f"leave out {described.flag}")
    elif str in kinds and not isinstance(value, str):
        raise _error(described, value, _TYPE_NAMES[str], f"leave out {described.flag}")


def _range(info: OptionInfo) -> str:
    """All bounds in words: "from 1 to 64", "more than 0 and less than 1"."""
    if info.min is not None and info.max is not None:
        return f"from {_number(info.min)} to {_number(info.max)}"
    bounds = (
        ("of at least", info.min),
        ("more than", info.above),
        ("of at most", info.max),
        ("less than", info.below),
    )
    return " and ".join(f"{words} {_number(bound)}" for words, bound in bounds if bound is not None)


def _number(bound: float) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


def _error(described: Option, value: object, allowed: str, hint: str) -> OptionError:
    shown = f"{value:,}" if type(value) is int else repr(value)
    return OptionError(f"{described.label} is {shown}; it must be {allowed}", hint=hint)


def build(kind: type[T], given: Mapping[str, object]) -> T:
    """Make an option group of keyword arguments.

    Args:
        kind: An option group, or one of several groups; the options of all of them are known by their names.
            A group inside may also be given as an object, by its field's name; options that are given
            besides it replace its own.
        given: Values by name.

    Raises:
        OptionError: A name is unknown, or a value is out of range.
    """
    group = cast(type[OptionGroup], kind)
    known = [*_names(group)]
    for name in given:
        if name not in known:
            near = get_close_matches(name, known, 1)
            raise OptionError(
                f"there is no option {name!r}",
                hint=f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}",
            )
    return cast(T, _built(group, given))


def _names(kind: type[OptionGroup]) -> Iterator[str]:
    yield from (described.name for described in own_options(kind))
    for name, inner in inner_groups(kind).items():
        yield name
        yield from _names(inner)


def _built(
    kind: type[OptionGroup], given: Mapping[str, object], base: OptionGroup | None = None
) -> OptionGroup:
    values = {one.field: _as_tuple(one, given[one.name]) for one in own_options(kind) if one.name in given}
    for name, inner in inner_groups(kind).items():
        object_given = given.get(name, None if base is None else getattr(base, name))
        if object_given is not None and not isinstance(object_given, inner):
            raise OptionError(f"{name} is {object_given!r}", hint=f"give an object of {inner.__name__}")
        is_given = object_given is not None or not given.keys().isdisjoint(_names(inner))
        if is_given or not _may_be_none(kind, name):
            values[name] = _built(inner, given, object_given)
        else:
            values[name] = None
    return kind(**values) if base is None else dataclasses.replace(base, **cast(dict[str, Any], values))


def _as_tuple(described: Option, value: object) -> object:
    """Return the value of an option that takes several texts as a tuple of texts; None is its default."""
    if get_origin(described.type) is not tuple:
        return value
    if value is None:
        return described.default
    several = isinstance(value, Iterable) and not isinstance(value, str | os.PathLike)
    values: Iterable[object] = cast(Iterable[object], value) if several else (value,)
    return tuple(os.fspath(one) if isinstance(one, os.PathLike) else one for one in values)


def overridden(config: T, options: OptionGroup, **more: object) -> T:
    """Return a dataclass with the values of options in place of its own.

    Args:
        config: The dataclass; options for which it has no field are left out.
        options: Options, of which those that are None replace nothing.
        more: Values that replace both.
    """
    fields = {field.name for field in dataclasses.fields(cast(Any, config))}
    values = {one.field: getattr(options, one.field) for one in own_options(type(options))} | more
    given = {name: value for name, value in values.items() if name in fields and value is not None}
    return cast(T, dataclasses.replace(cast(Any, config), **given))


def given_options(options: OptionGroup) -> tuple[Option, ...]:
    """Return the options whose values are not their defaults, those of groups inside included."""
    own = tuple(one for one in own_options(type(options)) if getattr(options, one.field) != one.default)
    inner = (getattr(options, name) for name in inner_groups(type(options)))
    return sum((given_options(group) for group in inner if group is not None), own)
