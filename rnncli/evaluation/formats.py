"""Scored lines as the text that other tools print or read, line by line.

Each format is a class: `head`, one `line` for every line that was scored, `tail` with the totals. Bits unless
`base` says otherwise; where a format has its own base, that is used.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from rnncli.evaluation.surprisal import ScoredLine, Unit

_LN10 = math.log(10.0)
BASES = {"2": ("surprisal", math.log(2.0)), "e": ("surprisal_nats", 1.0), "10": ("surprisal_log10", _LN10)}

Units = Callable[[ScoredLine], Sequence[Unit]]

# What tsv may show of a unit besides, and whether it is in the base of the logarithm.
COLUMNS = {"rank": False, "entropy": True, "entropy-reduction": True, "oov": False}


class Format(Protocol):
    """Texts with their line ends."""

    def head(self) -> str: ...

    def line(self, number: int, line: ScoredLine, name: str) -> str: ...

    def tail(self) -> str: ...


class Tsv:
    """lm-zoo's get-surprisals: sentence_id, token_id, token, surprisal, from 1; then `columns`."""

    def __init__(self, units: Units | None, base: str, columns: Sequence[str] = ()) -> None:
        self._units = units
        self._title, self._log = BASES[base]
        self._columns = columns

    def head(self) -> str:
        if self._units is None:
            return f"sentence_id\ttokens\t{self._title}\tsentence\n"
        unit = self._title.removeprefix("surprisal")
        titles = [name.replace("-", "_") + (unit if COLUMNS[name] else "") for name in self._columns]
        return "\t".join(["sentence_id", "token_id", "token", self._title, *titles]) + "\n"

    def line(self, number: int, line: ScoredLine, name: str) -> str:  # noqa: ARG002
        if self._units is None:
            return f"{number}\t{len(line.tokens)}\t{line.nats / self._log:.6f}\t{cell(line.text)}\n"
        units = self._units(line)
        return "".join(
            f"{number}\t{at}\t{cell(unit.text)}\t{unit.nats / self._log:.6f}{self._more(unit, reduction)}\n"
            for at, (unit, reduction) in enumerate(zip(units, reductions(units), strict=True), 1)
        )

    def _more(self, unit: Unit, reduction: float) -> str:
        values = {
            "rank": str(unit.rank),
            "entropy": f"{unit.entropy / self._log:.6f}",
            "entropy-reduction": f"{reduction / self._log:.6f}",
            "oov": str(int(unit.oov)),
        }
        return "".join("\t" + values[name] for name in self._columns)

    def tail(self) -> str:
        return ""


def reductions(units: Sequence[Unit]) -> list[float]:
    """By how many nats the entropy has fallen since the unit before; never negative (Hale 2006)."""
    entropies = [0.0, *(unit.entropy for unit in units)]
    return [max(before - now, 0.0) for before, now in pairwise(entropies)]


class Minicons:
    """sentence_id, token_id, token, logprob, surprisal, rank; natural logarithms."""

    def __init__(self, units: Units) -> None:
        self._units = units

    def head(self) -> str:
        return "sentence_id\ttoken_id\ttoken\tlogprob\tsurprisal\trank\n"

    def line(self, number: int, line: ScoredLine, name: str) -> str:  # noqa: ARG002
        return "".join(
            f"{number}\t{at}\t{cell(unit.text)}\t{-unit.nats:.6f}\t{unit.nats:.6f}\t{unit.rank}\n"
            for at, unit in enumerate(self._units(line), 1)
        )

    def tail(self) -> str:
        return ""


class NeuralComplexity:
    """word sentid sentpos wlen surp entropy entred, from 0, in bits, without the end of the sentence."""

    def __init__(self, units: Units) -> None:
        self._units = units

    def head(self) -> str:
        return "word sentid sentpos wlen surp entropy entred\n"

    def line(self, number: int, line: ScoredLine, name: str) -> str:  # noqa: ARG002
        rows, units = [], [unit for unit in self._units(line) if unit.text not in ("\n", "<eos>")]
        for at, (unit, reduction) in enumerate(zip(units, reductions(units), strict=True)):
            bits = " ".join(f"{nats / BASES['2'][1]:.6f}" for nats in (unit.nats, unit.entropy, reduction))
            word = cell(unit.text).replace(" ", "\\s")
            rows.append(f"{word} {number - 1} {at} {len(unit.text)} {bits}\n")
        return "".join(rows)

    def tail(self) -> str:
        return ""


class Jsonl:
    """An object a line, in nats; with units a list of them."""

    def __init__(self, units: Units | None) -> None:
        self._units = units

    def head(self) -> str:
        return ""

    def line(self, number: int, line: ScoredLine, name: str) -> str:  # noqa: ARG002
        record: dict[str, object] = {
            "sentence_id": number,
            "text": line.text,
            "nats": line.nats,
            "tokens": len(line.tokens),
        }
        if self._units is not None:
            units = self._units(line)
            record["tokens"] = [
                {
                    "token": unit.text,
                    "nats": unit.nats,
                    "rank": unit.rank,
                    "entropy_nats": unit.entropy,
                    "entropy_reduction_nats": reduction,
                    "oov": unit.oov,
                }
                for unit, reduction in zip(units, reductions(units), strict=True)
            ]
        return json.dumps(record, ensure_ascii=False) + "\n"

    def tail(self) -> str:
        return ""


