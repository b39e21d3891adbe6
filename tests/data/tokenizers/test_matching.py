"""Tokens match if they read the same."""

import numpy as np
import pytest

from rnncli.data.tokenizers.base import ByteTokenizer, CharTokenizer
from rnncli.data.tokenizers.matching import NEW, extend_tokenizer, match_tokens
from rnncli.data.tokenizers.subword import SubwordTokenizer
from rnncli.data.tokenizers.word import WordTokenizer
from rnncli.errors import TokenizerError
from tests.conftest import RHYME

PRETRAINED, NEW_TOKENIZER = CharTokenizer("abd"), CharTokenizer("bcd")


def test_tokens_match_by_what_they_are_and_not_by_id() -> None:
    assert match_tokens(NEW_TOKENIZER, PRETRAINED).tolist() == [0, 2, NEW, 3]
    assert [PRETRAINED.id_to_token(2), NEW_TOKENIZER.id_to_token(1)] == ["b", "b"]


def test_words_match_by_their_letters() -> None:
    old, young = WordTokenizer(["<unk>", "<eos>", "on", "in"]), WordTokenizer(["<unk>", "<eos>", "in", "at"])
    assert match_tokens(young, old).tolist() == [0, 1, 3, NEW]


def test_every_token_of_a_tokenizer_matches_itself() -> None:
    """Also where a byte and a subword read the same."""
    tokenizer = SubwordTokenizer.train(RHYME, 300, "bpe")
    tokens = [tokenizer.id_to_token(token) for token in range(tokenizer.vocab_size)]
    assert len(set(tokens)) < len(tokens)
    assert np.array_equal(match_tokens(tokenizer, tokenizer), np.arange(tokenizer.vocab_size))
    assert np.array_equal(match_tokens(ByteTokenizer(), ByteTokenizer()), np.arange(256))


def test_levels_do_not_match() -> None:
    with pytest.raises(TokenizerError, match="has level char, and the text is tokenized at level byte"):
        match_tokens(ByteTokenizer(), PRETRAINED)


def test_characters_are_kept_and_new_ones_added() -> None:
    both = extend_tokenizer(PRETRAINED, NEW_TOKENIZER)
    assert isinstance(both, CharTokenizer)
    assert both.characters == "abcd"


def test_words_are_kept_with_their_pattern_and_new_ones_come_after_them() -> None:
    old = WordTokenizer(["<unk>", "<eos>", "on", "in"], r"\w+")
    both = extend_tokenizer(old, WordTokenizer(["<unk>", "<eos>", "in", "at"], r"\w+"))
    assert isinstance(both, WordTokenizer)
    assert both.words == ["<unk>", "<eos>", "on", "in", "at"]
    assert both.pattern == r"\w+"


def test_bytes_need_no_more() -> None:
    old = ByteTokenizer()
    assert extend_tokenizer(old, ByteTokenizer()) is old
