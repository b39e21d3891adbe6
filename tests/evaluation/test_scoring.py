"""Every token once, with full history, however the work is laid out. Shapes: N tokens."""

import numpy as np
import pytest
import torch

from rnncli.data.counting import TextCounts
from rnncli.data.tokenizers.base import Ids
from rnncli.evaluation.evaluation import estimate, evaluate
from rnncli.evaluation.metrics import nats_and_entropy, token_nats
from rnncli.evaluation.scoring import sampled_measures, split_gap, stream_measures
from rnncli.nn.config import Cell
from rnncli.nn.language_model import LanguageModel
from tests.conftest import STRUCTURES, part_of, tiny_model

CELLS: list[Cell] = ["rnn", "gru", "lstm"]


def random_ids(count: int) -> Ids:
    return np.random.default_rng(5).integers(0, 11, count).astype(np.uint8)


@torch.no_grad()
def one_step_at_a_time(model: LanguageModel, ids: Ids) -> list[float]:
    """The definition: feed a token, read -ln p of the next; nothing batched, nothing cut."""
    state, before, nats = model.initial_state(1), model.config.start, []
    for token in map(int, ids):
        logits, state = model(torch.tensor([[before]]), state)
        nats.append(-float(torch.log_softmax(logits[0, 0].double(), 0)[token]))
        before = token
    return nats


def scored(model: LanguageModel, ids: Ids, **layout: int) -> list[float]:
    return [float(nats) for block in stream_measures(model, ids, **layout) for nats in block[:, 0]]  # type: ignore[arg-type]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 1300, 4099])
