"""Tests of scoring line by line: each line from the initial state, independent of the others."""

import numpy as np
import numpy.typing as npt
import pytest

from rnncli.data.splits import ConcatenatedIds
from rnncli.data.text_units import TextCounts, line_starts
from rnncli.data.tokenizers.base import Ids
from rnncli.evaluation import scoring
from rnncli.evaluation.estimation import estimate
from rnncli.evaluation.language_models import NetworkModel, evaluate
from rnncli.evaluation.scoring import line_metrics, stream_metrics
from rnncli.nn.ensemble import RNNLanguageModel
from tests.conftest import part_of, tiny_model

CELLS: list[str] = ["rnn", "gru", "lstm"]
END = 10
Starts = npt.NDArray[np.int64]


def lines_of(*lengths: int) -> tuple[Ids, Starts]:
    """Return random lines of these lengths in tokens, line ends included."""
    rng = np.random.default_rng(3)
    ids = np.concatenate([np.append(rng.integers(0, END, length - 1), END) for length in lengths])
    return ids.astype(np.uint8), line_starts(ids, END)


def scored(
    model: RNNLanguageModel,
    ids: Ids | ConcatenatedIds,
    starts: Starts,
    lines: Starts | None = None,
    **layout: int,
) -> dict[int, float]:
    """Return the loss of each line in nats, by line number."""
    wanted = np.arange(len(starts)) if lines is None else lines
    blocks = line_metrics(model, ids, starts, lines=lines, **layout)  # type: ignore[arg-type]
    nats = np.concatenate([block[:, 0] for block in blocks]).astype(float)
    lengths = np.append(starts[1:], len(ids))[wanted] - starts[wanted]
    assert len(nats) == lengths.sum(), "each token once"
    parts = np.split(nats, np.cumsum(lengths)[:-1])
    return {int(number): float(part.sum()) for number, part in zip(wanted, parts, strict=True)}


def alone(model: RNNLanguageModel, ids: Ids, starts: Starts) -> list[float]:
    """The slow reference: each line scored as a text of its own."""
    ends = [*starts[1:].tolist(), len(ids)]
    return [
        sum(float(block.sum(dtype=np.float64)) for block in stream_metrics(model, ids[start:end]))
        for start, end in zip(starts.tolist(), ends, strict=True)
    ]


MIXED = (3, 40, 1, 9, 8, 7, 2, 300, 1, 64, 17)


@pytest.mark.parametrize("cell", CELLS)
def test_a_line_is_scored_like_a_text_of_its_own(cell: str) -> None:
    model = tiny_model(cell=cell)
    ids, starts = lines_of(*MIXED)
    found = scored(model, ids, starts)
    assert sorted(found) == list(range(len(MIXED)))
    np.testing.assert_allclose([found[n] for n in range(len(MIXED))], alone(model, ids, starts), rtol=1e-5)


@pytest.mark.parametrize("segment_steps", [1, 7, 64, 1000])
def test_a_line_longer_than_a_segment_keeps_its_history(segment_steps: int) -> None:
    model = tiny_model()
    ids, starts = lines_of(*MIXED)
    found = scored(model, ids, starts, segment_steps=segment_steps)
    np.testing.assert_allclose([found[n] for n in range(len(MIXED))], alone(model, ids, starts), rtol=1e-5)


def test_selected_lines_are_scored_in_the_given_order() -> None:
    model = tiny_model()
    ids, starts = lines_of(*MIXED)
    expected = alone(model, ids, starts)
    chosen = np.array([7, 0, 10, 3])
    found = scored(model, ids, starts, chosen)
    assert set(found) == set(chosen.tolist())
    for number, value in found.items():
        assert value == pytest.approx(expected[number], rel=1e-5)


