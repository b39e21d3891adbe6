"""Tests of the projection of embeddings onto a plane."""

import numpy as np

from rnncli.analysis.embedding_map import principal_plane


def test_the_plane_has_the_most_variance() -> None:
    rng = np.random.default_rng(1)
    plane = rng.normal(size=(40, 2)) * [5.0, 2.0]
    turned = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    vectors = np.concatenate([plane, 0.01 * rng.normal(size=(40, 4))], 1) @ turned
    positions, share = principal_plane(vectors)
    assert share > 0.999
    distances = np.linalg.norm(positions[:, None] - positions, axis=2)
    np.testing.assert_allclose(distances, np.linalg.norm(plane[:, None] - plane, axis=2), atol=0.2)


def test_large_numbers_do_not_overflow() -> None:
    vectors = np.full((5, 3), 3.0e38, np.float32)
    vectors[0] = -3.0e38
    assert np.isfinite(principal_plane(vectors)[0]).all()


def test_one_vector_and_equal_vectors_have_a_plane() -> None:
    for vectors in (np.ones((1, 3)), np.ones((4, 3)), np.arange(3.0)[:, None]):
        positions, share = principal_plane(vectors)
        assert positions.shape == (len(vectors), 2)
        assert 0.0 <= share <= 1.0
