"""Tests of neuron probes."""

import numpy as np
import pytest
import torch

from rnncli.analysis.neuron_probes import Activations, neuron_probes, record_activations, text_features
from tests.conftest import STRUCTURES, tiny_model

IDS = np.random.default_rng(5).integers(0, 11, 700).astype(np.uint16)


def test_features_are_computed_after_each_character() -> None:
    token_texts = tuple('ab "c (d)" e\nf')
    found = {name: values.tolist() for name, values in text_features(token_texts).items()}
    assert found["inside quotes"] == [0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0]
    assert found["inside brackets"] == [0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0]
    assert found["position in the line"] == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 1]
    assert found["position in the word"] == [1, 2, 0, 1, 2, 0, 1, 2, 3, 4, 0, 1, 0, 1]


def test_chinese_quotes_and_tokens_of_several_characters() -> None:
    found = text_features(("他说", "：“", "好（很好", "）", "”。", "「又", "」"))
    assert found["inside quotes"].tolist() == [0, 1, 1, 1, 0, 1, 0]
    assert found["inside brackets"].tolist() == [0, 0, 1, 0, 0, 0, 0]


def test_the_neuron_that_tracks_a_feature_is_found() -> None:
    token_texts = tuple('he said "no" and "yes" (so they say)\n' * 8)
    rng = np.random.default_rng(0)
    values = rng.normal(size=(len(token_texts), 5)).astype(np.float32)
    values[:, 3] = 0.1 * values[:, 3] - text_features(token_texts)["inside quotes"]
    neurons = tuple(f"layers.0:{n}" for n in range(5))
    found = {one.feature: one for one in reversed(neuron_probes(Activations(neurons, token_texts, values)))}
    assert found["inside quotes"].neuron == "layers.0:3"
    assert found["inside quotes"].r < -0.9


@pytest.mark.parametrize("structure", ["lstm", "mixed", "everything"])
def test_activations_are_the_hidden_states_of_all_layers(structure: str) -> None:
    model = tiny_model(**STRUCTURES[structure])
    token_texts = tuple("abcdefghijk"[token] for token in IDS[:30].tolist())
    found = record_activations(model, IDS[:30], token_texts)
    layers = model.config.num_layers * model.config.ensemble_size
    assert found.values.shape == (30, 8 * layers)
    ids = torch.from_numpy(np.concatenate([[model.config.bos_id], IDS[:30]]).astype(np.int64))[None]
    with torch.no_grad():
        _, state = model.hidden(ids, model.initial_state(1))
    of_layers = [
        layer[0][0]
        for layer, name in zip(
            state.layers, [*model.config.state_shapes] * model.config.ensemble_size, strict=True
        )
        if name.startswith("layers.")
    ]
    np.testing.assert_allclose(found.values[-1], torch.cat(of_layers).numpy(), atol=1e-5)
    with pytest.raises(KeyError):
        found.of("layers.9:0")


def test_a_reset_makes_lines_independent() -> None:
    model, token_texts = tiny_model(), tuple("x" * 20)
    alone = record_activations(model, IDS[10:20], token_texts[10:])
    both = record_activations(model, IDS[:20], token_texts, frozenset({0, 10}))
    np.testing.assert_allclose(both.values[10:], alone.values, atol=1e-6)
