"""Output formats of scored lines, as other tools print or read them.

Each format is a class with a header, the rows of one scored line, and a footer with the totals. Surprisal is
in bits unless `base` says otherwise; formats of other tools have their own base.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

from rnncli.evaluation.surprisal import ScoredLine, ScoredUnit

_LN2, _LN10 = math.log(2.0), math.log(10.0)
# The name of the tsv column for each base, and nats per unit of that base.
_BASES = {"2": ("surprisal", _LN2), "e": ("surprisal_nats", 1.0), "10": ("surprisal_log10", _LN10)}
# Additional tsv columns, and whether they are in the base of the logarithm.
_COLUMNS = {"rank": False, "entropy": True, "entropy-reduction": True, "oov": False}

Units = Callable[[ScoredLine], Sequence[ScoredUnit]]


class ScoreFormat(Protocol):
    """An output format; every text that it returns includes line ends."""

    def head(self) -> str:
        """Return the header."""

    def line(self, number: int, line: ScoredLine, name: str) -> str:
        """Return the rows of a line.

        Args:
            number: The number of the line, from 1.
            line: The line.
            name: The name of the line, for formats whose lines have names.
        """

    def tail(self) -> str:
        """Return the totals of all lines."""


class _Rows:
    """A format without a header and without totals."""

    def head(self) -> str:
        return ""

    def tail(self) -> str:
        return ""


class TsvFormat(_Rows):
    """The format of get-surprisals (lm-zoo): sentence_id, token_id, token, surprisal; ids from 1."""

    def __init__(self, units: Units | None, base: str, columns: Sequence[str] = ()) -> None:
        """Create the format.

        Args:
            units: The units to show, one per row; None: one row per line.
            base: The base of the logarithm: "2", "e" or "10".
            columns: Additional columns: rank, entropy, entropy-reduction or oov.
        """
        self._units = units
        self._title, self._log = _BASES[base]
        self._columns = columns

    def head(self) -> str:
        if self._units is None:
            return f"sentence_id\ttokens\t{self._title}\tsentence\n"
        suffix = self._title.removeprefix("surprisal")
        titles = [name.replace("-", "_") + (suffix if _COLUMNS[name] else "") for name in self._columns]
        return "\t".join(["sentence_id", "token_id", "token", self._title, *titles]) + "\n"

    def line(self, number: int, line: ScoredLine, name: str) -> str:  # noqa: ARG002
        if self._units is None:
            surprisal = f"{line.nll_nats / self._log:.6f}"
            return f"{number}\t{len(line.tokens)}\t{surprisal}\t{escape_cell(line.text)}\n"
        units = self._units(line)
        return "".join(
            f"{number}\t{at}\t{self._cells(unit, reduction)}\n"
            for at, (unit, reduction) in enumerate(zip(units, entropy_reductions(units), strict=True), 1)
        )

    def _cells(self, unit: ScoredUnit, reduction: float) -> str:
        values = {
            "rank": str(unit.rank),
            "entropy": f"{unit.entropy / self._log:.6f}",
            "entropy-reduction": f"{reduction / self._log:.6f}",
            "oov": str(int(unit.oov)),
        }
        surprisal = f"{unit.nll_nats / self._log:.6f}"
        return "\t".join([escape_cell(unit.text), surprisal, *(values[name] for name in self._columns)])


class MiniconsFormat(_Rows):
    """The format of minicons: sentence_id, token_id, token, logprob, surprisal, rank; natural logarithms."""

    def __init__(self, units: Units) -> None:
        self._units = units

    def head(self) -> str:
        return "sentence_id\ttoken_id\ttoken\tlogprob\tsurprisal\trank\n"

    def line(self, number: int, line: ScoredLine, name: str) -> str:  # noqa: ARG002
        return "".join(
            f"{number}\t{at}\t{escape_cell(unit.text)}\t{-unit.nll_nats:.6f}\t{unit.nll_nats:.6f}\t{unit.rank}\n"
            for at, unit in enumerate(self._units(line), 1)
        )


class NeuralComplexityFormat(_Rows):
    """The format of neural-complexity: word sentid sentpos wlen surp entropy entred.

    Numbers count from 0, logarithms are in bits, and the end of the sentence is left out.
    """

    def __init__(self, units: Units) -> None:
        self._units = units

    def head(self) -> str:
        return "word sentid sentpos wlen surp entropy entred\n"

    def line(self, number: int, line: ScoredLine, name: str) -> str:  # noqa: ARG002
        rows, units = [], [unit for unit in self._units(line) if unit.text not in ("\n", "<eos>")]
        for at, (unit, reduction) in enumerate(zip(units, entropy_reductions(units), strict=True)):
            bits = " ".join(f"{nats / _LN2:.6f}" for nats in (unit.nll_nats, unit.entropy, reduction))
            word = escape_cell(unit.text).replace(" ", "\\s")
            rows.append(f"{word} {number - 1} {at} {len(unit.text)} {bits}\n")
        return "".join(rows)


class JsonlFormat(_Rows):
    """One JSON object per line, with a list of its units if there are any; natural logarithms."""

    def __init__(self, units: Units | None) -> None:
        self._units = units

    def line(self, number: int, line: ScoredLine, name: str) -> str:  # noqa: ARG002
        record: dict[str, object] = {
            "sentence_id": number,
            "text": line.text,
            "nll_nats": line.nll_nats,
            "tokens": len(line.tokens),
        }
        if self._units is not None:
            units = self._units(line)
            record["tokens"] = [
                {
                    "token": unit.text,
                    "nll_nats": unit.nll_nats,
                    "rank": unit.rank,
                    "entropy_nats": unit.entropy,
                    "entropy_reduction_nats": reduction,
                    "oov": unit.oov,
                }
                for unit, reduction in zip(units, entropy_reductions(units), strict=True)
            ]
        return json.dumps(record, ensure_ascii=False) + "\n"


@dataclass
class _Totals:
    """The totals that SRILM and KenLM print; a sentence end is a token but not a word."""

    sentences: int = 0
    words: int = 0
    oov: int = 0
    nll: float = 0.0
    oov_nll: float = 0.0

    def add(self, tokens: Sequence[ScoredUnit]) -> None:
        """Add a line; its line end is not an OOV word even if it is not in the vocabulary."""
        *words, end = tokens
        self.sentences += 1
        self.words += len(words)
        self.oov += sum(word.oov for word in words)
        self.nll += sum(word.nll_nats for word in words if not word.oov) + end.nll_nats
        self.oov_nll += sum(word.nll_nats for word in words if word.oov)


class SrilmFormat(_Rows):
    """The format of SRILM's `ngram -ppl FILE -debug 2`: probabilities, base-10 logarithms, and totals.

    As in SRILM, OOV words are excluded from the total. A network has no n-gram order, so it prints [rnn].
    """

    def __init__(self, name: str) -> None:
        """Create the format; `name` is the scored file, shown in the totals."""
        self._name = name
        self._all = _Totals()

    def line(self, number: int, line: ScoredLine, name: str) -> str:  # noqa: ARG002
        rows, before = [line.text + "\n"], "<s> "
        for at, token in enumerate(line.tokens):
            is_end, log10 = at == len(line.tokens) - 1, -token.nll_nats / _LN10
            word, is_oov = "</s>" if is_end else escape_cell(token.text), token.oov and not is_end
            value = "[OOV] 0 [ -inf ]" if is_oov else f"[rnn] {10.0**log10:.6g} [ {log10:.6g} ]"
            rows.append(f"\tp( {'<unk>' if is_oov else word} | {before}) \t= {value}\n")
            before = f"{word} ..."
        own = _Totals()
        own.add(line.tokens)
        self._all.add(line.tokens)
        return "".join(rows) + _srilm_totals(own) + "\n"

    def tail(self) -> str:
        return f"file {self._name}: {_srilm_totals(self._all)}"


class KenlmFormat(_Rows):
    """The format of KenLM's `query`: word=id length log10p for each token, joined by tabs, and totals."""

    def __init__(self, token_to_id: Callable[[str], int]) -> None:
        self._token_to_id = token_to_id
        self._all = _Totals()

    def line(self, number: int, line: ScoredLine, name: str) -> str:  # noqa: ARG002
        self._all.add(line.tokens)
        cells = []
        for at, token in enumerate(line.tokens):
            word = "</s>" if at == len(line.tokens) - 1 else escape_cell(token.text)
            cells.append(f"{word}={self._token_to_id(token.text)} 1 {-token.nll_nats / _LN10:.6g}")
        oov = sum(token.oov for token in line.tokens[:-1])
        cells.append(f"Total: {-line.nll_nats / _LN10:.6g} OOV: {oov}")
        return "\t".join(cells) + "\n"

    def tail(self) -> str:
        total, tokens = self._all, self._all.words + self._all.sentences
        return (
            f"Perplexity including OOVs:\t{_exp((total.nll + total.oov_nll) / max(tokens, 1)):.6g}\n"
            f"Perplexity excluding OOVs:\t{_exp(total.nll / max(tokens - total.oov, 1)):.6g}\n"
            f"OOVs:\t{total.oov}\n"
            f"Tokens:\t{tokens}\n"
        )


