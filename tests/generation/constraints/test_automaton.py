"""Automata accept what Python's own `re` matches."""

import re
import time
import warnings
from contextlib import suppress
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rnncli.errors import ConfigError
from rnncli.generation.constraints.automaton import DEAD, Automaton, compile_pattern

ALPHABET = "abc1 \n汉é"
EVERYTHING = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
HAN = "".join(map(chr, range(0x4E00, 0x9FA6)))


def accepted(automaton: Automaton, text: str, alphabet: str = ALPHABET) -> bool:
    state = 0
    for character in text:
        state = automaton.transitions[state, automaton.kinds[alphabet.index(character)]]
        if state == DEAD:
            return False
    return bool(automaton.accepts[state])


def texts(max_length: int, alphabet: str = ALPHABET) -> list[str]:
    return ["".join(text) for size in range(max_length + 1) for text in product(alphabet, repeat=size)]


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
        ("(a*)*", 1),
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
        ("(?:a1c|b1c)é", 5),
    ],
)
def test_accepts_what_re_matches(pattern: str, states: int) -> None:
    automaton = compile_pattern(pattern, ALPHABET)
    for text in texts(4):
        assert accepted(automaton, text) == bool(re.fullmatch(pattern, text)), text
    assert len(automaton.accepts) == states


@pytest.mark.parametrize(
    "pattern",
    [
        "^a$|^A$",
        "(?:^|a)A",
        "(^a)A",
        r"\Aaa\Z",
        "a^A|A",
        "a$A|A",
        r"a\Z\nA|A\Z",
        r"a$\n",
        r"a$\nA|A",
        r"(?:$\n)+",
        r"(?:a|$)*.*\n",
        r"(?:^|\n)(?:a$|A)+\n*",
        r"^$|^\n$\n?\Z",
        r"[^a]$(?s:.)",
        "(^|a){2}A",
        "(?i:a)A",
        "(?s:.).",
        "(?i)(?s)a.",
        "(?i)(?-i:a)a",
        "(?is)(?-i:a.)(?i-s:.a)",
        "(?:(?i:a)|A)a",
        "(?i:(?a:a)a)(?P<one>A)",
        "a(?#c)A",
        r"a(?#\)[c)*A",
        "(?#(a)A",
        r"\101\0101?|\012",
        r"\141\x0a|\u0041\U00000061|\N{LATIN SMALL LETTER A}",
        r"(?i)[^a]|\w{2}",
        "()*(|)(a|)*(?:(?:)|(?:){3})A",
        "(a{,2}){,2}(?:(A{1,2}){2})?",
        "((a{2})+|(A?)+){2}",
        "((a{2,3}){1,2}A?){1,2}",
        "a{,}A{",
        "a{2}?A??a*?",
        "[]a]|[^]a]A",
        r"\]\a|[\]\-a]A",
    ],
)
def test_anchors_flags_and_escapes_are_those_of_re(pattern: str) -> None:
    automaton = compile_pattern(pattern, "aA\n")
    for text in texts(5, "aA\n"):
        assert accepted(automaton, text, "aA\n") == bool(re.fullmatch(pattern, text)), text


@pytest.mark.parametrize("flags", ["", "i", "ai", "a"])
def test_case_is_ignored_as_in_re(flags: str) -> None:
    alphabet = "kK\u212asSſßẞµμΜιͅΙ\u1fbeꭰᎠiIİıé\u00c9汉ǆǅǄ"
    for letter in alphabet:
        automaton = compile_pattern(f"(?{flags}:{letter})", alphabet)
        found = [other for other in alphabet if accepted(automaton, other, alphabet)]
        assert found == re.findall(f"(?{flags}:{letter})", alphabet)
    for some in (r"\w", "[a-z]", "[^k]", "[Ā-ſ]"):
        automaton = compile_pattern(f"(?{flags}:{some})", alphabet)
        found = [other for other in alphabet if accepted(automaton, other, alphabet)]
        assert found == re.findall(f"(?{flags}:{some})", alphabet)


def patterns() -> st.SearchStrategy[str]:
    atoms = st.sampled_from(
        ["a", "B", ".", "[aB]", "[^a]", r"\n", "^", "$", r"\A", r"\Z", "", "(?#c)", r"\102"]
    )
    repeats = st.sampled_from(["*", "+", "?", "{2}", "{1,2}", "{,2}", "??"])
    flags = st.sampled_from(["i", "s", "-i", "i-s", "a"])
    return st.recursive(
        atoms,
        lambda inner: st.one_of(
            st.tuples(inner, inner).map("".join),
            st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
            st.tuples(inner, repeats).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
            st.tuples(flags, inner).map(lambda pair: f"(?{pair[0]}:{pair[1]})"),
        ),
        max_leaves=6,
    )


@settings(max_examples=150)
@given(st.sampled_from(["", "", "(?i)", "(?s)"]), patterns())
def test_random_patterns_accept_what_re_matches(flags: str, pattern: str) -> None:
    automaton, expected = compile_pattern(flags + pattern, "aB\n"), re.compile(flags + pattern)
    for text in texts(4, "aB\n"):
        assert accepted(automaton, text, "aB\n") == bool(expected.fullmatch(text)), text


