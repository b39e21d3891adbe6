"""N-best rescoring: read n-best lists, choose the best hypotheses, and tune the weights of their scores.

Formats of lists and scores:
  kaldi  list: utt-1 the words    scores: utt-1 123.4    costs: negated natural logarithms, by name
  nbest  list: utt the words      scores: -53.6          base-10 logarithms, in the order of the list

Every hypothesis keeps its position: none is dropped, merged or reordered.

The total cost of a hypothesis is the weighted sum of its features, and the hypothesis with the least total
is chosen. The number of errors is a piecewise constant function of the weights, so it has no gradient to
follow. But along a line through weight space every total is a straight line. So the number of errors changes
only where such lines cross, and the best point on the line can be found exactly (Och 2003, "Minimum Error
Rate Training in Statistical Machine Translation", section 4):

    total |\\      /
          | \\    /   the lowest line of each utterance belongs to the chosen hypothesis;
          |  \\__/    the number of errors changes at the corners only
          +-------- position on the line

Shapes:
  H: hypotheses
  U: utterances
  F: features of a hypothesis
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

from rnncli.data.decoding import Text
from rnncli.errors import CorpusError
from rnncli.evaluation.config import ListFormat

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LN10 = math.log(10.0)
# Random directions to search besides those of the features, and random starting points besides the given one.
_RANDOM_DIRECTIONS, _RANDOM_STARTS = 4, 8
_MAX_ROUNDS = 20
# How far beyond the outermost corner of a line its end segments are taken to reach.
_END_SEGMENT = 1.0


@dataclass(frozen=True)
class NBestList:
    """An n-best list: several hypotheses for each utterance.

    Attributes:
        names: The name of each line (H,).
        texts: The text of each hypothesis (H,).
        utterances: The names of the utterances, in order of appearance (U,).
        utterance: The utterance of each hypothesis, as an index into `utterances` (H,).
    """

    names: tuple[str, ...]
    texts: tuple[str, ...]
    utterances: tuple[str, ...]
    utterance: Ints


def split_names(lines: Sequence[str], lines_before: int, source: str) -> tuple[list[str], list[str]]:
    """Split lines such as "utt-1 to be" into names and texts: "utt-1", "to be".

    Args:
        lines: The lines.
        lines_before: How many lines of the source precede them.
        source: The name of the source, for messages.

    Raises:
        CorpusError: A line has no name.
    """
    pairs = [line.split(maxsplit=1) for line in lines]
    for number, pair in enumerate(pairs, lines_before + 1):
        if not pair:
            raise CorpusError(f"line {number:,} of {source} has no name", hint="write: utt-1 the words")
    return [pair[0] for pair in pairs], [pair[1].rstrip() if len(pair) > 1 else "" for pair in pairs]


def parse_nbest(text: Text, form: ListFormat) -> NBestList:
    """Parse an n-best list.

    Raises:
        CorpusError: A line has no name; or in Kaldi format, a name is repeated or does not end in a number.
    """
    names, texts = split_names(_lines(text), 0, text.name)
    if not names:
        raise CorpusError(f"{text.name} has no hypotheses", hint="write: utt-1 the words")
    owners = names
    if form == "kaldi":
        _check_unique(names, text.name)
        owners = []
        for name in names:
            owner, _, number = name.rpartition("-")
            if not owner or not number.isdecimal():
                raise CorpusError(
                    f'{text.name} has {name} without a "-1" at the end of its name',
                    hint="name the hypotheses of utt utt-1, utt-2, ...; or use --format nbest",
                )
            owners.append(owner)
    numbers = {owner: number for number, owner in enumerate(dict.fromkeys(owners))}
    utterance = np.array([numbers[owner] for owner in owners], np.int64)
    return NBestList(tuple(names), tuple(texts), tuple(numbers), utterance)


def parse_scores(text: Text, form: ListFormat, hypotheses: NBestList) -> Floats:
    """Parse the scores of hypotheses.

    Returns:
        The cost of each hypothesis in nats (H,).

    Raises:
        CorpusError: A hypothesis has no score, or a score is not a finite number.
    """
    if form == "nbest":
        values = [_parse_number(line, number, text.name) for number, line in enumerate(_lines(text), 1)]
        if len(values) != len(hypotheses.names):
            raise CorpusError(
                f"{text.name} has {len(values):,} scores for {len(hypotheses.names):,} hypotheses",
                hint="give one score per line, in the order of the list",
            )
        return -LN10 * np.array(values)
    names, rest = split_names(_lines(text), 0, text.name)
    _check_unique(names, text.name)
    costs = {
        name: _parse_number(value, number, text.name)
        for number, (name, value) in enumerate(zip(names, rest, strict=True), 1)
    }
    for name in hypotheses.names:
        if name not in costs:
            raise CorpusError(
                f"{text.name} has no score of {name}", hint="give a score for every hypothesis of the list"
            )
    return np.array([costs[name] for name in hypotheses.names])


def parse_references(text: Text, hypotheses: NBestList) -> list[str]:
    """Parse the reference transcripts.

    Returns:
        The reference of each utterance (U,).

    Raises:
        CorpusError: An utterance has no reference, or a reference has no utterance.
    """
    names, texts = split_names(_lines(text), 0, text.name)
    _check_unique(names, text.name)
    references = dict(zip(names, texts, strict=True))
    for name in hypotheses.utterances:
        if name not in references:
            raise CorpusError(f"{text.name} has no reference for {name}", hint="write: utt the words")
    known = set(hypotheses.utterances)
    for name in names:
        if name not in known:
            raise CorpusError(
                f"the list has no hypothesis of {name}", hint="an empty hypothesis counts as one"
            )
    return [references[name] for name in hypotheses.utterances]


def best_hypotheses(totals: Floats, utterance: Ints) -> Ints:
    """Return the hypothesis with the least total cost for each utterance; the first among equals.

    Args:
        totals: The total cost of each hypothesis (H,).
        utterance: The utterance of each hypothesis (H,).

    Returns:
        Indices of hypotheses (U,).
    """
    order = np.lexsort((np.arange(len(totals)), totals, utterance))
    return order[np.flatnonzero(np.diff(utterance[order], prepend=-1))]


def errors_of_best(totals: Floats, errors: Ints, utterance: Ints) -> int:
    """Return the number of errors, of those in each hypothesis (H,), in the best hypotheses."""
    return int(errors[best_hypotheses(totals, utterance)].sum())


def edit_distances(
    texts: Sequence[Sequence[str]], references: Sequence[Sequence[str]], utterance: Ints
) -> Ints:
    """Count the errors of each hypothesis: insertions, deletions and substitutions of words or characters.

    Args:
        texts: The words or characters of each hypothesis (H,).
        references: Those of the reference of each utterance (U,).
        utterance: The utterance of each hypothesis (H,).

    Returns:
        Numbers of errors (H,).
    """
    pairs = zip(texts, utterance.tolist(), strict=True)
    return np.array([Levenshtein.distance(text, references[owner]) for text, owner in pairs], np.int64)


def tune_weights(features: Floats, errors: Ints, utterance: Ints, weights: Floats) -> Floats:
    """Find weights under which the best hypotheses have the fewest errors.

    The search is random, with a fixed seed; the first of equally good weights is returned.

    Args:
        features: The features of each hypothesis (H, F).
        errors: The number of errors in each hypothesis (H,).
        utterance: The utterance of each hypothesis (H,).
        weights: Weights to start from (F,).

    Returns:
        Weights (F,) whose absolute values sum to 1.
    """
    rng = np.random.default_rng(0)
    search = _WeightSearch(features, errors, utterance)
    best, fewest = weights, search.errors_at(weights)
    for start in (weights, *(rng.standard_normal((_RANDOM_STARTS, len(weights))) / search.scales)):
        found, found_errors = search.descend(start, rng)
        if found_errors < fewest:
            best, fewest = found, found_errors
    return best / max(float(np.abs(best).sum()), 1e-300)


def line_search(offsets: Floats, slopes: Floats, errors: Ints, lists: Sequence[Ints]) -> float:
    """Find the position on a line through weight space where the best hypotheses have the fewest errors.

    Args:
        offsets: The total cost of each hypothesis at position 0 (H,).
        slopes: How fast it grows with the position (H,).
        errors: The number of errors in each hypothesis (H,).
        lists: The indices of the hypotheses of each utterance.

    Returns:
        The middle of the segment with the fewest errors.
    """
    first, changes = 0, []
    for own in lists:
        corners = _lower_envelope(offsets[own], slopes[own])
        first += int(errors[own[corners[0][1]]])
        for (_, before), (position, after) in pairwise(corners):
            changes.append((position, int(errors[own[after]] - errors[own[before]])))
    if not changes:
        return 0.0
    changes.sort()
    positions = np.array([position for position, _ in changes])
    totals = first + np.concatenate([[0], np.cumsum([change for _, change in changes])])
    edges = np.concatenate([[positions[0] - _END_SEGMENT], positions, [positions[-1] + _END_SEGMENT]])
    nonempty = np.diff(edges) > 0.0
    best = int(np.argmin(np.where(nonempty, totals, np.iinfo(np.int64).max)))
    return float(0.5 * (edges[best] + edges[best + 1]))


@dataclass(frozen=True)
class _WeightSearch:
    """Hypotheses with features (H, F), numbers of errors (H,) and utterances (H,)."""

    features: Floats
    errors: Ints
    utterance: Ints

    @cached_property
    def scales(self) -> Floats:
        """The mean magnitude of each feature (F,)."""
        return np.asarray(np.maximum(np.abs(self.features).mean(0), 1e-12))

    @cached_property
    def lists(self) -> list[Ints]:
        """The indices of the hypotheses of each utterance."""
        return [np.flatnonzero(self.utterance == number) for number in range(int(self.utterance.max()) + 1)]

    def errors_at(self, weights: Floats) -> int:
        """The number of errors in the best hypotheses."""
        return errors_of_best(self.features @ weights, self.errors, self.utterance)

    def descend(self, weights: Floats, rng: np.random.Generator) -> tuple[Floats, int]:
        """Search line after line as long as that leads to fewer errors."""
        fewest, size = self.errors_at(weights), len(weights)
        for _ in range(_MAX_ROUNDS):
            before = fewest
            random = rng.standard_normal((_RANDOM_DIRECTIONS, size))
            for direction in np.concatenate([np.eye(size), random]) / self.scales:
                offsets, slopes = self.features @ weights, self.features @ direction
                moved = weights + line_search(offsets, slopes, self.errors, self.lists) * direction
                errors = self.errors_at(moved)
                if errors < fewest:
                    weights, fewest = moved, errors
            if fewest == before:
                break
        return weights, fewest


def _lower_envelope(offsets: Floats, slopes: Floats) -> list[tuple[float, int]]:
    """The lowest of some straight lines, from left to right: from which position on, and which line."""
    order = np.lexsort((offsets, -slopes)).tolist()  # at minus infinity the steepest line is the lowest
    envelope: list[tuple[float, int]] = []
    for line in order:
        position = -np.inf
        if envelope and slopes[line] == slopes[envelope[-1][1]]:
            continue
        while envelope:
            start, last = envelope[-1]
            position = float((offsets[line] - offsets[last]) / (slopes[last] - slopes[line]))
            if position > start:
                break
            envelope.pop()
        envelope.append((position, line))
    return envelope


def _lines(text: Text) -> list[str]:
    return text.content.removesuffix("\n").split("\n") if text.content else []


def _check_unique(names: Sequence[str], source: str) -> None:
    seen = set[str]()
    for name in names:
        if name in seen:
            raise CorpusError(f"{source} has {name} twice", hint="every line needs its own name")
        seen.add(name)


def _parse_number(value: str, line: int, source: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise CorpusError(f"line {line:,} of {source} has no score: {value!r}", hint="give a finite number")
    return number
