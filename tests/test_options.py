"""Option groups: one description of a value for the command line and for Python."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from rnncli.errors import ConfigError, OptionError
from rnncli.options import OptionGroup, all_options, build, check, given_options, option, overridden


def length(text: str) -> int:
    if not text.isdecimal():
        raise OptionError(f"length is {text!r}; it must be a number", hint="for example --length 5")
    return int(text)


@dataclass(frozen=True, kw_only=True)
class Sampling(OptionGroup):
    temperature: float = option(0.8, help="Temperature.", min=0, max=100)
    top_k: int = option(0, help="Most probable tokens.", min=0)
    kind: Literal["greedy", "beam", "nucleus"] | None = option(None, help="Kind.")
    fraction: float | None = option(None, help="Fraction.", above=0, below=1, name="cache_fraction")
    unique: bool = option(False, help="No duplicates.")
    prompts: tuple[str, ...] = option((), help="Prompts.")
    length: str | int | None = option(None, help="Length.", min=1, parse=length)
    name: str | None = option(None, help="Name.")


@dataclass(frozen=True, kw_only=True)
class Request(OptionGroup):
    sampling: Sampling = Sampling()
    seed: int = option(1, help="Seed.", min=0)


@dataclass(frozen=True, kw_only=True)
class SampledOrNot(OptionGroup):
    sampling: Sampling | None = None


@dataclass(frozen=True)
class Resolved:
    temperature: float = 1.0
    kind: Literal["greedy", "beam", "nucleus"] = "beam"

    def __post_init__(self) -> None:
        check(self, Sampling)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"temperature": -1.0}, "temperature is -1.0; it must be at least 0"),
        ({"temperature": 1000}, "temperature is 1,000; it must be at most 100"),
        ({"temperature": float("nan")}, "temperature is nan; it must be at least 0"),
        ({"temperature": "hot"}, "temperature is 'hot'; it must be a number"),
        ({"top_k": 2.5}, "top k is 2.5; it must be a whole number"),
        ({"top_k": True}, "top k is True; it must be a whole number"),
        ({"top_k": None}, "top k is None; it must be a whole number"),
        ({"kind": "random"}, "kind is 'random'; it must be greedy, beam or nucleus"),
        ({"fraction": 0.0}, "cache fraction is 0.0; it must be more than 0"),
        ({"fraction": 1.0}, "cache fraction is 1.0; it must be less than 1"),
        ({"unique": "yes"}, "unique is 'yes'; it must be True or False"),
        ({"length": "long"}, "length is 'long'; it must be a number"),
        ({"length": 0}, "length is 0; it must be at least 1"),
        ({"name": 5}, "name is 5; it must be text"),
    ],
)
def test_a_value_out_of_range_is_named_with_its_bound(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        Sampling(**wrong)
    assert str(caught.value) == message
    assert "--" in caught.value.hint
    assert isinstance(caught.value, ConfigError)


def test_the_hint_names_the_whole_range() -> None:
    with pytest.raises(OptionError) as caught:
        Sampling(fraction=2.0)
    assert caught.value.hint == "leave out --cache-fraction, or give it a value more than 0 and less than 1"


def test_a_resolved_configuration_has_the_same_bounds_and_no_none() -> None:
    assert Resolved(temperature=5.0, kind="greedy").kind == "greedy"
    for wrong in ({"temperature": -1.0}, {"kind": "random"}, {"kind": None}):
        with pytest.raises(OptionError):
            Resolved(**wrong)  # type: ignore[arg-type]


def test_keywords_are_found_in_all_groups() -> None:
    request = build(Request, {"seed": 5, "temperature": 0.5, "cache_fraction": 0.1, "prompts": "a"})
    assert request == Request(seed=5, sampling=Sampling(temperature=0.5, fraction=0.1, prompts=("a",)))
    assert build(Sampling, {"prompts": ["a", "b"], "length": "7"}).prompts == ("a", "b")
    assert build(Sampling, {"prompts": Path("a")}).prompts == ("a",)
    assert build(Sampling, {"prompts": [Path("a"), "b"]}).prompts == ("a", "b")
    assert build(Sampling, {"prompts": None}).prompts == ()
    for wrong in (5, [5], [None]):
        with pytest.raises(OptionError, match=r"prompts is .*; it must be text"):
            build(Sampling, {"prompts": wrong})
    assert build(Request, {}) == Request()


def test_a_group_may_be_an_object_and_keywords_replace_its_values() -> None:
    given = Sampling(temperature=0.5, top_k=3)
    assert build(Request, {"sampling": given}).sampling is not None
    assert build(Request, {"sampling": given, "top_k": 9}).sampling == Sampling(temperature=0.5, top_k=9)
    with pytest.raises(OptionError, match="sampling is 5"):
        build(Request, {"sampling": 5})


def test_a_group_that_may_be_none_is_made_if_one_of_its_options_is_given_even_its_default() -> None:
    assert build(SampledOrNot, {}).sampling is None
    assert build(SampledOrNot, {"sampling": None}).sampling is None
    assert build(SampledOrNot, {"top_k": 0}).sampling == Sampling()
    assert build(SampledOrNot, {"sampling": Sampling(top_k=3), "temperature": 0.5}).sampling == Sampling(
        top_k=3, temperature=0.5
    )
    assert given_options(SampledOrNot()) == ()
    assert [one.name for one in given_options(SampledOrNot(sampling=Sampling(top_k=3)))] == ["top_k"]
    top_k = next(one for one in all_options(SampledOrNot) if one.name == "top_k")
    assert (top_k.default, top_k.info.shown, top_k.optional) == (None, "0", True)


def test_an_unknown_keyword_is_answered_with_the_nearest() -> None:
    with pytest.raises(OptionError, match="no option 'temprature'") as caught:
        build(Request, {"temprature": 1.0})
    assert caught.value.hint == "did you mean 'temperature'?"
    with pytest.raises(OptionError, match="no option 'x'") as caught:
        build(Request, {"x": 1.0})
    assert "seed" in caught.value.hint


def test_options_override_a_configuration_where_they_have_a_value() -> None:
    assert overridden(Resolved(), Sampling(temperature=3.0)) == Resolved(temperature=3.0)
    assert overridden(Resolved(), Sampling(kind="greedy"), temperature=2.0) == Resolved(2.0, "greedy")


def test_given_options_are_those_that_differ_from_their_defaults() -> None:
    request = Request(sampling=Sampling(unique=True, fraction=0.5))
    assert [(one.name, one.flag) for one in given_options(request)] == [
        ("cache_fraction", "--cache-fraction"),
        ("unique", "--unique"),
    ]
