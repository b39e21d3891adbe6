"""Words as bytes: marks at both ends, one number for each that the vocabulary lacks."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rnncli.model.config import PADDING_BYTE, SPELLED_BYTES
from rnncli.text.spelling import by_letters, vocabulary
from rnncli.text.tokenizers import CharTokenizer, WordTokenizer

WORDS = WordTokenizer(["<unk>", "<eos>", "rose", "is", "月亮"])
MATCHED = WordTokenizer(["<unk>", "<eos>", "rose", " "], r"\S+")


def letters(row: np.ndarray) -> bytes:
    return row[row != PADDING_BYTE].tobytes()


def test_every_id_has_a_row_and_text_begins_the_last() -> None:
    rows = [letters(row) for row in vocabulary(WORDS)]
    assert rows[2:5] == [b"\xfe" + word.encode() + b"\xfd" for word in ("rose", "is", "月亮")]
    assert len(set(rows)) == WORDS.vocab_size + 1
    for mark in (rows[0], rows[1], rows[5]):  # no word is spelled so
        assert len(mark) == 3
        assert mark[1] in b"\xfa\xfb\xfc"


def test_words_that_the_vocabulary_lacks_have_numbers_beyond_it() -> None:
    found = by_letters(WORDS, ["a rose is\n", "an a rose"])
    assert found is not None
    assert found.read.tolist() == [6, 2, 3, 1, 7, 6, 2]
    assert [letters(row) for row in found.spellings] == [b"\xfea\xfd", b"\xfean\xfd"]


def test_where_all_is_known_or_no_words_are_there_is_nothing_to_spell() -> None:
    assert by_letters(WORDS, ["rose is rose\n"]) is None
    assert by_letters(CharTokenizer.of("abc"), ["xyz"]) is None


def test_of_long_words_the_beginning_is_read() -> None:
    found = by_letters(WORDS, ["x" * 100])
    assert found is not None
    assert letters(found.spellings[0]) == b"\xfe" + b"x" * (SPELLED_BYTES - 2) + b"\xfd"


def test_a_lone_surrogate_is_spelled_too() -> None:
    assert len(vocabulary(WordTokenizer(["<unk>", "<eos>", "\ud800"]))) == 4
    found = by_letters(WORDS, ["\ud800"])
    assert found is not None
    assert letters(found.spellings[0]) == b"\xfe\xed\xa0\x80\xfd"


def test_a_mark_that_a_pattern_finds_in_a_text_stays_unknown() -> None:
    found = by_letters(MATCHED, ["<eos> ros"])
    assert found is not None
    assert found.read.tolist() == [0, 3, 5]
    assert by_letters(MATCHED, ["<eos>"]) is None


@given(st.lists(st.text(), max_size=4), st.sampled_from([WORDS, MATCHED]))
def test_known_words_are_read_as_their_ids(pieces: list[str], tokenizer: WordTokenizer) -> None:
    found = by_letters(tokenizer, pieces)
    ids = [token for piece in pieces for token in tokenizer.encode(piece).tolist()]
    if found is None:
        assert 0 not in ids
        return
    read = found.read.tolist()
    assert len(read) == len(ids)
    assert all(one == own if own else one > tokenizer.vocab_size for one, own in zip(read, ids, strict=True))
    assert max(read) == tokenizer.vocab_size + len(found.spellings)
