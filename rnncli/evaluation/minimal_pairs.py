"""Minimal pairs: which of two sentences, one acceptable and one not, has the higher probability.

Source: Warstadt et al. 2020, "BLiMP: The Benchmark of Linguistic Minimal Pairs for English".
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from rnncli.errors import CorpusError

_GOOD, _BAD = "sentence_good", "sentence_bad"
# Rounding alone may separate the scores of two equal sentences by this much.
_TIE_NATS = 1e-4
PAIR_HINT = f'write one JSON object per line: {{"{_GOOD}": "...", "{_BAD}": "..."}}'


@dataclass(frozen=True)
class PairScore:
    """The negative log-likelihood (in nats) of both sentences of a minimal pair.

    `nll_nats_difference` is how much more the unacceptable sentence costs: positive if the model is right.
    """

    pair_id: int
    preferred: Literal["good", "bad", "tie"]
    nll_nats_difference: float
    nll_nats_good: float
    nll_nats_bad: float

    @classmethod
    def of(cls, pair_id: int, good: float, bad: float) -> "PairScore":
        """Compare the NLL of two sentences; differences within rounding error are ties."""
        tie = abs(good - bad) < _TIE_NATS
        return cls(pair_id, "tie" if tie else "good" if good < bad else "bad", bad - good, good, bad)


@dataclass(frozen=True)
class PairSummary:
    """The accuracy over all pairs (a tie counts as an error) and the number of ties."""

    pairs: int
    accuracy: float
    ties: int

    @classmethod
    def of(cls, preferred: Iterable[str]) -> "PairSummary":
        """Summarize what was preferred in each pair; raises CorpusError if there is no pair."""
        found = list(preferred)
        if not found:
            raise CorpusError("there are no pairs to score", hint=PAIR_HINT)
        return cls(len(found), found.count("good") / len(found), found.count("tie"))


def parse_pairs(lines: Iterable[str], first_line: int, source: str) -> Iterator[tuple[str, str]]:
    """Parse JSON objects, one per line, into (good, bad) sentences; empty lines are skipped.

    Args:
        lines: The lines, the first of which is line number `first_line` of `source`.
        first_line: A line number, from 1.
        source: The name of the file, for messages.

    Raises:
        CorpusError: A line is not a pair of sentences of one line each.
    """
    for number, line in enumerate(lines, first_line):
        if not line.strip():
            continue
        wrong = CorpusError(f"line {number:,} of {source} is not a minimal pair", hint=PAIR_HINT)
        try:
            record = json.loads(line)
            good, bad = record[_GOOD], record[_BAD]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise wrong from error
        if not all(isinstance(text, str) and "\n" not in text for text in (good, bad)):
            raise wrong
        yield good, bad
