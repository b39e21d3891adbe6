"""Tests of training-set overlap: all runs that two texts have in common, as long as possible."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.evaluation.memorization import OverlapIndex, OverlapSpan

TEXTS = st.text(st.sampled_from("ab月"), max_size=60)


@given(TEXTS, TEXTS, st.integers(1, 6))
def test_overlaps_are_exactly_the_common_runs(sample: str, train: str, min_length: int) -> None:
    spans = OverlapIndex(train, min_length).overlaps(sample)
    inside = set[int]()
    for span in spans:
        assert span.length >= min_length
        assert (
            sample[span.start : span.start + span.length]
            == train[span.train_start : span.train_start + span.length]
        )
        own = set(range(span.start, span.start + span.length))
        assert not inside & own
        inside |= own
        after = sample[span.start : span.start + span.length + 1]
        assert len(after) == span.length or after not in train, "as long as possible"
    for start in range(len(sample) - min_length + 1):
        assert start in inside or sample[start : start + min_length] not in train


def test_the_longest_of_several_candidates_is_chosen() -> None:
    train = "the cat sat. the cat sat down. the cat sat"
    assert OverlapIndex(train, 5).overlaps("and the cat sat down.") == [OverlapSpan(3, 18, 12)]


@pytest.mark.parametrize("length", [63, 64, 65, 320, 5000])
def test_the_length_of_a_long_overlap_is_exact(length: int) -> None:
    text = "".join(chr(97 + (position * position) % 23) for position in range(length))
    assert OverlapIndex(f"[{text}]", 20).overlaps(f"<{text}>") == [OverlapSpan(1, length, 1)]


def test_a_short_text_has_no_overlaps() -> None:
    assert (
        OverlapIndex("abcabc", 4).overlaps("abc")
        == OverlapIndex("abc", 4).overlaps("abcd")
        == OverlapIndex("", 1).overlaps("")
        == []
    )
