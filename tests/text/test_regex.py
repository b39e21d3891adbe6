"""Expressions as automata: what they accept is what Python's own `re` matches."""

import re
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnncli.errors import ConfigError
from rnncli.text.regex import DEAD, Automaton, compiled, template_pattern

ALPHABET = "abc1 \n汉é"


def accepted(automaton: Automaton, text: str, alphabet: str = ALPHABET) -> bool:
    state = 0
    for character in text:
        state = automaton.following[state, automaton.kinds[alphabet.index(character)]]
        if state == DEAD:
            return False
    return bool(automaton.accepts[state])


def texts(longest: int, alphabet: str = ALPHABET) -> list[str]:
    return ["".join(text) for size in range(longest + 1) for text in product(alphabet, repeat=size)]


@pytest.mark.parametrize(
    ("pattern", "states"),
    [
        ("", 1),
        ("a*", 1),
        ("(ab)*c", 3),
        ("(a|b)*a(a|b){3}", 16),
        ("a{2,3}", 4),
        ("a{,2}b", 4),
        ("a{2,}", 3),
        ("a{0}b", 2),
        ("(a?){3}", 4),
        ("(a*)*", 2),
        ("(a|)*b", 2),
        ("(){3}a", 2),
        ("a|", 2),
        ("^ab$", 3),
        (".*", 1),
        ("(?s).", 2),
        ("[^a]+", 2),
        ("[]a]+", 2),
        (r"[\]\n]", 2),
        (r"\w+\s?", 3),
        (r"\d{2}", 3),
        ("(?i)A+É?", 3),
        ("(?:ab|a)(?:c|bc)", 5),
        ("a+?b", 3),
        ("(?P<name>a)b", 3),
        ("x{2}|b", 2),
        ("汉{1,2}|é", 3),
        (r"\x61\u6c49|\N{LATIN SMALL LETTER B}", 3),
        ("a{b|b", 3),
    ],
)
def test_it_accepts_what_re_matches(pattern: str, states: int) -> None:
    automaton = compiled(pattern, ALPHABET)
    for text in texts(4):
        assert accepted(automaton, text) == bool(re.fullmatch(pattern, text)), text
    assert len(automaton.accepts) == states


def patterns() -> st.SearchStrategy[str]:
    one = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\n"])
    times = st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{,2}"])
    return st.recursive(
        one,
        lambda inner: st.one_of(
            st.tuples(inner, inner).map("".join),
            st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
            st.tuples(inner, times).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        ),
        max_leaves=6,
    )


@settings(max_examples=100)
@given(patterns())
def test_whatever_is_put_together_is_what_re_makes_of_it(pattern: str) -> None:
    automaton = compiled(pattern, "ab\n")
    for text in texts(4, "ab\n"):
        assert accepted(automaton, text, "ab\n") == bool(re.fullmatch(pattern, text)), text


def test_characters_that_nothing_tells_apart_are_of_one_kind() -> None:
    alphabet = "".join(map(chr, range(0x4E00, 0x9000)))
    automaton = compiled("[一-丏]{2}龘?丐.{0,300}", alphabet)
    assert automaton.following.shape[1] == 3
    assert sorted(np.bincount(automaton.kinds).tolist()) == [1, 16, len(alphabet) - 17]
    assert automaton.missing == ("龘",)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(a", "unterminated"),
        ("*", "nothing to repeat"),
        ("[", "unterminated character set"),
        ("a(?=b)", "at 1"),
        ("(?<!a)b", "at 0"),
        (r"(a)\1", "at 3"),
        ("(?P<n>a)(?P=n)", "at 8"),
        (r"a\b", "at 1"),
        ("a^b", "at 1"),
        ("a$b", "at 1"),
        ("(a$)", "at 2"),
        ("a*+", "possessively"),
        ("(?>a)", "at 0"),
        ("(a|b)*a(a|b){20}", "more than 5,000 states"),
        ("(" * 500 + ")" * 500, "cannot be matched"),
    ],
)
def test_what_no_automaton_can_do_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        compiled(pattern, ALPHABET)


@pytest.mark.parametrize(
    ("template", "matching", "other"),
    [
        (
            "Dear {}, ",
            ["Dear Ann, ", "Dear old friend, "],
            ["Dear , ", "Dear a\nb, ", "Dear a,b, ", "Dear a"],
        ),
        ("{[A-Z]+} is {}.", ["AB is a c."], ["ab is c.", "AB is a.c."]),
        (r"{\d{2}}{{}}*", ["12{}*"], ["1{}*", "12{}**"]),
        (r"{a\}b|[\{]}]", ["a}b]", "{]"], ["]"]),
        ("汉{}", ["汉字字"], ["汉"]),
        ("[{}]^{}-", ["[a]^b-"], ["[a]^-", "a^b-"]),
        ("nothing?", ["nothing?"], ["nothin"]),
    ],
)
def test_a_template_is_filled_in(template: str, matching: list[str], other: list[str]) -> None:
    pattern = template_pattern(template)
    assert all(re.fullmatch(pattern, text) for text in matching), pattern
    assert not any(re.fullmatch(pattern, text) for text in other), pattern


@pytest.mark.parametrize(
    ("template", "why"), [("a{", "nothing closes"), ("a}b", "closes nothing"), ("{{}", "closes")]
)
def test_braces_of_a_template_come_in_pairs(template: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        template_pattern(template)
