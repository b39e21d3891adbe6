"""Where a text ends, and which part of it is returned before that is known."""

from collections.abc import Iterator

import pytest

from rnncli.data.tokenizers.base import ByteTokenizer, CharTokenizer, Tokenizer
from rnncli.errors import OptionError
from rnncli.generation.config import StoppingOptions
from rnncli.generation.constraints.token_constraint import PatternMatch, TokenConstraint
from rnncli.generation.stopping import Detokenizer, StoppingCriteria, TextBuilder

LETTERS = CharTokenizer("\nabcd")


def pieces(tokenizer: Tokenizer, text: str, criteria: StoppingCriteria) -> Iterator[str]:
    """Yield what is returned for each token of a text, up to its end."""
    builder = TextBuilder(tokenizer, criteria)
    for token in tokenizer.encode(text).tolist():
        if builder.finish_reason is None:
            yield builder.push(token, 1.0)
    if builder.finish_reason is not None:
        yield builder.finish()


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        (StoppingCriteria(4), ["a", "b", "c", "\n", ""]),
        (StoppingCriteria(99, lines=1), ["a", "b", "c", "\n", ""]),
        (StoppingCriteria(99, lines=2), ["a", "b", "c", "\n", "a", "b", "d", "\n", ""]),
        (StoppingCriteria(99, stop=("bd",)), ["a", "", "bc", "\n", "a", "", "", ""]),
        (StoppingCriteria(99, stop=("d", "abd")), ["", "", "abc", "\n", "", "", "", ""]),
        (StoppingCriteria(6, stop=("bd",)), ["a", "", "bc", "\n", "a", "", "b"]),
        (StoppingCriteria(99, stop=("c\nab",)), ["a", "b", "", "", "", "", ""]),
        (StoppingCriteria(99, stop=("abx", "b")), ["", "a", ""]),
    ],
    ids=str,
)
def test_text_is_returned_as_soon_as_it_is_certain(criteria: StoppingCriteria, expected: list[str]) -> None:
    assert list(pieces(LETTERS, "abc\nabd\nc", criteria)) == expected


def test_a_stop_string_may_end_within_a_token_and_begin_within_a_character() -> None:
    """é is two bytes; a stop string is found with its last byte."""
    assert "".join(pieces(ByteTokenizer(), "aébé", StoppingCriteria(99, stop=("bé",)))) == "aé"
    assert list(pieces(ByteTokenizer(), "aé", StoppingCriteria(2))) == ["a", "", "\ufffd"]


def test_invalid_bytes_may_be_kept_as_surrogates() -> None:
    detokenizer = Detokenizer(ByteTokenizer(), invalid_bytes="surrogateescape")
    assert detokenizer.extend([0x61, 0xFF, 0xC3]) + detokenizer.finish() == "a\udcff\udcc3"
    assert detokenizer.text == "a\udcff\udcc3"


def test_a_text_without_tokens_is_empty() -> None:
    text = TextBuilder(LETTERS, StoppingCriteria(0)).result(3)
    assert (text.number, text.text, text.tokens, text.finish_reason) == (3, "", 0, "length")


def test_several_tokens_give_the_same_text_as_one_at_a_time() -> None:
    tokens = LETTERS.encode("abc\nabd\nc").tolist()
    together, single = (TextBuilder(LETTERS, StoppingCriteria(9)) for _ in range(2))
    assert together.tokens_before_check == 9
    together.extend(tokens, [0.5] * 9)
    for token in tokens:
        single.push(token, 0.5)
    assert together.result(0) == single.result(0)
    assert together.result(0).nll_nats == 4.5


@pytest.mark.parametrize(
    ("pattern", "text", "max_tokens", "expected"),
    [
        ("a+b?", "aabc", 9, ("aab", "match", 3)),  # no longer match is possible after b
        ("a+", "aab", 9, ("aa", "match", 3)),  # b, which is not part of the text, ends it
        ("(aaa)*", "aaaa", 4, ("aaa", "length", 3)),  # the next match is beyond the limit
    ],
)
def test_a_text_ends_with_its_match(
    pattern: str, text: str, max_tokens: int, expected: tuple[str, str, int]
) -> None:
    constraint = TokenConstraint(pattern, LETTERS)
    state = constraint.initial_state(begins_line=True, max_tokens=max_tokens)
    criteria = StoppingCriteria(max_tokens, match=PatternMatch(constraint, state, max_tokens))
    builder = TextBuilder(LETTERS, criteria)
    for token in LETTERS.encode(text).tolist():
        if builder.finish_reason is None:
            builder.push(token, 1.0)
    result = builder.result(0)
    assert (result.text, result.finish_reason, result.tokens) == expected


def test_an_empty_stop_string_is_rejected() -> None:
    with pytest.raises(OptionError, match="a stop string is empty"):
        StoppingOptions(stop=("a", ""))