@dataclass
class _Totals:
    """What SRILM and KenLM count; the end of a sentence is a token and no word."""

    sentences: int = 0
    words: int = 0
    oov: int = 0
    nats: float = 0.0
    oov_nats: float = 0.0

    def add(self, tokens: Sequence[Unit]) -> None:
        *words, end = tokens  # which a model without line ends does not know, and yet it is no unknown word
        self.sentences += 1
        self.words += len(words)
        self.oov += sum(word.oov for word in words)
        self.nats += sum(word.nats for word in words if not word.oov) + end.nats
        self.oov_nats += sum(word.nats for word in words if word.oov)


class Srilm:
    """`ngram -ppl FILE -debug 2`: every token with its probability and its base-10 logarithm, and totals.

    Unknown words count as OOV and not in the probability, as there. A network has no n-gram order: [rnn].
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._all = _Totals()

    def head(self) -> str:
        return ""

    def line(self, number: int, line: ScoredLine, name: str) -> str:  # noqa: ARG002
        rows, before = [line.text + "\n"], "<s> "
        for at, token in enumerate(line.tokens):
            ends, ten = at == len(line.tokens) - 1, -token.nats / _LN10
            word, unknown = "</s>" if ends else cell(token.text), token.oov and not ends
            said = "[OOV] 0 [ -inf ]" if unknown else f"[rnn] {10.0**ten:.6g} [ {ten:.6g} ]"
            rows.append(f"\tp( {'<unk>' if unknown else word} | {before}) \t= {said}\n")
            before = f"{word} ..."
        own = _Totals()
        own.add(line.tokens)
        self._all.add(line.tokens)
        return "".join(rows) + _srilm_totals(own) + "\n"

    def tail(self) -> str:
        return f"file {self._name}: {_srilm_totals(self._all)}"


class Kenlm:
    """`query`: word=id length log10p a token, joined by tabs, and the totals in lines of their own."""

    def __init__(self, number_of: Callable[[str], int]) -> None:
        self._number_of = number_of
        self._all = _Totals()

    def head(self) -> str:
        return ""

    def line(self, number: int, line: ScoredLine, name: str) -> str:  # noqa: ARG002
        self._all.add(line.tokens)
        rows = []
        for at, token in enumerate(line.tokens):
            word = "</s>" if at == len(line.tokens) - 1 else cell(token.text)
            rows.append(f"{word}={self._number_of(token.text)} 1 {-token.nats / _LN10:.6g}")
        oov = sum(token.oov for token in line.tokens[:-1])
        rows.append(f"Total: {-line.nats / _LN10:.6g} OOV: {oov}")
        return "\t".join(rows) + "\n"

    def tail(self) -> str:
        total, tokens = self._all, self._all.words + self._all.sentences
        return (
            f"Perplexity including OOVs:\t{_exp((total.nats + total.oov_nats) / max(tokens, 1)):.6g}\n"
            f"Perplexity excluding OOVs:\t{_exp(total.nats / max(tokens - total.oov, 1)):.6g}\n"
            f"OOVs:\t{total.oov}\n"
            f"Tokens:\t{tokens}\n"
        )


class Kaldi:
    """Lines `utt-N words...` -> the name, a tab, and the negated natural logarithm."""

    def head(self) -> str:
        return ""

    def line(self, number: int, line: ScoredLine, name: str) -> str:  # noqa: ARG002
        return f"{name}\t{line.nats:.6f}\n"

    def tail(self) -> str:
        return ""


class NBest:
    """Lines `id words...` -> the base-10 logarithm, in their order (Mikolov's rnnlm)."""

    def head(self) -> str:
        return ""

    def line(self, number: int, line: ScoredLine, name: str) -> str:  # noqa: ARG002
        return f"{-line.nats / _LN10:.6f}\n"

    def tail(self) -> str:
        return ""


def _srilm_totals(total: _Totals) -> str:
    ten = -total.nats / _LN10
    words = total.words - total.oov
    ppl = _exp(total.nats / max(words + total.sentences, 1))
    ppl1 = _exp(total.nats / max(words, 1))
    return (
        f"{total.sentences} sentences, {total.words} words, {total.oov} OOVs\n"
        f"0 zeroprobs, logprob= {ten:.6g} ppl= {ppl:.6g} ppl1= {ppl1:.6g}\n"
    )


def _exp(value: float) -> float:
    return math.exp(value) if value < 700.0 else math.inf


def cell(text: str) -> str:
    """In one cell of a table: tabs and line ends as escapes."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