def test_the_score_is_that_of_one_step_at_a_time(cell: Cell, count: int) -> None:
    model, ids = tiny_model(cell=cell), random_ids(count)
    np.testing.assert_allclose(scored(model, ids), one_step_at_a_time(model, ids), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_every_structure_is_scored_as_one_step_at_a_time(structure: str) -> None:
    model, ids = tiny_model(**STRUCTURES[structure]), random_ids(1800)
    np.testing.assert_allclose(
        scored(model, ids, lanes=3, window=50), one_step_at_a_time(model, ids), rtol=1e-4, atol=1e-4
    )


def never(*arguments: object) -> None:
    raise AssertionError("this was not to be done")


def test_an_attention_is_guessed_with_all_of_its_past(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else every lane of every text would be read once more."""
    monkeypatch.setattr("rnncli.evaluation.scoring.set_lanes", never)
    scored(tiny_model(cell="gru", attention=600), random_ids(5000), lanes=4)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    "layout",
    [
        {"lanes": 1},
        {"lanes": 3, "window": 50},
        {"lanes": 16, "window": 128},
        {"lanes": 64, "window": 7},
        {"block_tokens": 1000},
        {"lanes": 2, "block_tokens": 777, "window": 100},
    ],
    ids=str,
)
def test_the_figure_does_not_depend_on_batch_or_window(cell: Cell, layout: dict[str, int]) -> None:
    model, ids = tiny_model(cell=cell), random_ids(9000)
    exact = sum(scored(model, ids, lanes=1, window=10**6, block_tokens=10**6))
    assert sum(scored(model, ids, **layout)) == pytest.approx(exact, rel=1e-6)


def model_that_keeps(share: float) -> LanguageModel:
    """h' = share h + x: with 1 the first token matters for ever, and guessed states never come right."""
    model = tiny_model(cell="rnn", nonlinearity="relu", num_layers=1)
    kernel = model.members[0].layers[0].kernel
    with torch.no_grad():
        kernel.weight_hh_l0.copy_(share * torch.eye(8))
        kernel.weight_ih_l0.abs_().mul_(0.01)
        model.members[0].embedding.weight.abs_()
        model.members[0].output_weight.mul_(0.01)
    return model


def test_a_network_that_forgets_nothing_is_still_scored_exactly() -> None:
    model, ids = model_that_keeps(1.0), random_ids(6000)
    exact = sum(scored(model, ids, lanes=1, window=10**6))
    assert sum(scored(model, ids, lanes=7, window=64)) == pytest.approx(exact, rel=1e-6)
    unchecked, _ = sampled_measures(model, ids, len(ids), lanes=7)
    assert float(unchecked.sum()) != pytest.approx(exact, rel=1e-4), "the check was needed here"


def test_a_network_that_forgets_within_a_lane_is_never_read_in_a_single_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, ids = model_that_keeps(0.995), random_ids(40_000)
    exact = sum(scored(model, ids, lanes=1, window=10**6))
    monkeypatch.setattr("rnncli.evaluation.lane_starts._one_after_another", never)
    assert sum(scored(model, ids, lanes=7)) == pytest.approx(exact, rel=1e-6)
    guessed = sum(float(block.sum()) for block in stream_measures(model, ids, lanes=7, checked=False))
    assert guessed != pytest.approx(exact, rel=1e-6), "its guesses were wrong"


def test_so_is_one_that_forgets_nothing_where_there_are_few_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every round is right about one lane more."""
    model, ids = model_that_keeps(1.0), random_ids(2_700)
    exact = sum(scored(model, ids, lanes=1, window=10**6))
    monkeypatch.setattr("rnncli.evaluation.lane_starts._one_after_another", never)
    assert sum(scored(model, ids, lanes=5)) == pytest.approx(exact, rel=1e-6)


@pytest.mark.parametrize("count", [0, 1, 600, 1024, 1025, 9000])
def test_streams_of_a_network_that_forgets_lose_nothing_and_say_so(count: int) -> None:
    model, ids = tiny_model(), random_ids(count)
    split = [nats for block in stream_measures(model, ids, lanes=6, checked=False) for nats in block[:, 0]]
    np.testing.assert_allclose(split, scored(model, ids), rtol=1e-4, atol=1e-4)
    assert 0.0 <= split_gap(model, ids, 6) < 1e-6


def test_streams_of_a_network_that_forgets_nothing_are_off_by_about_what_they_say() -> None:
    model, ids = model_that_keeps(1.0), random_ids(30_000)
    exact = sum(scored(model, ids))
    split = sum(float(block.sum()) for block in stream_measures(model, ids, lanes=16, checked=False))
    gap = split_gap(model, ids, 16)
    assert split != pytest.approx(exact, rel=1e-4)
    assert gap > 1e-5
    assert 0.1 < abs(split - exact) / len(ids) / gap < 100.0
    assert split_gap(model, ids[:1536], 3) > 1e-6, "the third lane lacks a third of its history"
    assert split_gap(model, ids[:1024], 2) == 0.0, "the second lane has read all of the first"


@pytest.mark.parametrize("tokens", [700, 5000, 9000, 10**6])
def test_a_sample_scores_what_it_says_from_all_over_the_text(tokens: int) -> None:
    model, ids = tiny_model(), random_ids(9000)
    exact = np.array(scored(model, ids))
    nats, positions = sampled_measures(model, ids, tokens)
    np.testing.assert_allclose(nats[:, 0], exact[positions], rtol=1e-4, atol=1e-4)
    assert len(set(positions.tolist())) == len(positions)
    assert len(positions) == pytest.approx(min(tokens, 9000), rel=0.05)
    assert positions.max() > 7000


def test_an_estimate_adds_up_like_a_score() -> None:
    model, ids = tiny_model(), random_ids(9000)
    score = estimate(model, part_of(ids, unknown_id=3), 900, lambda some: TextCounts(len(some), 1, 2))
    assert score.tokens == score.characters == len(sampled_measures(model, ids, 900)[1])
    assert 0 < score.oov_tokens < score.tokens
    whole = evaluate(model, part_of(ids)).score
    assert score.nats_per_token == pytest.approx(whole.nats_per_token, rel=0.1)


def test_a_network_with_broken_weights_gives_a_broken_score_and_an_end() -> None:
    model = tiny_model()
    with torch.no_grad():
        model.members[0].layers[0].kernel.weight_hh_l0.fill_(torch.nan)
    assert np.isnan(sum(scored(model, random_ids(2000))))


def test_token_nats_is_minus_ln_p() -> None:
    logits = torch.tensor([[0.25, 0.25, 0.5]]).log()
    assert token_nats(logits, torch.tensor([2])).item() == pytest.approx(0.693147, abs=1e-6)
    assert token_nats(logits, torch.tensor([0])).item() == pytest.approx(1.386294, abs=1e-6)


def test_an_empty_text_scores_nothing() -> None:
    score = evaluate(tiny_model(), part_of(random_ids(0))).score
    assert (score.nats, score.tokens) == (0.0, 0)


@pytest.mark.parametrize(("unknown", "places"), [(0, [0, 2]), (2, [3]), (None, [])])
def test_unknown_tokens_and_what_they_cost_are_counted_apart(unknown: int | None, places: list[int]) -> None:
    ids = np.array([0, 1, 0, 2], np.uint8)
    text, nats = part_of(ids, unknown_id=unknown), scored(tiny_model(), ids)
    whole = evaluate(tiny_model(), text).score
    watched = estimate(tiny_model(), text, 4, lambda some: TextCounts(len(some), 1, 4))
    for score in (whole, watched):
        assert (score.tokens, score.oov_tokens) == (4, len(places))
        assert score.oov_nats == pytest.approx(sum(nats[place] for place in places), rel=1e-6)


def test_probabilities_of_all_continuations_add_up_to_one() -> None:
    model, before = tiny_model(), random_ids(5)
    last = [scored(model, np.append(before, token).astype(np.uint8))[-1] for token in range(11)]
    assert np.exp(-np.array(last)).sum() == pytest.approx(1.0, abs=1e-5)


def test_nats_and_entropy_are_those_of_the_definition() -> None:
    logits = torch.tensor([[0.0, 1.0, -torch.inf], [2.0, 2.0, 2.0]])
    probabilities = logits.double().softmax(-1).numpy()
    measures = nats_and_entropy(logits, torch.tensor([1, -100]))
    p = probabilities[0, :2]
    assert measures[0].tolist() == pytest.approx([-np.log(p[1]), -(p * np.log(p)).sum()], rel=1e-6)
    assert measures[1].tolist() == pytest.approx([0.0, np.log(3.0)]), "no target, no nats"


def test_measures_of_a_text_have_its_nats_first() -> None:
    model, ids = tiny_model(), random_ids(1300)
    (block,) = stream_measures(model, ids, nats_and_entropy)
    assert block[:, 0].tolist() == pytest.approx(scored(model, ids), rel=1e-6)
    assert (block[:, 1] > 0.0).all()
