"""An n-gram beside a network, on disk: what was written comes back, anything else is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnncli.errors import ModelError
from rnncli.ngram.interpolation import Interpolation
from rnncli.ngram.kneser_ney import NgramModel, fit
from rnncli.storage.ngram_file import read_ngram, serialize_ngram
from rnncli.storage.safetensors_file import read_arrays, serialize_arrays

V = 7
NGRAM: NgramModel = fit(np.random.default_rng(0).integers(0, V, 500), 4, V)
MIXTURE = Interpolation(np.array([0.5, 1.0]), np.full((4, 3), 0.25))


@pytest.mark.parametrize("order", [1, 2, 4])
def test_what_was_written_comes_back(own_folder: Path, order: int) -> None:
    written = fit(np.random.default_rng(0).integers(0, V, 500), order, V)
    (own_folder / "n").write_bytes(serialize_ngram(written, MIXTURE))
    ngram, mixture = read_ngram(own_folder / "n", V)
    ids = np.random.default_rng(1).integers(0, V, 200)
    assert ngram.order == order
    assert np.array_equal(ngram.token_nll(ids)[0], written.token_nll(ids)[0])
    assert np.array_equal(mixture.weights, MIXTURE.weights)
    assert np.array_equal(mixture.edges, MIXTURE.edges)


def test_what_could_not_be_read_again_is_not_written() -> None:
    beyond = replace(NGRAM, log_backoffs=(NGRAM.log_backoffs[0] + 1e3, *NGRAM.log_backoffs[1:]))
    with pytest.raises(ModelError, match="a weight that no n-gram has"):
        serialize_ngram(beyond, MIXTURE)


def test_another_vocabulary_is_refused(own_folder: Path) -> None:
    (own_folder / "n").write_bytes(serialize_ngram(NGRAM, MIXTURE))
    with pytest.raises(ModelError, match="not an n-gram of 8 tokens"):
        read_ngram(own_folder / "n", V + 1)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("keys.3", None),
        ("keys.3", np.arange(5)),
        ("keys.3", NGRAM.keys[1].astype(np.int32)),
        ("keys.2", NGRAM.keys[0][::-1].copy()),
        ("keys.2", NGRAM.keys[0] + 100 * V),
        ("keys.2", NGRAM.keys[0] - 1),
        ("log_probs.1", NGRAM.log_probs[0][:-1]),
        ("log_probs.2", NGRAM.log_probs[1] + 3.0),
        ("log_probs.2", NGRAM.log_probs[1].astype(np.float64)),
        ("log_backoffs.1", NGRAM.log_backoffs[1]),
        ("interpolation.weights", MIXTURE.weights + 0.9),
        ("interpolation.weights", MIXTURE.weights[:, :2].copy()),
        ("interpolation.weights", MIXTURE.weights[0]),
        ("interpolation.edges", MIXTURE.edges[::-1].copy()),
    ],
    ids=str,
)
def test_arrays_that_do_not_belong_together_are_refused(own_folder: Path, name: str, changed: object) -> None:
    (own_folder / "n").write_bytes(serialize_ngram(NGRAM, MIXTURE))
    tensors, facts = read_arrays(own_folder / "n")
    if changed is None:
        del tensors[name]
    else:
        tensors[name] = np.asarray(changed)
    (own_folder / "n").write_bytes(serialize_arrays(tensors, facts))
    with pytest.raises(ModelError):
        read_ngram(own_folder / "n", V)
