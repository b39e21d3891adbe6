"""Which hypothesis of an n-best list is the best. Shapes: H hypotheses, U utterances, F features of each.

The total cost of a hypothesis is the sum of its features, each times a weight, and the one with the least
is taken. The number of errors as a function of the weights is a staircase, without a slope to go down. But
along a line through the weights every total is a straight line, so that the steps of the stairs are where
straight lines cross, and the best place on the line is found exactly (Och 2003, section 4):

    total |\\      /
          | \\    /   the lowest line of each utterance is the hypothesis that is taken;
          |  \\__/    its errors are known, and change at the corners only
          +-------- place on the line
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

Reals = npt.NDArray[np.float64]
Whole = npt.NDArray[np.int64]

# Directions besides the features themselves, and beginnings besides the one that was given.
_RANDOM_DIRECTIONS, _BEGINNINGS = 4, 8
_MOST_ROUNDS = 20
_EDGE = 1.0


def taken(totals: Reals, utterance: Whole) -> Whole:
    """The hypothesis with the least total (H,) of each utterance (U,); of equals the first."""
    order = np.lexsort((np.arange(len(totals)), totals, utterance))
    return order[np.flatnonzero(np.diff(utterance[order], prepend=-1))]


def errors_of_best(totals: Reals, errors: Whole, utterance: Whole) -> int:
    """Those of what is taken, in all."""
    return int(errors[taken(totals, utterance)].sum())


def word_errors(
    texts: Sequence[Sequence[str]], references: Sequence[Sequence[str]], utterance: Whole
) -> Whole:
    """Words or characters to be put in, left out or changed to come from each text to its reference (H,)."""
    pairs = zip(texts, utterance.tolist(), strict=True)
    return np.array([Levenshtein.distance(text, references[owner]) for text, owner in pairs], np.int64)


def tune(features: Reals, errors: Whole, utterance: Whole, weights: Reals) -> Reals:
    """The weights (F,) under which what is taken has the fewest errors (H,), found from `weights` on.

    Their absolute values add up to 1. Of weights that are as good the first found stay.
    """
    rng = np.random.default_rng(0)
    lists = [np.flatnonzero(utterance == number) for number in range(int(utterance.max()) + 1)]
    scales = np.maximum(np.abs(features).mean(0), 1e-12)
    best, fewest = weights, errors_of_best(features @ weights, errors, utterance)
    for beginning in (weights, *(rng.standard_normal((_BEGINNINGS, len(weights))) / scales)):
        found, least = _descended(features, errors, utterance, lists, beginning, scales, rng)
        if least < fewest:
            best, fewest = found, least
    return best / max(float(np.abs(best).sum()), 1e-300)


def _descended(
    features: Reals,
    errors: Whole,
    utterance: Whole,
    lists: list[Whole],
    weights: Reals,
    scales: Reals,
    rng: np.random.Generator,
) -> tuple[Reals, int]:
    """As long as a line through the weights leads to fewer errors, to the best place on it."""
    fewest = errors_of_best(features @ weights, errors, utterance)
    for _ in range(_MOST_ROUNDS):
        before = fewest
        random = rng.standard_normal((_RANDOM_DIRECTIONS, len(weights)))
        for direction in np.concatenate([np.eye(len(weights)), random]) / scales:
            place = _best_place(features @ weights, features @ direction, errors, lists)
            moved = weights + place * direction
            now = errors_of_best(features @ moved, errors, utterance)
            if now < fewest:
                weights, fewest = moved, now
        if fewest == before:
            break
    return weights, fewest


def _best_place(offsets: Reals, slopes: Reals, errors: Whole, lists: list[Whole]) -> float:
    """Where on the line, total = offset + place * slope (H,), what is taken has the fewest errors."""
    first, changes = 0, []
    for own in lists:
        corners = _lowest(offsets[own], slopes[own])
        first += int(errors[own[corners[0][1]]])
        for (_, before), (place, after) in pairwise(corners):
            changes.append((place, int(errors[own[after]] - errors[own[before]])))
    if not changes:
        return 0.0
    changes.sort()
    places = np.array([place for place, _ in changes])
    totals = first + np.concatenate([[0], np.cumsum([change for _, change in changes])])
    # The middle of the best stretch: as far as can be from where it gets worse.
    edges = np.concatenate([[places[0] - _EDGE], places, [places[-1] + _EDGE]])
    wide = np.diff(edges) > 0.0
    best = int(np.argmin(np.where(wide, totals, np.iinfo(np.int64).max)))
    return float(0.5 * (edges[best] + edges[best + 1]))


def _lowest(offsets: Reals, slopes: Reals) -> list[tuple[float, int]]:
    """The lowest of some lines, from left to right: from which place on, and which."""
    order = np.lexsort((offsets, -slopes)).tolist()  # far to the left the steepest is the lowest
    hull: list[tuple[float, int]] = []
    for line in order:
        place = -np.inf
        if hull and slopes[line] == slopes[hull[-1][1]]:
            continue
        while hull:
            start, last = hull[-1]
            place = float((offsets[line] - offsets[last]) / (slopes[last] - slopes[line]))
            if place > start:
                break
            hull.pop()
        hull.append((place, line))
    return hull
