"""Texts that a model may write: drawn at random they match, whatever its tokens are, and always in time."""

import re
from collections import Counter

import numpy as np
import pytest

from rnncli.data.tokenizers.base import ByteTokenizer, CharTokenizer, Tokenizer, WordTokenizer, decode
from rnncli.data.tokenizers.subword import SubwordTokenizer
from rnncli.errors import ConfigError
from rnncli.generation.constraint import Constraint
from rnncli.generation.regex import DEAD

TEXT = "the cat saw a hat. the hat saw me 12 times,\nand 汉字 too. é is é\n"
WORDS = WordTokenizer.learn(Counter(TEXT.split()), 50)
TOKENIZERS: dict[str, Tokenizer] = {
    "char": CharTokenizer.of(TEXT),
    "byte": ByteTokenizer(),
    "word": WORDS,
    "words with blanks": WordTokenizer(["<unk>", "<eos>", "the", " ", "cat", "."], r"\w+"),
    "subword": SubwordTokenizer.learn(TEXT * 20, 300, "bpe"),
}


def drawn(constraint: Constraint, rng: np.random.Generator, tokens: int, begins: bool = True) -> list[int]:
    """As a model would that thinks of all tokens as equally likely."""
    state, ids = constraint.begin(begins, tokens), list[int]()
    while tokens and not constraint.over(state, tokens):
        allowed = np.flatnonzero(constraint.allowed(np.array([state]), tokens)[0])
        token, tokens = int(rng.choice(allowed)), tokens - 1
        state = int(constraint.after(state, token))
        if state == DEAD:
            break
        ids.append(token)
    return ids


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize(
    "pattern",
    [
        r"\w{1,20}",
        ".{0,30}",
        "(the|a)( [a-z]+){1,5}",
        r"the .*cat\.?",
        r"(the\n){2}the",
        "(the the )*(the the)?",
        "[汉字]{3}|the|é+",
        "[^a-z]{2}😀|the",
    ],
)
def test_what_is_drawn_matches(name: str, pattern: str) -> None:
    tokenizer, rng = TOKENIZERS[name], np.random.default_rng(0)
    constraint = Constraint(pattern, tokenizer)
    texts = [decode(tokenizer, drawn(constraint, rng, 24)) for _ in range(20)]
    assert all(re.fullmatch(pattern, text) for text in texts), texts
    tight = drawn(constraint, rng, int(constraint._distance[0]))
    assert re.fullmatch(pattern, decode(tokenizer, tight))


def test_a_beginning_that_leads_nowhere_is_not_begun() -> None:
    """Nothing that begins with b can become "bd" here."""
    tokenizer = CharTokenizer("abc")
    constraint = Constraint("ac|bd|cd*", tokenizer)
    allowed = constraint.allowed(np.array([constraint.begin(True, 9)]), 9)[0]
    assert [tokenizer.symbol(token) for token in np.flatnonzero(allowed)] == ["a", "c"]


def test_a_match_that_is_too_far_away_is_not_begun() -> None:
    tokenizer = CharTokenizer("ab")
    constraint = Constraint("(aaa)*b", tokenizer)
    state = np.array([constraint.begin(True, 4)])
    assert constraint.allowed(state, 4)[0].tolist() == [False, True, True]
    assert constraint.allowed(state, 3)[0].tolist() == [False, False, True]


def test_where_a_text_matches_what_cannot_belong_to_it_may_end_it() -> None:
    tokenizer = CharTokenizer("ab")
    constraint = Constraint("a+", tokenizer)
    state = constraint.begin(True, 9)
    assert constraint.allowed(np.array([state]), 9)[0].tolist() == [False, True, False]
    state = int(constraint.after(state, 1))
    # <unk> ends it here; that it is never drawn is the writer's to see to.
    assert constraint.allowed(np.array([state]), 8)[0].tolist() == [True, True, True]
    assert not constraint.over(state, 1)
    assert constraint.over(state, 0)
    assert constraint.after(state, 2) == DEAD


def test_any_number_of_tokens_may_be_left() -> None:
    constraint = Constraint("abc", CharTokenizer("abc"))
    state = constraint.begin(True, 10**12)
    assert constraint.allowed(np.array([state]), 10**12)[0].tolist() == [False, True, False, False]
    for token in (1, 2, 3):
        assert not constraint.over(state, 10**12)
        state = int(constraint.after(state, token))
    assert constraint.over(state, 10**12)
    assert constraint.complete(state)


def test_a_text_that_cannot_grow_in_time_is_over() -> None:
    constraint = Constraint("(aaa)*", CharTokenizer("a"))
    assert constraint.over(constraint.begin(True, 2), 2)
    assert not constraint.over(constraint.begin(True, 3), 3)
    assert not constraint.complete(constraint.begin(True, 3))


def test_words_bring_their_blank_but_at_the_beginning_of_a_line() -> None:
    constraint, rng = Constraint(r" the cat", WORDS), np.random.default_rng(0)
    with pytest.raises(ConfigError, match="nothing that this model can write"):
        constraint.begin(True, 9)
    assert [WORDS.words[token] for token in drawn(constraint, rng, 9, begins=False)] == ["the", "cat"]
    lines = Constraint("the\nthe the\n", WORDS)
    assert decode(WORDS, drawn(lines, rng, 9)) == "the\nthe the\n"


def test_bytes_are_those_of_characters_and_of_no_others() -> None:
    """Every sequence of three bytes is accepted or not as its text is; no surrogate, nothing overlong."""
    pattern = "[^\n]|[\u0800-\uffff]"
    constraint, rng = Constraint(pattern, ByteTokenizer()), np.random.default_rng(1)
    sequences = [
        bytes(rng.integers(0x7E, 0x100, size).tolist()) for size in (1, 2, 3, 4) for _ in range(3000)
    ]
    sequences += [
        "汉".encode(),
        b"\xed\xa0\x80",
        b"\xe0\x80\x80",
        b"\xf4\x8f\xbf\xbf",
        b"\xf4\x90\x80\x80",
        b"\xc1\x80",
    ]
    found = 0
    for sequence in sequences:
        state = constraint.begin(True, 9)
        for byte in sequence:
            state = int(constraint.after(state, byte)) if state != DEAD else DEAD
        try:
            expected = bool(re.fullmatch(pattern, sequence.decode()))
        except UnicodeDecodeError:
            expected = False
        assert (state != DEAD and constraint.over(state, 9)) == expected, sequence
        found += expected
    assert found > 10


def test_what_cannot_be_is_named() -> None:
    tokenizer = CharTokenizer("ab")
    with pytest.raises(ConfigError, match="nothing that this model") as caught:
        Constraint("a[xy]ż", tokenizer).begin(True, 9)
    assert caught.value.hint == "it knows no [xy], ż"
    with pytest.raises(ConfigError, match="is longer than 4 tokens"):
        Constraint("a{5,}", tokenizer).begin(True, 4)
    with pytest.raises(ConfigError, match="too large a table"):
        Constraint(r"\w{1,3000}", ByteTokenizer())


def test_tokens_that_cannot_be_are_left_out() -> None:
    constraint = Constraint("(a|b)", CharTokenizer("ab"), never=(2,))
    assert constraint.allowed(np.array([constraint.begin(True, 9)]), 9)[0].tolist() == [False, True, False]
