"""Tests of exact scoring: every token once, with its full history, whatever the number of chunks.

Shapes:
  N: tokens of a text
"""

import numpy as np
import pytest
import torch

from rnncli.data.text_units import TextCounts
from rnncli.data.tokenizers.base import Ids
from rnncli.evaluation.estimation import chunking_error, estimate, sampled_metrics
from rnncli.evaluation.language_models import NetworkModel, evaluate
from rnncli.evaluation.scoring import stream_metrics
from rnncli.evaluation.token_metrics import nll_and_entropy, nll_only
from rnncli.nn.ensemble import RNNLanguageModel
from tests.conftest import STRUCTURES, part_of, tiny_model

CELLS: list[str] = ["rnn", "gru", "lstm"]


def random_ids(count: int) -> Ids:
    return np.random.default_rng(5).integers(0, 11, count).astype(np.uint8)


@torch.no_grad()
def one_step_at_a_time(model: RNNLanguageModel, ids: Ids) -> list[float]:
    """The slow reference: read one token at a time, without chunks or batches."""
    state, before, nats = model.initial_state(1), model.config.bos_id, []
    for token in map(int, ids):
        logits, state = model(torch.tensor([[before]]), state)
        nats.append(-float(torch.log_softmax(logits[0, 0].double(), 0)[token]))
        before = token
    return nats


def scored(model: RNNLanguageModel, ids: Ids, **layout: int) -> list[float]:
    return [float(nats) for block in stream_metrics(model, ids, **layout) for nats in block[:, 0]]  # type: ignore[arg-type]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 1300, 4099])