@pytest.mark.parametrize(
    ("pattern", "states"),
    [
        ("((([ab]{,4})+|a|c){,4}){,4}", 33),
        ("((([ab]{,9})+|a|c){,9}){,9}", 163),
        (r"(((\w{1,9})+|[0-9]+|-){1,6}[ ,]?){1,6}", 802),
        ("(?:" * 60 + "a" + ")+b?" * 60, 62),
        (".{0,500}", 501),
        (r"\w{1,20}", 21),
        ("(a|b)*a(a|b){9}", 1024),
        ("x" * 1000, 1001),
        ("(a?){300}", 301),
        ("[一-龥]{5},[一-龥]{5}", 12),
        (HAN[:3000] + HAN[:1999], 5000),
        ("(?i)" + "".join(map(chr, range(0xC0, 0x250))), 401),
        ("|".join(HAN[at : at + 3] for at in range(0, 3000, 3)), 2002),
    ],
    ids=lambda value: str(value)[:30],
)
def test_is_compiled_quickly_over_all_characters(pattern: str, states: int) -> None:
    start = time.process_time()
    assert len(compile_pattern(pattern, EVERYTHING).accepts) == states
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("abcdefgh ij" * 9000, "more than 20,000 characters"),
        (HAN[:3000] + HAN[:2999], "more than 5,000 states"),
        (HAN[:4200], "too large a table"),
        ("a?" * 9999, "takes too long"),
        ("(?i)" + "".join(f"[{first}-\u9fff]" for first in HAN[:2000]), "takes too long"),
        ("a{1000000000}", "more than 20,000 characters"),
        ("((a{1000}){1000}b?){1000}", "more than 20,000 characters"),
        ("(?:" * 90 + "a|b" + "){2}" * 90, "more than 20,000 characters"),
        ("(a|b)*a(a|b){20}", "more than 5,000 states"),
    ],
    ids=lambda value: value[:30],
)
def test_too_large_a_pattern_is_rejected_quickly(pattern: str, reason: str) -> None:
    start = time.process_time()
    with pytest.raises(ConfigError, match=reason) as caught:
        compile_pattern(pattern, EVERYTHING)
    assert time.process_time() - start < 5
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize("pattern", ["(" * 330 + "a" + ")" * 330, "(?:" * 250 + "a?" + ")+" * 250])
def test_deeply_nested_groups_are_matched_or_rejected(pattern: str) -> None:
    for levels in (0, 100, 200, 400, 800):
        with suppress(ConfigError):
            assert accepted(compile_at_depth(pattern, levels), "a", "a")


def compile_at_depth(pattern: str, levels: int) -> Automaton:
    return compile_at_depth(pattern, levels - 1) if levels else compile_pattern(pattern, "a")


def test_no_python_warning_is_shown() -> None:
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        assert accepted(compile_pattern("[[a]+|[a||b]", ALPHABET), "aa")
    assert not shown


def test_repeat_counts_are_ascii_digits() -> None:
    assert accepted(compile_pattern("a{２}", "a{２}"), "a{２}", "a{２}")


def test_characters_that_no_atom_distinguishes_are_of_one_kind() -> None:
    alphabet = "".join(map(chr, range(0x4E00, 0x9000)))
    automaton = compile_pattern("[一-丏]{2}龘?丐.{0,300}", alphabet)
    assert automaton.transitions.shape[1] == 3
    assert sorted(np.bincount(automaton.kinds).tolist()) == [1, 16, len(alphabet) - 17]
    assert automaton.missing == ("龘",)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(a", "missing ), unterminated subpattern at position 0"),
        ("*", "nothing to repeat"),
        ("[", "unterminated character set"),
        ("a(?i)", "global flags not at the start"),
        ("a[z-b]", "[z-b]: bad character range z-b"),
        (r"a[\y]", r"[\y]: bad escape \y"),
        ("a{3,2}", "min repeat greater than max repeat"),
        ("a(?=b)", "(?=...) looks around"),
        ("a(?!b)", "(?!...) looks around"),
        ("(?<!a)b", "(?<!...) looks around"),
        (r"(a)\1", r"\1 refers back"),
        ("(?P<n>a)(?P=n)", "(?P=n) refers back"),
        ("(a)?(?(1)b|c)", "(?(1) refers back"),
        (r"a\b", r"\b looks around"),
        (r"\Ba", r"\B looks around"),
        ("a*+", "*+ repeats possessively"),
        ("a{1,2}+", "{1,2}+ repeats possessively"),
        ("(?>a)", "(?>...) does not backtrack"),
        ("(?x) a", "(?x) ignores whitespace"),
        ("(?im:a)", "(?m) lets ^ and $ match within"),
        ("a{" + "1" * 5000 + "}", "it repeats too often"),
        ("a{4294967295}", "it repeats too often"),
        ("(" * 500 + ")" * 500, "it is nested too deeply"),
    ],
    ids=lambda value: value[:30],
)
def test_unsupported_syntax_is_named(pattern: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(reason)):
        compile_pattern(pattern, ALPHABET)


def test_missing_characters_are_named_as_in_the_pattern() -> None:
    assert compile_pattern("(?i)[xy]a(?-i:[xy])?ż|Z|\\x7a$", ALPHABET).missing == ("[xy]", "ż", "Z", "\\x7a")