class KaldiFormat(_Rows):
    """For lines `utt-N words...`: the name, a tab, and the cost (negated natural logarithm)."""

    def line(self, number: int, line: ScoredLine, name: str) -> str:  # noqa: ARG002
        return f"{name}\t{line.nll_nats:.6f}\n"


class NBestFormat(_Rows):
    """For lines `id words...`: the base-10 logarithm, in the order of the lines (Mikolov's rnnlm)."""

    def line(self, number: int, line: ScoredLine, name: str) -> str:  # noqa: ARG002
        return f"{-line.nll_nats / _LN10:.6f}\n"


def entropy_reductions(units: Sequence[ScoredUnit]) -> list[float]:
    """Return by how many nats the entropy decreased since the unit before, at least 0 (Hale 2006)."""
    entropies = [0.0, *(unit.entropy for unit in units)]
    return [max(before - now, 0.0) for before, now in pairwise(entropies)]


def escape_cell(text: str) -> str:
    """Escape a text for one cell of a table: backslashes, tabs and line ends."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")


def _srilm_totals(total: _Totals) -> str:
    words = total.words - total.oov
    ppl = _exp(total.nll / max(words + total.sentences, 1))
    ppl1 = _exp(total.nll / max(words, 1))
    return (
        f"{total.sentences} sentences, {total.words} words, {total.oov} OOVs\n"
        f"0 zeroprobs, logprob= {-total.nll / _LN10:.6g} ppl= {ppl:.6g} ppl1= {ppl1:.6g}\n"
    )


def _exp(value: float) -> float:
    return math.exp(value) if value < 700.0 else math.inf
