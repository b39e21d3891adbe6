"""The work of `rnncli rescore`: lists and scores in, features of every hypothesis, the best of them out."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import torch

from rnncli.cli.writing import write
from rnncli.data.config import ReadConfig
from rnncli.data.reading import read
from rnncli.errors import ConfigError
from rnncli.evaluation.nbest import LN10, ListFormat, NBest, parse_list, parse_references, parse_scores
from rnncli.evaluation.rescoring import errors_of_best, taken, tune, word_errors
from rnncli.evaluation.scoring import LINES_SORTED
from rnncli.evaluation.surprisal import LineScorer
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.runs import load_model

_log = logging.getLogger(__name__)
Reals = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Tuning:
    """Lists whose utterances are known."""

    dev: str
    scores: tuple[str, ...]
    reference: str
    unit: str

    @classmethod
    def asked(
        cls,
        dev: str | None,
        scores: Sequence[str],
        reference: str | None,
        unit: str | None,
        weights: str | None,
    ) -> Self | None:
        """None where nothing of it is; raises ConfigError where a part is missing, or weights are named."""
        if dev is None and reference is None and not scores and unit is None:
            return None
        if dev is None or reference is None:
            raise ConfigError(
                "weights are tuned on a list and what was said", hint="give both --dev and --reference"
            )
        if weights is not None:
            raise ConfigError("both --weights and --dev are given", hint="--dev is to find the weights")
        return cls(dev, tuple(scores), reference, unit or "word")


@dataclass(frozen=True)
class Features:
    """Hypotheses with their costs (H, F): of each file in turn, of the model, and their number of words."""

    hypotheses: NBest
    costs: Reals


class Rescorer:
    """A model, and how lists are read; raises CorpusError and ConfigError for what does not fit together."""

    def __init__(self, folder: ModelDir, device: torch.device, reading: ReadConfig, form: ListFormat) -> None:
        self._scorer = LineScorer(load_model(folder, device), folder.tokenizer(), folder.ngram())
        self._reading = reading
        self._form = form

    def read(self, name: str, scores: Sequence[str]) -> Features:
        """A list with the costs of its hypotheses."""
        hypotheses = parse_list(read([name], self._reading), self._form)
        given = [parse_scores(read([file], self._reading), self._form, hypotheses) for file in scores]
        texts = hypotheses.texts
        own = [
            line.nats
            for first in range(0, len(texts), LINES_SORTED)
            for line in self._scorer.score(texts[first : first + LINES_SORTED])
        ]
        words = np.array([len(text.split()) for text in texts], np.float64)
        return Features(hypotheses, np.stack([*given, np.array(own), words], axis=1))

    def named(self, weights: str | None, features: Features) -> Reals:
        """The weights that were named: as many as there are features."""
        number = features.costs.shape[1]
        if weights is None:
            found = np.ones(number)
            found[-1] = 0.0
        else:
            try:
                found = np.array([float(weight) for weight in weights.split(",")])
            except ValueError as error:
                raise ConfigError(f"weights is {weights!r}", hint="numbers with commas: 1,0.8,0") from error
            if len(found) != number or not np.isfinite(found).all():
                raise ConfigError(
                    f"weights is {weights!r}, and there are {number} things to weigh",
                    hint="one for each --scores in turn, one for the model, one for a word",
                )
        _log.info("--weights %s", _shown(found))
        return found

    def tuned(self, tuning: Tuning, features: Features) -> Reals:
        """The weights that make the fewest errors on lists whose utterances are known."""
        known = self.read(tuning.dev, tuning.scores)
        of_dev, given = known.costs.shape[1] - 2, features.costs.shape[1] - 2
        if of_dev != given:
            raise ConfigError(
                f"there are {of_dev} --dev-scores and {given} --scores",
                hint="give as many, in the same order",
            )
        hypotheses = known.hypotheses
        references = parse_references(read([tuning.reference], self._reading), hypotheses)
        cut: Callable[[str], Sequence[str]] = (
            str.split if tuning.unit == "word" else lambda text: "".join(text.split())
        )
        said = [cut(reference) for reference in references]
        errors = word_errors([cut(text) for text in hypotheses.texts], said, hypotheses.utterance)
        first = np.ones(known.costs.shape[1])
        first[-1] = 0.0
        weights = tune(known.costs, errors, hypotheses.utterance, first)
        units = max(sum(map(len, said)), 1)
        of_first, of_best, fewest = (
            errors_of_best(totals, errors, hypotheses.utterance) / units
            for totals in (np.zeros(len(errors)), known.costs @ weights, errors.astype(np.float64))
        )
        _log.info(
            "%s utterances of %s %ss: %.2f%% errors in the first of each list, %.2f%% with these weights, "
            "%.2f%% at best",
            f"{len(references):,}",
            f"{units:,}",
            tuning.unit,
            100 * of_first,
            100 * of_best,
            100 * fewest,
        )
        _log.info("--weights %s", _shown(weights))
        return weights

    def write(self, features: Features, weights: Reals, every: bool) -> None:
        """The best of each utterance, or the total of every hypothesis in the order of the list."""
        hypotheses, totals = features.hypotheses, features.costs @ weights
        if every and self._form == "kaldi":
            rows = [f"{name}\t{total:.6f}" for name, total in zip(hypotheses.names, totals, strict=True)]
        elif every:
            rows = [f"{-total / LN10:.6f}" for total in totals.tolist()]
        else:
            best = taken(totals, hypotheses.utterance).tolist()
            chosen = (hypotheses.texts[number] for number in best)
            rows = [
                f"{name} {text}".rstrip() for name, text in zip(hypotheses.utterances, chosen, strict=True)
            ]
        write("".join(row + "\n" for row in rows))


def _shown(weights: Reals) -> str:
    return ",".join(f"{weight:.6g}" for weight in weights.tolist())
