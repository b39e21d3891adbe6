"""Symbols as a plane: where their embeddings lie, by the two directions in which they differ most."""

import numpy as np
import numpy.typing as npt


def principal_plane(vectors: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.float64], float]:
    """vectors (N, E) -> places (N, 2) and the share of their variance that the plane has.

    Principal component analysis (Pearson 1901). Signs are such that each direction's largest weight is
    positive, so that the same model gives the same picture everywhere.
    """
    wide = vectors.astype(np.float64)
    centred = wide - wide.mean(0)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    plane = np.zeros((2, vectors.shape[1]))
    plane[: len(directions[:2])] = directions[:2]
    largest = np.abs(plane).argmax(1)
    plane *= np.where(plane[np.arange(2), largest] < 0.0, -1.0, 1.0)[:, None]
    total = float((sizes**2).sum())
    return centred @ plane.T, float((sizes[:2] ** 2).sum()) / total if total > 0.0 else 0.0
