"""What is measured on a trained model to see what it learned."""

import numpy as np
import pytest
import torch

from rnncli.analysis.context_ablation import HISTORIES, memory_reach
from rnncli.analysis.embedding_map import principal_plane
from rnncli.analysis.neuron_probes import Activations, activations, features, tracked
from rnncli.errors import CorpusError
from tests.conftest import STRUCTURES, tiny_model

IDS = np.random.default_rng(5).integers(0, 11, 700).astype(np.uint16)


def test_a_cut_history_is_read_from_an_empty_memory() -> None:
    model = tiny_model()
    found = memory_reach(model, IDS)
    assert list(found) == [k for k in HISTORIES if k <= 350]
    longest = max(found)
    places = np.unique(np.linspace(longest, len(IDS) - 1, 512).astype(int))
    for k in (1, 3, 64):
        nats = []
        for place in places.tolist():
            tokens = torch.from_numpy(IDS[place - k : place].astype(np.int64))[None]
            with torch.no_grad():
                logits, _ = model(tokens, model.initial_state(1))
            nats.append(-float(torch.log_softmax(logits[0, -1], 0)[int(IDS[place])]))
        assert found[k] == pytest.approx(np.mean(nats), rel=1e-5)


def test_a_text_that_is_too_short_to_be_cut_is_one_error() -> None:
    with pytest.raises(CorpusError, match="too few to cut"):
        memory_reach(tiny_model(), IDS[:1])


def test_features_say_what_holds_after_each_character() -> None:
    pieces = tuple('ab "c (d)" e\nf')
    found = {name: values.tolist() for name, values in features(pieces).items()}
    assert found["inside quotes"] == [0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]
    assert found["inside brackets"] == [0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0]
    assert found["position in the line"] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 1]
    assert found["position in the word"] == [1, 2, 0, 1, 2, 0, 1, 2, 3, 4, 0, 1, 0, 1]


def test_chinese_quotes_and_brackets_count_and_a_piece_may_have_several_characters() -> None:
    found = features(("他说", "：“", "好（很好", "）", "”。", "「又", "」"))
    assert found["inside quotes"].tolist() == [0, 1, 1, 1, 0, 1, 0]
    assert found["inside brackets"].tolist() == [0, 0, 1, 0, 0, 0, 0]


def test_the_unit_that_follows_a_feature_is_found() -> None:
    pieces = tuple('he said "no" and "yes" (so they say)\n' * 8)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(len(pieces), 5)).astype(np.float32)
    values[:, 3] = 0.1 * values[:, 3] - features(pieces)["inside quotes"]
    units = tuple(f"layers.0:{n}" for n in range(5))
    found = {one.feature: one for one in reversed(tracked(Activations(units, pieces, values)))}
    assert found["inside quotes"].unit == "layers.0:3"
    assert found["inside quotes"].r < -0.9


@pytest.mark.parametrize("structure", ["lstm", "mixed", "everything"])
def test_activations_are_those_of_every_layer_after_each_token(structure: str) -> None:
    model = tiny_model(**STRUCTURES[structure])
    pieces = tuple("abcdefghijk"[token] for token in IDS[:30].tolist())
    found = activations(model, IDS[:30], pieces)
    layers = model.config.num_layers * model.config.members
    assert found.values.shape == (30, 8 * layers)
    ids = torch.from_numpy(np.concatenate([[model.config.start], IDS[:30]]).astype(np.int64))[None]
    with torch.no_grad():
        _, state = model.hidden(ids, model.initial_state(1))
    of_layers = [
        layer[0][0]
        for layer, name in zip(state.blocks, [*model.config.memories] * model.config.members, strict=True)
        if name.startswith("layers.")
    ]
    np.testing.assert_allclose(found.values[-1], torch.cat(of_layers).numpy(), atol=1e-5)
    with pytest.raises(KeyError):
        found.of("layers.9:0")


def test_a_memory_that_is_emptied_before_a_line_knows_nothing_of_the_one_before() -> None:
    model, pieces = tiny_model(), tuple("x" * 20)
    alone = activations(model, IDS[10:20], pieces[10:])
    both = activations(model, IDS[:20], pieces, frozenset({0, 10}))
    np.testing.assert_allclose(both.values[10:], alone.values, atol=1e-6)


def test_the_plane_keeps_the_directions_of_most_variance() -> None:
    rng = np.random.default_rng(1)
    plane = rng.normal(size=(40, 2)) * [5.0, 2.0]
    turned = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    vectors = np.concatenate([plane, 0.01 * rng.normal(size=(40, 4))], 1) @ turned
    places, share = principal_plane(vectors)
    assert share > 0.999
    distances = np.linalg.norm(places[:, None] - places, axis=2)
    np.testing.assert_allclose(distances, np.linalg.norm(plane[:, None] - plane, axis=2), atol=0.2)


def test_the_largest_numbers_have_a_plane() -> None:
    vectors = np.full((5, 3), 3.0e38, np.float32)
    vectors[0] = -3.0e38
    assert np.isfinite(principal_plane(vectors)[0]).all()


def test_one_vector_and_equal_vectors_have_a_plane() -> None:
    for vectors in (np.ones((1, 3)), np.ones((4, 3)), np.arange(3.0)[:, None]):
        places, share = principal_plane(vectors)
        assert places.shape == (len(vectors), 2)
        assert 0.0 <= share <= 1.0
