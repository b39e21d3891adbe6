"""Runs that two texts have: found wherever they are, as long as they go, and nowhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnncli.evaluation.memorization import Run, Source

TEXTS = st.text(st.sampled_from("ab月"), max_size=60)


@given(TEXTS, TEXTS, st.integers(1, 6))
def test_every_window_that_was_copied_is_in_a_run_and_every_run_was(
    sample: str, source: str, least: int
) -> None:
    runs = Source(source, least).runs(sample)
    inside = set[int]()
    for run in runs:
        assert run.length >= least
        assert sample[run.start : run.start + run.length] == source[run.source : run.source + run.length]
        own = set(range(run.start, run.start + run.length))
        assert not inside & own
        inside |= own
        after = sample[run.start : run.start + run.length + 1]
        assert len(after) == run.length or after not in source, "as long as it goes"
    for start in range(len(sample) - least + 1):
        assert start in inside or sample[start : start + least] not in source


def test_the_longest_of_several_places_is_taken() -> None:
    source = "the cat sat. the cat sat down. the cat sat"
    assert Source(source, 5).runs("and the cat sat down.") == [Run(3, 18, 12)]


@pytest.mark.parametrize("length", [63, 64, 65, 320, 5000])
def test_long_runs_are_measured_to_the_character(length: int) -> None:
    text = "".join(chr(97 + (place * place) % 23) for place in range(length))
    assert Source(f"[{text}]", 20).runs(f"<{text}>") == [Run(1, length, 1)]


def test_a_text_shorter_than_a_run_has_none() -> None:
    assert Source("abcabc", 4).runs("abc") == Source("abc", 4).runs("abcd") == Source("", 1).runs("") == []
