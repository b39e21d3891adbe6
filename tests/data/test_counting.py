"""Sizes of texts are those that Python itself would count."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.data.counting import TextCounts, code_points, count

EVERY_SPACE = "".join(chr(point) for point in range(0x110000) if chr(point).isspace())


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
def test_sizes_are_code_points_words_between_blanks_and_bytes_of_utf_8(text: str, counts: TextCounts) -> None:
    assert count(text) == counts


@given(st.text() | st.text("a月🙂" + EVERY_SPACE))
def test_sizes_are_what_python_counts(text: str) -> None:
    assert count(text) == (len(text), len(text.split()), len(text.encode()))


def test_every_kind_of_white_space_parts_words() -> None:
    for space in EVERY_SPACE:
        assert count(f"a{space}b{space}").words == 2
        assert count(f"月{space}b").words == 2


@given(st.text())
def test_code_points_are_those_of_the_characters(text: str) -> None:
    points = code_points(text)
    assert points.dtype == np.uint32
    assert points.tolist() == [ord(character) for character in text]


def test_sizes_add_up() -> None:
    assert TextCounts(1, 2, 3).plus(TextCounts(40, 50, 60)) == TextCounts(41, 52, 63)
