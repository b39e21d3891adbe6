"""Rescore n-best lists: combine given scores with the model's, with given or tuned weights.

Shapes: H hypotheses, F features of each (one per score file, the model's cost, the number of words).
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnncli.data.config import ReadOptions
from rnncli.data.decoding import read_texts
from rnncli.errors import ConfigError
from rnncli.evaluation.config import RescoreOptions
from rnncli.evaluation.rescoring import (
    LN10,
    NBestList,
    best_hypotheses,
    edit_distances,
    errors_of_best,
    parse_nbest,
    parse_references,
    parse_scores,
    tune_weights,
)
from rnncli.evaluation.scoring import LINES_SORTED
from rnncli.storage.model_dir import ModelDir
from rnncli.workflows.score import line_scorer

_log = logging.getLogger(__name__)
Reals = npt.NDArray[np.float64]
_METRIC_UNITS = {"wer": "words", "cer": "characters"}


@dataclass(frozen=True)
class _Features:
    """Hypotheses with their costs (H, F)."""

    hypotheses: NBestList
    costs: Reals


def rescore(
    model_dir: ModelDir, hypotheses: str, *, options: RescoreOptions, read: ReadOptions, device: str
) -> list[str]:
    """Rescore the hypotheses of a file.

    The weights are those of `options`, or those with the fewest errors on `options.dev`; they are logged.

    Args:
        model_dir: The model.
        hypotheses: A file with one hypothesis per line after its name; "-" is stdin.
        options: Score files, weights or how to tune them, and the format.
        read: How the files are decoded.
        device: "auto", "cpu", "cuda" or "mps".

    Returns:
        One row per utterance with its best hypothesis, or, with `options.all`, one row per hypothesis with
        its total, in the order of the list.

    Raises:
        CorpusError: A file does not have the expected format.
        ConfigError: The weights or the numbers of score files do not match.
    """
    rescorer = _Rescorer(model_dir, options, read, device)
    features = rescorer.read(hypotheses, options.scores or ())
    if options.dev is not None:
        weights = rescorer.tuned_weights(features)
    else:
        weights = _given_weights(options.weights, features.costs.shape[1])
    _log.info("--weights %s", ",".join(f"{weight:.6g}" for weight in weights.tolist()))
    return _rows(features, weights, options)


class _Rescorer:
    """Reads n-best lists, scores them with a model, and tunes the weights."""

    def __init__(self, model_dir: ModelDir, options: RescoreOptions, read: ReadOptions, device: str) -> None:
        self._scorer = line_scorer(model_dir, device)
        self._read = read
        self._options = options

    def read(self, name: str, scores: Sequence[str]) -> _Features:
        """A list with the costs of its hypotheses: in each score file, and by the model."""
        form = self._options.format
        hypotheses = parse_nbest(read_texts([name], self._read), form)
        given = [parse_scores(read_texts([file], self._read), form, hypotheses) for file in scores]
        texts = hypotheses.texts
        own = [
            line.nll_nats
            for first in range(0, len(texts), LINES_SORTED)
            for line in self._scorer.score(texts[first : first + LINES_SORTED])
        ]
        words = np.array([len(text.split()) for text in texts], np.float64)
        return _Features(hypotheses, np.stack([*given, np.array(own), words], axis=1))

    def tuned_weights(self, features: _Features) -> Reals:
        """The weights (F,) that give the fewest errors on the development list."""
        options = self._options
        assert options.dev is not None
        assert options.reference is not None
        dev = self.read(options.dev, options.dev_scores or ())
        dev_files, files = dev.costs.shape[1] - 2, features.costs.shape[1] - 2
        if dev_files != files:
            raise ConfigError(
                f"there are {dev_files} --dev-scores and {files} --scores",
                hint="give as many, in the same order",
            )
        hypotheses = dev.hypotheses
        texts = parse_references(read_texts([options.reference], self._read), hypotheses)
        metric = options.metric or "wer"
        split: Callable[[str], Sequence[str]] = (
            str.split if metric == "wer" else lambda text: "".join(text.split())
        )
        references = [split(text) for text in texts]
        errors = edit_distances([split(text) for text in hypotheses.texts], references, hypotheses.utterance)
        weights = tune_weights(dev.costs, errors, hypotheses.utterance, _default_weights(dev.costs.shape[1]))
        length = max(sum(map(len, references)), 1)
        first, best, oracle = (
            errors_of_best(totals, errors, hypotheses.utterance) / length
            for totals in (np.zeros(len(errors)), dev.costs @ weights, errors.astype(np.float64))
        )
        _log.info(
            "%s utterances of %s %s: %s %.2f%% for the first of each list, %.2f%% with these weights, "
            "%.2f%% at best",
            f"{len(references):,}",
            f"{length:,}",
            _METRIC_UNITS[metric],
            metric.upper(),
            100 * first,
            100 * best,
            100 * oracle,
        )
        return weights


def _default_weights(number: int) -> Reals:
    """Every score counts as it is, and the number of words does not count."""
    weights = np.ones(number)
    weights[-1] = 0.0
    return weights


def _given_weights(weights: str | None, number: int) -> Reals:
    if weights is None:
        return _default_weights(number)
    try:
        found = np.array([float(weight) for weight in weights.split(",")])
    except ValueError as error:
        raise ConfigError(
            f"weights is {weights!r}", hint="give numbers separated by commas: 1,0.8,0"
        ) from error
    if len(found) != number or not np.isfinite(found).all():
        raise ConfigError(
            f"weights is {weights!r}, and {number} weights are needed",
            hint="give one for each --scores in turn, one for the model, one per word",
        )
    return found


def _rows(features: _Features, weights: Reals, options: RescoreOptions) -> list[str]:
    hypotheses, totals = features.hypotheses, features.costs @ weights
    if options.all and options.format == "kaldi":
        return [f"{name}\t{total:.6f}" for name, total in zip(hypotheses.names, totals, strict=True)]
    if options.all:
        return [f"{-total / LN10:.6f}" for total in totals.tolist()]
    best = best_hypotheses(totals, hypotheses.utterance).tolist()
    texts = (hypotheses.texts[number] for number in best)
    return [f"{name} {text}".rstrip() for name, text in zip(hypotheses.utterances, texts, strict=True)]
