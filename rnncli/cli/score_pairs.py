"""`rnncli score --pairs`: which sentence of each minimal pair the model prefers (as BLiMP asks)."""

import json
from collections.abc import Iterator, Sequence

import torch

from rnncli.cli.score_lines import batches
from rnncli.cli.writing import write
from rnncli.data.config import ReadConfig
from rnncli.data.sources import expand, readable_name
from rnncli.errors import CorpusError
from rnncli.evaluation.surprisal import LineScorer
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.runs import load_model

_GOOD, _BAD = "sentence_good", "sentence_bad"
# What rounding alone may make of two sentences that are the same.
_TIE_NATS = 1e-4


def stream(folder: ModelDir, device: torch.device, given: Sequence[str], reading: ReadConfig) -> None:
    """An object a pair to stdout, and one at the end: accuracy, ties counted as wrong, and their number."""
    scorer = LineScorer(load_model(folder, device), folder.tokenizer(), folder.ngram())
    pairs = right = ties = 0
    for source in expand(given):
        for texts in _batches(source, reading):
            nats = [line.nats for line in scorer.score([text for pair in texts for text in pair])]
            rows = []
            for good, bad in zip(nats[::2], nats[1::2], strict=True):
                pairs += 1
                tie = abs(good - bad) < _TIE_NATS
                ties += tie
                right += good < bad and not tie
                preferred = "tie" if tie else "good" if good < bad else "bad"
                record = {"pair_id": pairs, "preferred": preferred, "nats_apart": bad - good}
                rows.append(json.dumps({**record, "nats_good": good, "nats_bad": bad}) + "\n")
            write("".join(rows))
    if not pairs:
        raise CorpusError("there are no pairs to score", hint=_HINT)
    write(json.dumps({"pairs": pairs, "accuracy": right / pairs, "ties": ties}) + "\n")


_HINT = f'write an object a line: {{"{_GOOD}": "...", "{_BAD}": "..."}}'


def _batches(source: str, reading: ReadConfig) -> Iterator[list[tuple[str, str]]]:
    number = 0
    for lines in batches(source, reading):
        found = []
        for line in lines:
            number += 1
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                pair = record[_GOOD], record[_BAD]
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                raise _not_a_pair(source, number) from error
            if not all(isinstance(text, str) and "\n" not in text for text in pair):
                raise _not_a_pair(source, number)
            found.append(pair)
        if found:
            yield found


def _not_a_pair(source: str, number: int) -> CorpusError:
    return CorpusError(f"line {number:,} of {readable_name(source)} is no pair", hint=_HINT)