def test_batch_sizes_do_not_change_the_score(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    ids, starts = lines_of(*MIXED)
    expected = alone(model, ids, starts)
    monkeypatch.setattr(scoring, "LINES_PER_BATCH", 3)
    monkeypatch.setattr(scoring, "LINES_SORTED", 5)
    monkeypatch.setattr(scoring, "MAX_BATCH_TOKENS", 100)
    found = scored(model, ids, starts)
    np.testing.assert_allclose([found[n] for n in range(len(MIXED))], expected, rtol=1e-5)


@pytest.mark.parametrize("cut", [1, 50, 51, 200])
def test_lines_across_concatenated_arrays_have_the_same_score(cut: int) -> None:
    """Even if a line begins in one array and ends in the next."""
    model = tiny_model()
    ids, starts = lines_of(*MIXED)
    concatenated = ConcatenatedIds([ids[:cut], ids[cut:]])
    one, other = scored(model, ids, starts), scored(model, concatenated, starts)
    assert one == pytest.approx(other, rel=1e-6)


@pytest.mark.parametrize("cell", CELLS)
def test_lines_are_independent(cell: str) -> None:
    model = tiny_model(cell=cell)
    ids, starts = lines_of(*MIXED)
    before = scored(model, ids, starts)
    changed = ids.copy()
    changed[starts[7] : starts[8] - 1] = (changed[starts[7] : starts[8] - 1] + 1) % END
    after = scored(model, changed, starts)
    assert after[7] != pytest.approx(before[7], rel=1e-4), "the change is visible"
    for number in set(before) - {7}:
        assert after[number] == pytest.approx(before[number], rel=1e-6)


def test_the_loss_of_a_text_is_the_sum_over_its_lines() -> None:
    model = tiny_model()
    ids, starts = lines_of(*MIXED)
    score = evaluate(NetworkModel(model), part_of(ids, TextCounts(len(ids), 5, 7), starts)).score
    assert score.nll_nats == pytest.approx(sum(alone(model, ids, starts)), rel=1e-6)
    assert (score.tokens, score.characters, score.words, score.bytes) == (len(ids), len(ids), 5, 7)
    as_stream = evaluate(NetworkModel(model), part_of(ids)).score
    assert score.nll_nats != pytest.approx(as_stream.nll_nats, rel=1e-4)


def test_a_last_line_without_a_line_end_is_scored() -> None:
    model = tiny_model()
    ids = np.array([1, 2, END, 3, 4, 5], np.uint8)
    starts = line_starts(ids, END)
    found = scored(model, ids, starts)
    assert [found[0], found[1]] == pytest.approx(alone(model, ids, starts), rel=1e-5)
    assert len(found) == 2


@pytest.mark.parametrize("tokens", [452, 10**9])
def test_an_estimate_of_all_lines_is_the_score(tokens: int) -> None:
    model = tiny_model()
    ids, starts = lines_of(*MIXED)
    assert len(ids) == 452

    def measure(some: Ids) -> TextCounts:
        return TextCounts(len(some), int(some.sum()), 2 * len(some))

    text = part_of(ids, measure(ids), starts, unk_id=4)
    whole = evaluate(NetworkModel(model), text).score
    estimated = estimate(model, text, tokens, measure)
    assert estimated.nll_nats == pytest.approx(whole.nll_nats, rel=1e-9)
    assert (estimated.tokens, estimated.words, estimated.bytes) == (whole.tokens, whole.words, whole.bytes)
    assert estimated.oov_tokens == whole.oov_tokens > 0


def test_an_estimate_samples_whole_lines_evenly() -> None:
    model = tiny_model()
    ids, starts = lines_of(*([5, 9, 3, 12] * 50))
    expected = alone(model, ids, starts)
    seen: list[Ids] = []

    def measure(some: Ids) -> TextCounts:
        seen.append(some)
        return TextCounts(len(some), 1, 1)

    score = estimate(model, part_of(ids, line_starts=starts), 300, measure)
    chosen = [number * 200 // 41 for number in range(41)]
    lines = np.split(ids, starts[1:])
    assert np.array_equal(seen[0], np.concatenate([lines[number] for number in chosen]))
    assert score.tokens == len(seen[0])
    assert score.nll_nats == pytest.approx(sum(expected[number] for number in chosen), rel=1e-5)
    assert score.tokens == pytest.approx(300, rel=0.1)


def test_an_estimate_of_a_single_token_reads_a_whole_line() -> None:
    model = tiny_model()
    ids, starts = lines_of(6, 4)
    score = estimate(model, part_of(ids, line_starts=starts), 1, lambda some: TextCounts(len(some), 1, 1))
    assert score.tokens == 6
    assert score.nll_nats == pytest.approx(alone(model, ids, starts)[0], rel=1e-5)
