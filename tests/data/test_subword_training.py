"""Pieces are learned from every line of every text, and are never more than asked for."""

import random
from typing import get_args

import pytest

from rnncli.data.config import SubwordKind
from rnncli.data.tokenizers.base import decode
from rnncli.data.tokenizers.subword import SubwordTokenizer
from rnncli.errors import TokenizerError
from tests.data.conftest import ODD, VERSE

HAN = "".join(map(chr, range(0x4E00, 0x4E00 + 3000)))
BYTES_AND_UNKNOWN = 257
KINDS = get_args(SubwordKind)


def learned(tokenizer: SubwordTokenizer) -> set[str]:
    """The pieces that are neither <unk> nor one byte; a blank is written ▁."""
    pieces = map(tokenizer._processor.IdToPiece, range(BYTES_AND_UNKNOWN, tokenizer.vocab_size))
    return set(pieces)


def test_bpe_has_exactly_the_size_asked_for() -> None:
    for size in (290, 320):
        assert SubwordTokenizer.learn(VERSE, size, "bpe").vocab_size == size


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_that_cannot_fill_the_size_gets_the_pieces_that_it_has(kind: SubwordKind) -> None:
    tokenizer = SubwordTokenizer.learn(VERSE, 30_000, kind)
    assert BYTES_AND_UNKNOWN + len(set(VERSE)) <= tokenizer.vocab_size < 1000
    assert len(tokenizer.encode("the raining")) < len("the raining")


@pytest.mark.parametrize("kind", KINDS)
def test_an_alphabet_larger_than_the_size_leaves_its_rarest_to_the_bytes(kind: SubwordKind) -> None:
    text = VERSE + HAN + "春" * 50
    tokenizer = SubwordTokenizer.learn(text, 400, kind)
    assert tokenizer.vocab_size <= 400
    assert len(tokenizer.encode("春")) == 1
    assert len(tokenizer.encode(HAN[-1])) == 3
    assert any("rain" in piece for piece in learned(tokenizer))
    assert decode(tokenizer, tokenizer.encode(text)) == text


@pytest.mark.parametrize("kind", KINDS)
def test_rare_characters_that_mean_something_in_a_pattern_are_left_out_too(kind: SubwordKind) -> None:
    text = "aaaabbbbccccdddd" * 3 + r"^]-[\&&~~||--.."
    tokenizer = SubwordTokenizer.learn(text, BYTES_AND_UNKNOWN + 8, kind)
    assert all(set(piece) <= set("abcd") for piece in learned(tokenizer))
    assert decode(tokenizer, tokenizer.encode(text)) == text


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_size_every_character_has_a_piece(kind: SubwordKind) -> None:
    tokenizer = SubwordTokenizer.learn(HAN, None, kind)
    assert len(tokenizer.encode(HAN)) <= len(HAN)


@pytest.mark.parametrize("kind", KINDS)
def test_one_line_of_any_length_is_learned_from(kind: SubwordKind) -> None:
    phrases = ["床前明月光", "疑是地上霜", "举头望明月", "低头思故乡"]
    chinese = "".join(random.Random(5).choices(phrases, k=500))
    for line, part in ((VERSE.replace("\n", " ") * 2, "raining"), (chinese, chinese)):
        assert len(line.encode()) > 4192
        assert len(SubwordTokenizer.learn(line, 400, kind).encode(part)) < len(part)


@pytest.mark.parametrize("kind", KINDS)
def test_no_line_is_left_out_of_learning_for_its_length(kind: SubwordKind) -> None:
    short = "xy zw qx jk\n" * 300
    for length in (4_190, 4_200, 30_000):
        long_line = (VERSE.replace("\n", " ") * 12)[:length]
        tokenizer = SubwordTokenizer.learn(short + long_line + "\n", 340, kind)
        assert len(tokenizer.encode("the raining")) < 7


@pytest.mark.parametrize("kind", KINDS)
def test_lines_with_the_marks_of_sentencepiece_are_learned_from(kind: SubwordKind) -> None:
    for mark in ("▅", "▁", "\0"):
        tokenizer = SubwordTokenizer.learn(VERSE.replace("the", mark), 400, kind)
        assert len(tokenizer.encode("raining")) < len("raining")
        assert not any("▅" in piece or "\0" in piece for piece in learned(tokenizer))


@pytest.mark.parametrize("kind", KINDS)
def test_a_lower_block_is_not_learned_as_a_blank(kind: SubwordKind) -> None:
    tokenizer = SubwordTokenizer.learn(VERSE.replace(" ", "▁"), 400, kind)
    assert learned(tokenizer)
    assert not any("▁" in piece for piece in learned(tokenizer))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("symbol", ["a", "月", " ", "\t"])
def test_a_text_of_one_symbol_is_learned_from(kind: SubwordKind, symbol: str) -> None:
    tokenizer = SubwordTokenizer.learn(symbol * 500, None, kind)
    ids = tokenizer.encode(symbol * 500)
    assert decode(tokenizer, ids) == symbol * 500
    assert len(ids) < 500 or symbol == "\t"  # a tab is always a byte


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_of_line_ends_alone_is_refused(kind: SubwordKind) -> None:
    with pytest.raises(TokenizerError, match="cannot learn"):
        SubwordTokenizer.learn("\n" * 500, None, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_pieces_never_cross_a_line_end(kind: SubwordKind) -> None:
    tokenizer = SubwordTokenizer.learn(VERSE + ODD, 340, kind)
    assert learned(tokenizer)
    assert not any("\n" in piece for piece in learned(tokenizer))


def test_a_size_without_room_beside_the_bytes_is_refused() -> None:
    for size in (3, 257, 264):
        with pytest.raises(TokenizerError, match=f"vocab-size is {size}"):
            SubwordTokenizer.learn(VERSE, size, "bpe")
    assert SubwordTokenizer.learn(VERSE, 265, "bpe").vocab_size == 265