def test_the_score_is_that_of_one_step_at_a_time(cell: str, count: int) -> None:
    model, ids = tiny_model(cell=cell), random_ids(count)
    np.testing.assert_allclose(scored(model, ids), one_step_at_a_time(model, ids), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_every_structure_is_scored_as_one_step_at_a_time(structure: str) -> None:
    model, ids = tiny_model(**STRUCTURES[structure]), random_ids(1800)
    np.testing.assert_allclose(
        scored(model, ids, chunks=3, segment_steps=50), one_step_at_a_time(model, ids), rtol=1e-4, atol=1e-4
    )


def fail(*arguments: object) -> None:
    raise AssertionError("unexpected call")


def test_the_warm_up_of_an_attention_covers_its_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise every chunk of every text would be read a second time."""
    monkeypatch.setattr("rnncli.evaluation.scoring.replace_chunks", fail)
    scored(tiny_model(cell="gru", attention=600), random_ids(5000), chunks=4)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "layout",
    [
        {"chunks": 1},
        {"chunks": 3, "segment_steps": 50},
        {"chunks": 16, "segment_steps": 128},
        {"chunks": 64, "segment_steps": 7},
        {"block_tokens": 1000},
        {"chunks": 2, "block_tokens": 777, "segment_steps": 100},
    ],
    ids=str,
)
def test_the_score_does_not_depend_on_chunks_and_segments(cell: str, layout: dict[str, int]) -> None:
    model, ids = tiny_model(cell=cell), random_ids(9000)
    exact = sum(scored(model, ids, chunks=1, segment_steps=10**6, block_tokens=10**6))
    assert sum(scored(model, ids, **layout)) == pytest.approx(exact, rel=1e-6)


def model_with_memory(factor: float) -> RNNLanguageModel:
    """h' = factor h + x; with factor 1 the first token always matters and warm-up states are wrong."""
    model = tiny_model(cell="rnn", nonlinearity="relu", num_layers=1)
    kernel = model.members[0].layers[0].kernel
    with torch.no_grad():
        kernel.weight_hh_l0.copy_(factor * torch.eye(8))
        kernel.weight_ih_l0.abs_().mul_(0.01)
        model.members[0].embedding.weight.abs_()
        model.members[0].output_weight.mul_(0.01)
    return model


def test_a_network_that_never_forgets_is_scored_exactly() -> None:
    model, ids = model_with_memory(1.0), random_ids(6000)
    exact = sum(scored(model, ids, chunks=1, segment_steps=10**6))
    assert sum(scored(model, ids, chunks=7, segment_steps=64)) == pytest.approx(exact, rel=1e-6)
    unverified, _ = sampled_metrics(model, ids, len(ids), chunks=7)
    assert float(unverified.sum()) != pytest.approx(exact, rel=1e-4), "verification is necessary here"


def test_a_network_that_forgets_within_a_chunk_needs_no_sequential_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, ids = model_with_memory(0.995), random_ids(40_000)
    exact = sum(scored(model, ids, chunks=1, segment_steps=10**6))
    monkeypatch.setattr("rnncli.evaluation.scoring.sequential_states", fail)
    assert sum(scored(model, ids, chunks=7)) == pytest.approx(exact, rel=1e-6)
    unverified = sum(float(block.sum()) for block in stream_metrics(model, ids, chunks=7, exact=False))
    assert unverified != pytest.approx(exact, rel=1e-6), "its warm-up states are wrong"


def test_a_few_chunks_of_a_network_that_never_forgets_need_no_sequential_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Every correction makes the state of at least one more chunk right."""
    model, ids = model_with_memory(1.0), random_ids(2_700)
    exact = sum(scored(model, ids, chunks=1, segment_steps=10**6))
    monkeypatch.setattr("rnncli.evaluation.scoring.sequential_states", fail)
    assert sum(scored(model, ids, chunks=5)) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("count", [0, 1, 600, 1024, 1025, 9000])
def test_unverified_chunks_of_a_network_that_forgets_are_exact(count: int) -> None:
    model, ids = tiny_model(), random_ids(count)
    chunked = [nats for block in stream_metrics(model, ids, chunks=6, exact=False) for nats in block[:, 0]]
    np.testing.assert_allclose(chunked, scored(model, ids), rtol=1e-4, atol=1e-4)
    assert 0.0 <= chunking_error(model, ids, 6) < 1e-6


def test_the_error_of_unverified_chunks_is_estimated() -> None:
    model, ids = model_with_memory(1.0), random_ids(30_000)
    exact = sum(scored(model, ids))
    chunked = sum(float(block.sum()) for block in stream_metrics(model, ids, chunks=16, exact=False))
    error = chunking_error(model, ids, 16)
    assert chunked != pytest.approx(exact, rel=1e-4)
    assert error > 1e-5
    assert 0.1 < abs(chunked - exact) / len(ids) / error < 100.0
    assert chunking_error(model, ids[:1536], 3) > 1e-6, "the third chunk lacks a third of its history"
    assert chunking_error(model, ids[:1024], 2) == 0.0, "the second chunk has read all of the first"


@pytest.mark.parametrize("tokens", [700, 5000, 9000, 10**6])
def test_a_sample_is_evenly_distributed_and_scored_exactly(tokens: int) -> None:
    model, ids = tiny_model(), random_ids(9000)
    exact = np.array(scored(model, ids))
    nats, positions = sampled_metrics(model, ids, tokens)
    np.testing.assert_allclose(nats[:, 0], exact[positions], rtol=1e-4, atol=1e-4)
    assert len(set(positions.tolist())) == len(positions)
    assert len(positions) == pytest.approx(min(tokens, 9000), rel=0.05)
    assert positions.max() > 7000


def test_an_estimate_is_a_score_of_the_sampled_tokens() -> None:
    model, ids = tiny_model(), random_ids(9000)
    score = estimate(model, part_of(ids, unk_id=3), 900, lambda some: TextCounts(len(some), 1, 2))
    assert score.tokens == score.characters == len(sampled_metrics(model, ids, 900)[1])
    assert 0 < score.oov_tokens < score.tokens
    whole = evaluate(NetworkModel(model), part_of(ids)).score
    assert score.nats_per_token == pytest.approx(whole.nats_per_token, rel=0.1)


def test_a_network_with_nan_weights_gives_a_nan_score() -> None:
    model = tiny_model()
    with torch.no_grad():
        model.members[0].layers[0].kernel.weight_hh_l0.fill_(torch.nan)
    assert np.isnan(sum(scored(model, random_ids(2000))))


def test_nll_is_minus_ln_p() -> None:
    logits = torch.tensor([[0.25, 0.25, 0.5]]).log()
    assert nll_only(logits, torch.tensor([2])).item() == pytest.approx(0.693147, abs=1e-6)
    assert nll_only(logits, torch.tensor([0])).item() == pytest.approx(1.386294, abs=1e-6)


def test_an_empty_text_has_a_loss_of_zero() -> None:
    score = evaluate(NetworkModel(tiny_model()), part_of(random_ids(0))).score
    assert (score.nll_nats, score.tokens) == (0.0, 0)


@pytest.mark.parametrize(("unk_id", "positions"), [(0, [0, 2]), (2, [3]), (None, [])])
def test_oov_tokens_and_their_loss_are_counted(unk_id: int | None, positions: list[int]) -> None:
    ids = np.array([0, 1, 0, 2], np.uint8)
    text, nats = part_of(ids, unk_id=unk_id), scored(tiny_model(), ids)
    whole = evaluate(NetworkModel(tiny_model()), text).score
    estimated = estimate(tiny_model(), text, 4, lambda some: TextCounts(len(some), 1, 4))
    for score in (whole, estimated):
        assert (score.tokens, score.oov_tokens) == (4, len(positions))
        assert score.oov_nll_nats == pytest.approx(sum(nats[position] for position in positions), rel=1e-6)


def test_probabilities_of_all_continuations_add_up_to_one() -> None:
    model, before = tiny_model(), random_ids(5)
    last = [scored(model, np.append(before, token).astype(np.uint8))[-1] for token in range(11)]
    assert np.exp(-np.array(last)).sum() == pytest.approx(1.0, abs=1e-5)


def test_nll_and_entropy_match_their_definitions() -> None:
    logits = torch.tensor([[0.0, 1.0, -torch.inf], [2.0, 2.0, 2.0]])
    probabilities = logits.double().softmax(-1).numpy()
    metrics = nll_and_entropy(logits, torch.tensor([1, -100]))
    p = probabilities[0, :2]
    assert metrics[0].tolist() == pytest.approx([-np.log(p[1]), -(p * np.log(p)).sum()], rel=1e-6)
    assert metrics[1].tolist() == pytest.approx([0.0, np.log(3.0)]), "a token without a target has no loss"


def test_the_first_metric_of_a_token_is_its_nll() -> None:
    model, ids = tiny_model(), random_ids(1300)
    (block,) = stream_metrics(model, ids, nll_and_entropy)
    assert block[:, 0].tolist() == pytest.approx(scored(model, ids), rel=1e-6)
    assert (block[:, 1] > 0.0).all()
