"""Texts of allowed tokens match the pattern within the limit, for every kind of tokenizer."""

import re
from collections import Counter
from contextlib import suppress

import numpy as np
import pytest

from rnncli.data.tokenizers.base import ByteTokenizer, CharTokenizer, Tokenizer, decode
from rnncli.data.tokenizers.subword import SubwordTokenizer
from rnncli.data.tokenizers.word import WordTokenizer
from rnncli.errors import ConfigError
from rnncli.generation.constraints.automaton import DEAD
from rnncli.generation.constraints.token_constraint import TokenConstraint

TEXT = "the cat saw a hat. the hat saw me 12 times,\nand 汉字 too. é is é\n"
WORDS = WordTokenizer.train(Counter(TEXT.split()), 50)
TOKENIZERS: dict[str, Tokenizer] = {
    "char": CharTokenizer.train(TEXT),
    "byte": ByteTokenizer(),
    "word": WORDS,
    "words and spaces": WordTokenizer(["<unk>", "<eos>", "the", " ", "cat", "."], r"\w+"),
    "subword": SubwordTokenizer.train(TEXT * 20, 300, "bpe"),
}


def generate(
    constraint: TokenConstraint, rng: np.random.Generator, max_tokens: int, *, begins_line: bool = True
) -> list[int]:
    """Sample the tokens of a text uniformly from those that are allowed."""
    state = constraint.initial_state(begins_line=begins_line, max_tokens=max_tokens)
    ids, remaining = list[int](), max_tokens
    while remaining and not constraint.must_end(state, remaining):
        allowed = np.flatnonzero(constraint.allowed_tokens(np.array([state]), remaining)[0])
        token, remaining = int(rng.choice(allowed)), remaining - 1
        state = int(constraint.next_states(state, token))
        if state == DEAD:
            break
        ids.append(token)
    return ids


def initial_state(constraint: TokenConstraint, max_tokens: int) -> int:
    return constraint.initial_state(begins_line=True, max_tokens=max_tokens)


def fewest_tokens(constraint: TokenConstraint) -> int:
    """Return the smallest limit with which a text can match."""
    for limit in range(100):
        with suppress(ConfigError):
            initial_state(constraint, limit)
            return limit
    raise AssertionError("no text matches")


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
def test_generated_texts_match(name: str, pattern: str) -> None:
    tokenizer, rng = TOKENIZERS[name], np.random.default_rng(0)
    constraint = TokenConstraint(pattern, tokenizer)
    texts = [decode(tokenizer, generate(constraint, rng, 24)) for _ in range(20)]
    assert all(re.fullmatch(pattern, text) for text in texts), texts
    shortest = generate(constraint, rng, fewest_tokens(constraint))
    assert re.fullmatch(pattern, decode(tokenizer, shortest))


def test_tokens_that_cannot_lead_to_a_match_are_not_allowed() -> None:
    """No text that begins with b can become "bd" without d in the vocabulary."""
    tokenizer = CharTokenizer("abc")
    constraint = TokenConstraint("ac|bd|cd*", tokenizer)
    allowed = constraint.allowed_tokens(np.array([initial_state(constraint, 9)]), 9)[0]
    assert [tokenizer.id_to_token(token) for token in np.flatnonzero(allowed).tolist()] == ["a", "c"]


def test_tokens_that_cannot_lead_to_a_match_in_time_are_not_allowed() -> None:
    tokenizer = CharTokenizer("ab")
    constraint = TokenConstraint("(aaa)*b", tokenizer)
    state = np.array([initial_state(constraint, 4)])
    assert constraint.allowed_tokens(state, 4)[0].tolist() == [False, True, True]
    assert constraint.allowed_tokens(state, 3)[0].tolist() == [False, False, True]


def test_a_matching_text_may_end_with_a_token_that_is_not_part_of_it() -> None:
    tokenizer = CharTokenizer("ab")
    constraint = TokenConstraint("a+", tokenizer)
    state = initial_state(constraint, 9)
    assert constraint.allowed_tokens(np.array([state]), 9)[0].tolist() == [False, True, False]
    state = int(constraint.next_states(state, 1))
    # <unk> is allowed as the end; the sampler never samples it.
    assert constraint.allowed_tokens(np.array([state]), 8)[0].tolist() == [True, True, True]
    assert not constraint.must_end(state, 1)
    assert constraint.must_end(state, 0)
    assert constraint.next_states(state, 2) == DEAD


def test_the_limit_may_be_any_number() -> None:
    constraint = TokenConstraint("abc", CharTokenizer("abc"))
    state = initial_state(constraint, 10**12)
    assert constraint.allowed_tokens(np.array([state]), 10**12)[0].tolist() == [False, True, False, False]
    for token in (1, 2, 3):
        assert not constraint.must_end(state, 10**12)
        state = int(constraint.next_states(state, token))
    assert constraint.must_end(state, 10**12)
    assert constraint.must_end(state)


def test_a_text_must_end_if_no_longer_match_is_possible() -> None:
    constraint = TokenConstraint("(aaa)*", CharTokenizer("a"))
    assert constraint.must_end(initial_state(constraint, 2), 2)
    assert not constraint.must_end(initial_state(constraint, 3), 3)
    assert not constraint.must_end(initial_state(constraint, 3))


def test_words_bring_a_space_except_at_the_beginning_of_a_line() -> None:
    constraint, rng = TokenConstraint(r" the cat", WORDS), np.random.default_rng(0)
    with pytest.raises(ConfigError, match="no text that this model can generate"):
        initial_state(constraint, 9)
    assert [WORDS.words[token] for token in generate(constraint, rng, 9, begins_line=False)] == ["the", "cat"]
    lines = TokenConstraint("the\nthe the\n", WORDS)
    assert decode(WORDS, generate(lines, rng, 9)) == "the\nthe the\n"


def test_bytes_are_accepted_only_as_valid_utf8() -> None:
    """Surrogates and overlong sequences are rejected."""
    pattern = "[^\n]|[\u0800-\uffff]"
    constraint, rng = TokenConstraint(pattern, ByteTokenizer()), np.random.default_rng(1)
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
        state = initial_state(constraint, 9)
        for byte in sequence:
            state = int(constraint.next_states(state, byte)) if state != DEAD else DEAD
        try:
            expected = bool(re.fullmatch(pattern, sequence.decode()))
        except UnicodeDecodeError:
            expected = False
        assert (state != DEAD and constraint.must_end(state, 9)) == expected, sequence
        found += expected
    assert found > 10


def test_a_pattern_without_matches_is_explained() -> None:
    tokenizer = CharTokenizer("ab")
    with pytest.raises(ConfigError, match="no text that this model") as caught:
        initial_state(TokenConstraint("a[xy]ż", tokenizer), 9)
    assert caught.value.hint == "its vocabulary has nothing for [xy], ż"
    with pytest.raises(ConfigError, match="longer than 4 tokens"):
        initial_state(TokenConstraint("a{5,}", tokenizer), 4)
    with pytest.raises(ConfigError, match="too large a table"):
        TokenConstraint(r"\w{1,3000}", ByteTokenizer())


def test_impossible_tokens_are_not_allowed() -> None:
    constraint = TokenConstraint("(a|b)", CharTokenizer("ab"), impossible=(2,))
    assert constraint.allowed_tokens(np.array([initial_state(constraint, 9)]), 9)[0].tolist() == [
        False,
        True,
        False,
    ]
