"""Character and byte tokenizers are reversible, report OOV tokens, and survive a round trip to disk."""

import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.data.tokenizers.base import (
    REPLACEMENT,
    ByteTokenizer,
    CharTokenizer,
    Tokenizer,
    code_points,
    decode,
    fingerprint,
    smallest_dtype,
)
from rnncli.data.tokenizers.serialization import from_json
from rnncli.data.tokenizers.word import WordTokenizer
from rnncli.errors import TokenizerError

CORPUS = "a rose is a rose\nis a rose\n"


def streamed(tokenizer: Tokenizer, text: str) -> list[str]:
    decoder = tokenizer.decode_stream()
    return [*(decoder.push(int(token)) for token in tokenizer.encode(text)), decoder.finish()]


# -- ids


@pytest.mark.parametrize(
    ("count", "dtype"),
    [
        (1, np.uint8),
        (256, np.uint8),
        (257, np.uint16),
        (65_536, np.uint16),
        (65_537, np.uint32),
        (4_000_000, np.uint32),
    ],
)
def test_the_type_of_ids_is_the_smallest_that_holds_them(count: int, dtype: type) -> None:
    assert smallest_dtype(count) == dtype


def test_encode_gives_the_smallest_type() -> None:
    assert ByteTokenizer().encode("a").dtype == np.uint8
    assert CharTokenizer("ab").encode("a").dtype == np.uint8
    assert CharTokenizer("".join(map(chr, range(32, 1032)))).encode("a").dtype == np.uint16
    words = WordTokenizer.train({f"w{number}": 1 for number in range(300)}, 300)
    assert words.encode("w1").dtype == np.uint16


def test_seventy_thousand_characters_do_not_wrap() -> None:
    characters = "".join(map(chr, range(0x10000, 0x10000 + 70_000)))
    tokenizer = CharTokenizer.train(characters[::-1])
    ids = tokenizer.encode(characters)
    assert ids.dtype == np.uint32
    np.testing.assert_array_equal(ids, np.arange(1, 70_001))
    assert decode(tokenizer, ids[-3:]) == characters[-3:]


# -- char


@given(st.text(min_size=1))
def test_char_is_lossless_over_its_own_characters(text: str) -> None:
    tokenizer = CharTokenizer.train(text)
    ids = tokenizer.encode(text)
    assert len(ids) == len(text)
    assert decode(tokenizer, ids) == text
    assert tokenizer.oov_tokens(text) == []
    assert tokenizer.unk_id not in ids


def test_char_gives_hard_strings_back(hard_string: str) -> None:
    tokenizer = CharTokenizer.train(hard_string + "x")
    assert decode(tokenizer, tokenizer.encode(hard_string)) == hard_string
    assert streamed(tokenizer, hard_string) == [*hard_string, ""]


def test_char_ids_are_in_code_point_order_after_unknown() -> None:
    tokenizer = CharTokenizer.train("cab月\n")
    assert tokenizer.vocab_size == 6
    assert tokenizer.encode("\nabc月").tolist() == [1, 2, 3, 4, 5]
    assert [tokenizer.id_to_token(token) for token in range(6)] == ["<unk>", "\n", "a", "b", "c", "月"]


def test_characters_that_char_never_saw_are_unknown_and_named_once() -> None:
    tokenizer = CharTokenizer.train("abc?")
    oov = "xa\U0010ffffx\ud800b\0"
    ids = tokenizer.encode(oov)
    assert ids.tolist() == [0, 2, 0, 0, 0, 3, 0]
    assert tokenizer.oov_tokens(oov) == ["x", "\U0010ffff", "\ud800", "\0"]
    assert decode(tokenizer, ids) == oov.translate(
        dict.fromkeys(map(ord, "x\U0010ffff\ud800\0"), REPLACEMENT)
    )


def test_a_replacement_character_of_the_text_is_a_character_like_any_other() -> None:
    tokenizer = CharTokenizer.train(f"a{REPLACEMENT}")
    assert tokenizer.encode(REPLACEMENT).tolist() == [2]
    assert CharTokenizer.train("a").oov_tokens(REPLACEMENT) == [REPLACEMENT]


@pytest.mark.parametrize("characters", ["", "ba", "aa", "abca"])
def test_a_character_table_is_sorted_and_has_each_character_once(characters: str) -> None:
    with pytest.raises(TokenizerError, match="character list"):
        CharTokenizer(characters)


@given(st.text(st.characters(max_codepoint=127), max_size=60), st.sampled_from([3, 100]))
def test_the_quick_way_of_ascii_gives_the_ids_of_the_table(text: str, characters: int) -> None:
    tokenizer = CharTokenizer("".join(map(chr, range(28, 28 + characters))))
    assert tokenizer._ascii
    by_table = tokenizer._table[code_points(text)]
    ids = tokenizer.encode(text)
    assert ids.dtype == by_table.dtype
    np.testing.assert_array_equal(ids, by_table)
    # A text that is not ASCII has no other way than the table.
    np.testing.assert_array_equal(tokenizer.encode(text + "月")[:-1], ids)


@pytest.mark.parametrize("characters", [255, 256])
def test_an_alphabet_at_the_edge_of_a_byte_is_read_whole(characters: int) -> None:
    alphabet = "".join(map(chr, range(characters)))
    tokenizer = CharTokenizer(alphabet)
    assert tokenizer.encode("az").tolist() == [98, 123]
    assert tokenizer.encode(alphabet).tolist() == list(range(1, characters + 1))


