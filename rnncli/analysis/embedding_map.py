"""Project token embeddings onto a plane.

Shapes:
  N: tokens
  E: embedding size
"""

import numpy as np
import numpy.typing as npt


def principal_plane(vectors: npt.NDArray[np.floating]) -> tuple[npt.NDArray[np.float64], float]:
    """Project vectors onto their first two principal components (Pearson 1901).

    The largest weight of each component is positive, so that the result is the same on every machine.

    Args:
        vectors: The vectors (N, E).

    Returns:
        Coordinates (N, 2), and the fraction of the variance that they explain.
    """
    values = vectors.astype(np.float64)
    centered = values - values.mean(0)
    _, singular_values, components = np.linalg.svd(centered, full_matrices=False)
    plane = np.zeros((2, vectors.shape[1]))
    plane[: len(components[:2])] = components[:2]
    largest = np.abs(plane).argmax(1)
    plane *= np.where(plane[np.arange(2), largest] < 0.0, -1.0, 1.0)[:, None]
    total = float((singular_values**2).sum())
    explained = float((singular_values[:2] ** 2).sum()) / total if total > 0.0 else 0.0
    return centered @ plane.T, explained
