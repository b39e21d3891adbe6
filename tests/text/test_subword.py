"""Pieces: lossless for every string, learned from every text, never more than asked for."""

import io
import random
from typing import get_args

import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from rnncli.errors import TokenizerError
from rnncli.text.config import SubwordKind
from rnncli.text.subword import SubwordTokenizer
from rnncli.text.tokenizers import REPLACEMENT, decode, fingerprint

# Unigram takes its pieces from what different words share, so the verse has words that do.
STEMS = ("rain", "lamp", "turn", "learn", "wonder", "kitten", "flower", "light")
VERSE = "".join(f"the {stem} {stem}s, a {stem}ing {stem}ed more\n" for stem in STEMS) * 10
# What a corpus may bring that sentencepiece itself writes: blanks of every kind and names of pieces.
ODD = "a  b\t\tc ▁ <unk> <0x41> <s>\r\n▅ x\0y é月🙂\n" * 40
HAN = "".join(map(chr, range(0x4E00, 0x4E00 + 3000)))
BYTES_AND_UNKNOWN = 257
KINDS = get_args(SubwordKind)

TOKENIZERS = {
    f"{kind} of {name}": SubwordTokenizer.learn(text, size, kind)
    for kind in KINDS
    for name, text, size in (("verse", VERSE, 320), ("odd text", VERSE + ODD, 340))
}


@pytest.fixture(params=list(TOKENIZERS.values()), ids=list(TOKENIZERS))
def tokenizer(request: pytest.FixtureRequest) -> SubwordTokenizer:
    return request.param  # type: ignore[no-any-return]


def streamed(tokenizer: SubwordTokenizer, text: str) -> list[str]:
    decoder = tokenizer.decoder()
    return [*(decoder.push(int(token)) for token in tokenizer.encode(text)), decoder.finish()]


def learned(tokenizer: SubwordTokenizer) -> set[str]:
    """The pieces that are neither <unk> nor one byte; a blank is written ▁."""
    pieces = map(tokenizer._processor.IdToPiece, range(BYTES_AND_UNKNOWN, tokenizer.vocab_size))
    return set(pieces)


# -- lossless

# Plain st.text() seldom hits what sentencepiece treats specially, so those are offered by name.
special = st.sampled_from(
    ["▁", "▅", " ", "  ", "\t", "\n", "\r\n", "\0", "<unk>", "<0x41>", "<s>", "the rain"]
)


@pytest.mark.parametrize("name", TOKENIZERS)
@given(text=st.text() | st.lists(special | st.text(max_size=3)).map("".join))
def test_subword_is_lossless_for_every_string(name: str, text: str) -> None:
    tokenizer = TOKENIZERS[name]
    ids = tokenizer.encode(text)
    assert 0 not in ids  # <unk>, which stands for nothing
    assert decode(tokenizer, ids) == text
    assert "".join(streamed(tokenizer, text)) == text
    assert tokenizer.unseen(text) == []


def test_subword_gives_hard_strings_back(tokenizer: SubwordTokenizer, hard_string: str) -> None:
    assert decode(tokenizer, tokenizer.encode(hard_string)) == hard_string
    assert decode(tokenizer, tokenizer.encode(f"the{hard_string}rain")) == f"the{hard_string}rain"


@settings(max_examples=20)
@given(st.text(min_size=10), st.sampled_from(KINDS))
def test_subword_is_lossless_whatever_it_learned_from(text: str, kind: SubwordKind) -> None:
    tokenizer = SubwordTokenizer.learn("a b\n" + text, None, kind)
    assert decode(tokenizer, tokenizer.encode(text)) == text


def test_subword_streams_no_part_of_a_character(tokenizer: SubwordTokenizer) -> None:
    # Neither text has these, so each comes out of three or four byte pieces.
    for character in ("龘", "🦜", "▁"):
        pieces = streamed(tokenizer, character)
        assert pieces == [""] * (len(character.encode()) - 1) + [character, ""]


