"""Subwords are trained on every line of every text and never exceed the vocabulary size."""

import random
from typing import get_args

import pytest

from rnncli.data.config import SubwordKind
from rnncli.data.tokenizers.base import decode
from rnncli.data.tokenizers.subword import SubwordTokenizer
from rnncli.errors import OptionError, TokenizerError
from tests.data.conftest import ODD, VERSE

HAN = "".join(map(chr, range(0x4E00, 0x4E00 + 3000)))
BYTES_AND_UNKNOWN = 257
KINDS = get_args(SubwordKind)


def trained(tokenizer: SubwordTokenizer) -> set[str]:
    """The subwords that are neither <unk> nor one byte; a space is written ▁."""
    subwords = map(tokenizer._processor.IdToPiece, range(BYTES_AND_UNKNOWN, tokenizer.vocab_size))
    return set(subwords)


def test_bpe_has_exactly_the_size_asked_for() -> None:
    for size in (290, 320):
        assert SubwordTokenizer.train(VERSE, size, "bpe").vocab_size == size


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_that_cannot_fill_the_size_gets_the_subwords_that_it_has(kind: SubwordKind) -> None:
    tokenizer = SubwordTokenizer.train(VERSE, 30_000, kind)
    assert BYTES_AND_UNKNOWN + len(set(VERSE)) <= tokenizer.vocab_size < 1000
    assert len(tokenizer.encode("the raining")) < len("the raining")


@pytest.mark.parametrize("kind", KINDS)
def test_an_alphabet_larger_than_the_size_leaves_its_rarest_to_the_bytes(kind: SubwordKind) -> None:
    text = VERSE + HAN + "春" * 50
    tokenizer = SubwordTokenizer.train(text, 400, kind)
    assert tokenizer.vocab_size <= 400
    assert len(tokenizer.encode("春")) == 1
    assert len(tokenizer.encode(HAN[-1])) == 3
    assert any("rain" in subword for subword in trained(tokenizer))
    assert decode(tokenizer, tokenizer.encode(text)) == text


@pytest.mark.parametrize("kind", KINDS)
def test_rare_characters_that_mean_something_in_a_pattern_are_left_out_too(kind: SubwordKind) -> None:
    text = "aaaabbbbccccdddd" * 3 + r"^]-[\&&~~||--.."
    tokenizer = SubwordTokenizer.train(text, BYTES_AND_UNKNOWN + 8, kind)
    assert all(set(subword) <= set("abcd") for subword in trained(tokenizer))
    assert decode(tokenizer, tokenizer.encode(text)) == text


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_size_every_character_has_a_subword(kind: SubwordKind) -> None:
    tokenizer = SubwordTokenizer.train(HAN, None, kind)
    assert len(tokenizer.encode(HAN)) <= len(HAN)


@pytest.mark.parametrize("kind", KINDS)
def test_one_line_of_any_length_is_trained_on(kind: SubwordKind) -> None:
    phrases = ["床前明月光", "疑是地上霜", "举头望明月", "低头思故乡"]
    chinese = "".join(random.Random(5).choices(phrases, k=500))
    for line, split in ((VERSE.replace("\n", " ") * 2, "raining"), (chinese, chinese)):
        assert len(line.encode()) > 4192
        assert len(SubwordTokenizer.train(line, 400, kind).encode(split)) < len(split)


@pytest.mark.parametrize("kind", KINDS)
def test_no_line_is_left_out_of_learning_for_its_length(kind: SubwordKind) -> None:
    short = "xy zw qx jk\n" * 300
    for length in (4_190, 4_200, 30_000):
        long_line = (VERSE.replace("\n", " ") * 12)[:length]
        tokenizer = SubwordTokenizer.train(short + long_line + "\n", 340, kind)
        assert len(tokenizer.encode("the raining")) < 7


@pytest.mark.parametrize("kind", KINDS)
def test_lines_with_the_marks_of_sentencepiece_are_trained_on(kind: SubwordKind) -> None:
    for mark in ("▅", "▁", "\0"):
        tokenizer = SubwordTokenizer.train(VERSE.replace("the", mark), 400, kind)
        assert len(tokenizer.encode("raining")) < len("raining")
        assert not any("▅" in subword or "\0" in subword for subword in trained(tokenizer))


@pytest.mark.parametrize("kind", KINDS)
def test_a_space_mark_is_not_trained_as_a_space(kind: SubwordKind) -> None:
    tokenizer = SubwordTokenizer.train(VERSE.replace(" ", "▁"), 400, kind)
    assert trained(tokenizer)
    assert not any("▁" in subword for subword in trained(tokenizer))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("character", ["a", "月", " ", "\t"])
def test_a_text_of_one_character_is_trained_on(kind: SubwordKind, character: str) -> None:
    tokenizer = SubwordTokenizer.train(character * 500, None, kind)
    ids = tokenizer.encode(character * 500)
    assert decode(tokenizer, ids) == character * 500
    assert len(ids) < 500 or character == "\t"  # a tab is always a byte


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_of_line_ends_alone_is_refused(kind: SubwordKind) -> None:
    with pytest.raises(TokenizerError, match="cannot train"):
        SubwordTokenizer.train("\n" * 500, None, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_subwords_never_cross_a_line_end(kind: SubwordKind) -> None:
    tokenizer = SubwordTokenizer.train(VERSE + ODD, 340, kind)
    assert trained(tokenizer)
    assert not any("\n" in subword for subword in trained(tokenizer))


def test_a_size_without_room_beside_the_bytes_is_refused() -> None:
    for size in (3, 257, 264):
        with pytest.raises(OptionError, match=f"vocab size is {size}"):
            SubwordTokenizer.train(VERSE, size, "bpe")
    assert SubwordTokenizer.train(VERSE, 265, "bpe").vocab_size == 265
