"""Symbols are the same where they read the same."""

import numpy as np
import pytest

from rnncli.data.tokenizers.base import ByteTokenizer, CharTokenizer, WordTokenizer
from rnncli.data.tokenizers.matching import NEW, extended, matched
from rnncli.data.tokenizers.subword import SubwordTokenizer
from rnncli.errors import TokenizerError
from tests.conftest import RHYME

OLD, YOUNG = CharTokenizer("abd"), CharTokenizer("bcd")


def test_symbols_match_by_what_they_are_and_not_by_id() -> None:
    assert matched(YOUNG, OLD).tolist() == [0, 2, NEW, 3]
    assert [OLD.symbol(2), YOUNG.symbol(1)] == ["b", "b"]


def test_words_match_by_their_letters() -> None:
    old, young = WordTokenizer(["<unk>", "<eos>", "on", "in"]), WordTokenizer(["<unk>", "<eos>", "in", "at"])
    assert matched(young, old).tolist() == [0, 1, 3, NEW]


def test_every_piece_of_a_tokenizer_matches_itself() -> None:
    """Also where a byte and a piece read the same."""
    pieces = SubwordTokenizer.learn(RHYME, 300, "bpe")
    readings = [pieces.symbol(token) for token in range(pieces.vocab_size)]
    assert len(set(readings)) < len(readings)
    assert np.array_equal(matched(pieces, pieces), np.arange(pieces.vocab_size))
    assert np.array_equal(matched(ByteTokenizer(), ByteTokenizer()), np.arange(256))


def test_levels_do_not_match() -> None:
    with pytest.raises(TokenizerError, match="has level char, and the text was cut at level byte"):
        matched(ByteTokenizer(), OLD)


def test_characters_are_kept_and_new_ones_added() -> None:
    both = extended(OLD, YOUNG)
    assert isinstance(both, CharTokenizer)
    assert both.symbols == "abcd"


def test_words_are_kept_with_their_pattern_and_new_ones_come_after_them() -> None:
    old = WordTokenizer(["<unk>", "<eos>", "on", "in"], r"\w+")
    both = extended(old, WordTokenizer(["<unk>", "<eos>", "in", "at"], r"\w+"))
    assert isinstance(both, WordTokenizer)
    assert both.words == ["<unk>", "<eos>", "on", "in", "at"]
    assert both.pattern == r"\w+"


def test_bytes_need_no_more() -> None:
    old = ByteTokenizer()
    assert extended(old, ByteTokenizer()) is old