def test_bytes_of_half_a_character_are_shown_as_one_replacement(tokenizer: SubwordTokenizer) -> None:
    ids = tokenizer.encode("龘")
    assert decode(tokenizer, ids[:2]) == REPLACEMENT
    assert [tokenizer.symbol(int(token)) for token in ids] == ["<0xE9>", "<0xBE>", "<0x98>"]


def test_a_subword_decoder_goes_on_inside_a_character(tokenizer: SubwordTokenizer) -> None:
    *context, last = tokenizer.encode("the 龘").tolist()
    assert tokenizer.decoder(context).push(last) == "龘"


def test_symbols_are_the_text_of_the_pieces(tokenizer: SubwordTokenizer) -> None:
    ids = tokenizer.encode("the raining")
    assert "".join(tokenizer.symbol(int(token)) for token in ids) == "the raining"
    assert len(ids) < len("the raining")


@pytest.mark.parametrize("text", ["ab\ud800", "ab\udcff▁"])
def test_subword_refuses_lone_surrogates_and_says_where(tokenizer: SubwordTokenizer, text: str) -> None:
    with pytest.raises(TokenizerError, match=rf"U\+{ord(text[2]):04X}, at character 2"):
        tokenizer.encode(text)


def test_subword_ids_have_the_smallest_type(tokenizer: SubwordTokenizer) -> None:
    assert tokenizer.encode("a").dtype == np.uint16
    assert tokenizer.encode("").dtype == np.uint16


# -- learning


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


def test_pieces_never_cross_a_line_end(tokenizer: SubwordTokenizer) -> None:
    assert not any("\n" in piece for piece in learned(tokenizer))


def test_a_size_without_room_beside_the_bytes_is_refused() -> None:
    for size in (3, 257, 264):
        with pytest.raises(TokenizerError, match=f"vocab-size is {size}"):
            SubwordTokenizer.learn(VERSE, size, "bpe")
    assert SubwordTokenizer.learn(VERSE, 265, "bpe").vocab_size == 265


# -- on disk


@pytest.mark.parametrize("kind", KINDS)
def test_learning_twice_gives_the_same_pieces(kind: SubwordKind) -> None:
    first, second = (SubwordTokenizer.learn(VERSE, 320, kind) for _ in range(2))
    assert fingerprint(first) == fingerprint(second)
    assert fingerprint(first) != fingerprint(SubwordTokenizer.learn(VERSE, 319, "bpe"))


def test_a_subword_tokenizer_comes_back_from_its_bytes(tokenizer: SubwordTokenizer) -> None:
    again = SubwordTokenizer(tokenizer.to_bytes())
    assert fingerprint(again) == fingerprint(tokenizer)
    assert again.vocab_size == tokenizer.vocab_size
    np.testing.assert_array_equal(again.encode(VERSE + ODD), tokenizer.encode(VERSE + ODD))


@pytest.mark.parametrize("model", [b"", b"garbage", b"\xff" * 1000], ids=["empty", "text", "noise"])
def test_what_is_not_a_model_is_refused(model: bytes) -> None:
    with pytest.raises(TokenizerError):
        SubwordTokenizer(model)


def test_a_truncated_model_is_refused(tokenizer: SubwordTokenizer) -> None:
    model = tokenizer.to_bytes()
    for length in range(0, len(model) // 2, 97):
        with pytest.raises(TokenizerError):
            SubwordTokenizer(model[:length])


def test_a_model_with_changed_bytes_is_refused_or_still_a_tokenizer(tokenizer: SubwordTokenizer) -> None:
    choice = random.Random(5)
    refused = 0
    for _ in range(150):
        model = bytearray(tokenizer.to_bytes())
        for _ in range(4):
            model[choice.randrange(len(model))] = choice.randrange(256)
        try:
            ids = SubwordTokenizer(bytes(model)).encode("the rain")
        except TokenizerError:
            refused += 1
        else:
            assert ids.dtype == np.uint16
    assert refused > 50


def test_a_model_without_byte_pieces_is_refused() -> None:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(VERSE.splitlines()),
        model_writer=model,
        vocab_size=60,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    with pytest.raises(TokenizerError, match="no byte pieces"):
        SubwordTokenizer(model.getvalue())
