"""N-best lists, their scores and their references, as speech tools write them. Shapes: H hypotheses.

kaldi     list: utt-1 the words     scores: utt-1 123.4     negated natural logarithms: costs
nbest     list: utt the words       scores: -53.6           base-10 logarithms, in the order of the list

Every hypothesis keeps its place: nothing is dropped, joined or put in another order.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from rnncli.data.reading import Text
from rnncli.errors import CorpusError

ListFormat = Literal["kaldi", "nbest"]
Reals = npt.NDArray[np.float64]

LN10 = math.log(10.0)


@dataclass(frozen=True)
class NBest:
    """Names of the lines, their texts (H,), and whose they are (H,): utterances by number."""

    names: tuple[str, ...]
    texts: tuple[str, ...]
    utterances: tuple[str, ...]
    utterance: npt.NDArray[np.int64]


def named_lines(lines: Sequence[str], number: int, source: str) -> tuple[list[str], list[str]]:
    """ "utt-1 to be" -> "utt-1", "to be"; raises CorpusError for a line without a name.

    `number` lines of the source came before.
    """
    pairs = [line.split(maxsplit=1) for line in lines]
    for at, pair in enumerate(pairs, number + 1):
        if not pair:
            raise CorpusError(f"line {at:,} of {source} has no name", hint="write: utt-1 the words")
    return [pair[0] for pair in pairs], [pair[1].rstrip() if len(pair) > 1 else "" for pair in pairs]


def parse_list(text: Text, form: ListFormat) -> NBest:
    """Raises CorpusError where a line has no name, or a name of kaldi's form comes twice or has no number."""
    names, texts = named_lines(_lines(text), 0, text.name)
    if not names:
        raise CorpusError(f"{text.name} has no hypotheses", hint="write: utt-1 the words")
    owners = names
    if form == "kaldi":
        _refuse_twice(names, text.name)
        owners = []
        for name in names:
            owner, _, number = name.rpartition("-")
            if not owner or not number.isdecimal():
                raise CorpusError(
                    f'{text.name} has {name} without a "-1" at the end of its name',
                    hint="a hypothesis is named utt-1; --format nbest is for lists of: utt the words",
                )
            owners.append(owner)
    numbers = {owner: number for number, owner in enumerate(dict.fromkeys(owners))}
    utterance = np.array([numbers[owner] for owner in owners], np.int64)
    return NBest(tuple(names), tuple(texts), tuple(numbers), utterance)


def parse_scores(text: Text, form: ListFormat, hypotheses: NBest) -> Reals:
    """The cost of each hypothesis in nats (H,); raises CorpusError where one has none or is no number."""
    if form == "nbest":
        values = [_number(line, number, text.name) for number, line in enumerate(_lines(text), 1)]
        if len(values) != len(hypotheses.names):
            raise CorpusError(
                f"{text.name} has {len(values):,} scores for {len(hypotheses.names):,} hypotheses",
                hint="give one a line, in the order of the list",
            )
        return -LN10 * np.array(values)
    names, rest = named_lines(_lines(text), 0, text.name)
    _refuse_twice(names, text.name)
    costs = {
        name: _number(value, number, text.name)
        for number, (name, value) in enumerate(zip(names, rest, strict=True), 1)
    }
    for name in hypotheses.names:
        if name not in costs:
            raise CorpusError(
                f"{text.name} has no score of {name}", hint="every hypothesis of the list has one"
            )
    return np.array([costs[name] for name in hypotheses.names])


def parse_references(text: Text, hypotheses: NBest) -> list[str]:
    """What was really said in each utterance (U,); raises CorpusError unless all are known, and no others."""
    names, texts = named_lines(_lines(text), 0, text.name)
    _refuse_twice(names, text.name)
    said = dict(zip(names, texts, strict=True))
    for missing in (name for name in hypotheses.utterances if name not in said):
        raise CorpusError(f"{text.name} does not say what {missing} is", hint="write: utt the words")
    known = set(hypotheses.utterances)
    for strange in (name for name in names if name not in known):
        raise CorpusError(f"the list has no hypothesis of {strange}", hint="an empty one counts as one")
    return [said[name] for name in hypotheses.utterances]


def _lines(text: Text) -> list[str]:
    return text.content.removesuffix("\n").split("\n") if text.content else []


def _refuse_twice(names: Sequence[str], source: str) -> None:
    seen = set[str]()
    for name in names:
        if name in seen:
            raise CorpusError(f"{source} has {name} twice", hint="every name stands for one line")
        seen.add(name)


def _number(value: str, number: int, source: str) -> float:
    try:
        found = float(value)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise CorpusError(f"line {number:,} of {source} has no score: {value!r}", hint="give a finite number")
    return found