# -- byte


@given(st.text())
def test_byte_is_lossless_for_every_string(text: str) -> None:
    tokenizer = ByteTokenizer()
    ids = tokenizer.encode(text)
    assert bytes(ids.tolist()) == text.encode()
    assert decode(tokenizer, ids) == text
    assert "".join(streamed(tokenizer, text)) == text
    assert tokenizer.oov_tokens(text) == []


def test_byte_gives_hard_strings_back(hard_string: str) -> None:
    tokenizer = ByteTokenizer()
    assert decode(tokenizer, tokenizer.encode(hard_string)) == hard_string


def test_byte_streams_no_split_of_a_character() -> None:
    assert streamed(ByteTokenizer(), "aé月🙂") == ["a", "", "é", "", "", "月", "", "", "", "🙂", ""]


def test_bytes_that_are_not_utf_8_are_shown_as_replacements() -> None:
    assert decode(ByteTokenizer(), [0xFF, 0x61, 0xE6, 0x9C]) == f"{REPLACEMENT}a{REPLACEMENT}"


def test_a_byte_decoder_goes_on_inside_a_character() -> None:
    *most, last = ByteTokenizer().encode("a月").tolist()
    decoder = ByteTokenizer().decode_stream(most)
    assert (decoder.push(last), decoder.push(0x62), decoder.finish()) == ("月", "b", "")


def test_byte_tokens_can_be_read() -> None:
    assert [ByteTokenizer().id_to_token(token) for token in (0x61, 0x7F, 0x80, 0xE4)] == [
        "a",
        "\x7f",
        "<0x80>",
        "<0xE4>",
    ]


@pytest.mark.parametrize("text", ["ab\ud800", "ab\udfffc", "ab\udc80\udcff"])
def test_byte_refuses_lone_surrogates_and_reports_the_position(text: str) -> None:
    with pytest.raises(TokenizerError, match=rf"lone surrogate, U\+{ord(text[2]):04X}, at character 2"):
        ByteTokenizer().encode(text)


# -- on disk

KEPT: list[Tokenizer] = [
    CharTokenizer.train(CORPUS + '月🙂\0"\\\u2028'),
    ByteTokenizer(),
    WordTokenizer.train(Counter((CORPUS + '月光 "quoted\\"').split()), 9),
]


@pytest.mark.parametrize("tokenizer", KEPT, ids=lambda tokenizer: tokenizer.level)
def test_a_tokenizer_comes_back_from_its_bytes(tokenizer: Tokenizer) -> None:
    again = from_json(tokenizer.to_bytes())
    assert type(again) is type(tokenizer)
    assert again.vocab_size == tokenizer.vocab_size
    assert again.to_bytes() == tokenizer.to_bytes()
    assert fingerprint(again) == fingerprint(tokenizer)
    text = CORPUS + "月🙂\0\n"
    np.testing.assert_array_equal(again.encode(text), tokenizer.encode(text))
    characters = range(tokenizer.vocab_size)
    assert [again.id_to_token(token) for token in characters] == [
        tokenizer.id_to_token(token) for token in characters
    ]


def test_tokenizers_that_differ_have_different_fingerprints() -> None:
    others: list[Tokenizer] = [CharTokenizer("ab"), CharTokenizer("ac"), WordTokenizer(["<unk>", "<eos>"])]
    assert len({fingerprint(tokenizer) for tokenizer in KEPT + others}) == 6


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"null",
        b"[]",
        b'"char"',
        b"[" * 100_000,
        b"{}",
        b'{"level": null}',
        b'{"level": ["char"]}',
        b'{"level": "syllable"}',
        b'{"level": "subword"}',
        b'{"level": "char"}',
        b'{"level": "char", "characters": ""}',
        b'{"level": "char", "characters": "ba"}',
        b'{"level": "char", "characters": ["a", "b"]}',
        b'{"level": "char", "characters": 7}',
        b'{"level": "word"}',
        b'{"level": "word", "words": ["<unk>", "<eos>"]}',
        b'{"level": "word", "pattern": null, "words": 7}',
        b'{"level": "word", "pattern": null, "words": "ab"}',
        b'{"level": "word", "pattern": null, "words": []}',
        b'{"level": "word", "pattern": null, "words": {"<unk>": 0, "<eos>": 1}}',
        b'{"level": "word", "pattern": null, "words": ["<unk>", "<eos>", 7]}',
        b'{"level": "word", "pattern": null, "words": ["<unk>", "<eos>", "a", "a"]}',
        b'{"level": "word", "pattern": 7, "words": ["<unk>", "<eos>"]}',
        b'{"level": "word", "pattern": "", "words": ["<unk>", "<eos>"]}',
        b'{"level": "word", "pattern": "(", "words": ["<unk>", "<eos>"]}',
    ],
    ids=lambda content: repr(content[:40]),
)
def test_a_damaged_tokenizer_is_refused(content: bytes) -> None:
    with pytest.raises(TokenizerError):
        from_json(content)


@pytest.mark.parametrize("tokenizer", KEPT, ids=lambda tokenizer: tokenizer.level)
def test_a_truncated_tokenizer_is_refused(tokenizer: Tokenizer) -> None:
    content = tokenizer.to_bytes().rstrip()
    for length in range(len(content)):
        with pytest.raises(TokenizerError):
            from_json(content[:length])


def test_what_is_kept_is_plain_json() -> None:
    assert json.loads(CharTokenizer("ab月").to_bytes()) == {"level": "char", "characters": "ab月"}
