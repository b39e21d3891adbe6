"""Counts agree with Python's own; segments make up the text; resets fall where they should."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.data.config import Reset
from rnncli.data.text_units import TextCounts, count_text, encode_segments, segment_text
from rnncli.data.tokenizers.base import CharTokenizer, code_points, decode
from rnncli.data.tokenizers.word import WordTokenizer

EVERY_SPACE = "".join(chr(point) for point in range(0x110000) if chr(point).isspace())
TEXTS = st.text(st.sampled_from("ab .!?。！”\"'\n\r…"), max_size=40)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        ("", TextCounts(0, 0, 0)),
        ("a", TextCounts(1, 1, 1)),
        ("\n", TextCounts(1, 0, 1)),
        (" \n\t\r\u2028", TextCounts(5, 0, 7)),
        ("one  two\nthree", TextCounts(14, 3, 14)),
        ("\x1cone\x1ftwo\x85", TextCounts(9, 2, 10)),
        ("月光 🙂\n", TextCounts(5, 2, 12)),
        ("e\u0301", TextCounts(2, 1, 3)),
        ("👩\u200d👩\u200d👧", TextCounts(5, 1, 18)),
        ("a\0b\u200bc\ufeffd", TextCounts(7, 1, 11)),
        ("一\u3000二\u3001三", TextCounts(5, 2, 15)),
    ],
)
def test_sizes_are_code_points_words_between_spaces_and_bytes_of_utf_8(text: str, counts: TextCounts) -> None:
    assert count_text(text) == counts


@given(st.text() | st.text("a月🙂" + EVERY_SPACE))
def test_sizes_are_what_python_counts(text: str) -> None:
    assert count_text(text) == (len(text), len(text.split()), len(text.encode()))


def test_every_kind_of_white_space_splits_words() -> None:
    for space in EVERY_SPACE:
        assert count_text(f"a{space}b{space}").words == 2
        assert count_text(f"月{space}b").words == 2


@given(st.text())
def test_code_points_are_those_of_the_characters(text: str) -> None:
    points = code_points(text)
    assert points.dtype == np.uint32
    assert points.tolist() == [ord(character) for character in text]


def test_sizes_add_up() -> None:
    assert TextCounts(1, 2, 3).plus(TextCounts(40, 50, 60)) == TextCounts(41, 52, 63)


RULES: list[Reset] = ["never", "line", "sentence", "document"]


@given(TEXTS, st.sampled_from(RULES))
def test_segments_make_up_the_text(text: str, rule: Reset) -> None:
    parts = segment_text([text], rule)
    assert "".join(parts) == text
    assert all(parts)
    if text:
        tokenizer = CharTokenizer.train(text)
        ids, starts = encode_segments(tokenizer, [text], rule)
        assert decode(tokenizer, ids) == text
        assert (starts is None) == (rule == "never")
        if starts is not None:
            lengths = np.diff(np.append(starts, len(ids)))
            assert lengths.tolist() == [len(part) for part in parts]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("It rains. It pours!", ["It rains. ", "It pours!"]),
        ("“Really?” she said.\nNo.", ["“Really?” ", "she said.\n", "No."]),
        ("He paid 3.50 for it... Then", ["He paid 3.50 for it... ", "Then"]),
        ("床前明月光。疑是地上霜！”舉頭", ["床前明月光。", "疑是地上霜！”", "舉頭"]),
        ("no mark\n\nat all", ["no mark\n\n", "at all"]),
        ("", []),
    ],
)
def test_sentences_end_with_their_marks(text: str, parts: list[str]) -> None:
    assert segment_text([text], "sentence") == parts


def test_documents_are_the_texts_that_were_read() -> None:
    assert segment_text(["a. b\n", "", "c"], "document") == ["a. b\n", "c"]
    ids, starts = encode_segments(CharTokenizer.train("abc"), ["ab", "", "c"], "document")
    assert (ids.tolist(), starts.tolist() if starts is not None else None) == ([1, 2, 3], [0, 2])


def test_lines_keep_their_ends_and_words_their_marks() -> None:
    assert segment_text(["a\n\nb"], "line") == ["a\n", "\n", "b"]
    words = WordTokenizer(["<unk>", "<eos>", "a", "b"])
    ids, starts = encode_segments(words, ["a b\n\nb"], "line")
    assert ids.tolist() == [2, 3, 1, 1, 3]
    assert starts is not None
    assert starts.tolist() == [0, 3, 4]
