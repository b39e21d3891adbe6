"""Line hashes contain the lines of a text and no others, whatever the chunk size."""

import numpy as np
import pytest

from rnncli.data import line_hashes
from rnncli.data.line_hashes import LineHashes


@pytest.mark.parametrize("at_once", [3, 64, 2**20])
@pytest.mark.parametrize("size", [0, 1, 5, 400])
def test_the_lines_of_a_text_are_known_and_no_others(
    at_once: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_hashes, "_CHUNK_TOKENS", at_once)
    rng = np.random.default_rng(size)
    ids = rng.integers(0, 4, size).astype(np.uint8)
    lines = set(ids.tobytes().removesuffix(b"\0").split(b"\0")) if size else set()
    known = LineHashes.of(ids, 0)
    assert len(known.hashes) == len(lines)
    others = {rng.integers(1, 4, length).astype(np.uint8).tobytes() for length in range(7) for _ in range(30)}
    for line in lines | others:
        assert (np.frombuffer(line, np.uint8) in known) == (line in lines), line


def test_a_long_line_is_known_by_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_hashes, "_CHUNK_TOKENS", 50_000)
    line = np.random.default_rng(1).integers(0, 9, 200_000).astype(np.uint16)
    known = LineHashes.of(line, None)
    assert line in known
    other = line.copy()
    other[150_000] ^= 1
    assert other not in known
    assert line[:-1] not in known


def test_lines_of_nothing_but_zeros_differ_by_their_lengths() -> None:
    known = LineHashes.of(np.array([0, 0, 9], np.uint8), 9)
    assert np.zeros(2, np.uint8) in known
    assert np.zeros(1, np.uint8) not in known
    assert np.zeros(0, np.uint8) not in known
