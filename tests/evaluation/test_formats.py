"""Tests of output formats, compared with the output of the tools that they imitate."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from rnncli.data.tokenizers.base import CharTokenizer
from rnncli.data.tokenizers.word import WordTokenizer
from rnncli.evaluation.formats import (
    JsonlFormat,
    KaldiFormat,
    KenlmFormat,
    MiniconsFormat,
    NBestFormat,
    NeuralComplexityFormat,
    SrilmFormat,
    TsvFormat,
)
from rnncli.evaluation.surprisal import ScoredLine, ScoredUnit

TENS = np.array([-4.0812, -2.6882, -3.0, -1.40115])
WORDS = WordTokenizer(["<unk>", "<eos>", "the", "cat"])
LINE = ScoredLine(
    "the cat zzz",
    np.array([2, 3, 0, 1], np.uint8),
    token_nll=-TENS * math.log(10.0),
    entropy=np.array([1.75, 1.5, 1.25, 1.0]),
    rank=np.arange(1.0, 5.0),
    boundary=np.zeros(4),
    boundary_ids=frozenset(),
    tokenizer=WORDS,
)


def tokens(line: ScoredLine) -> tuple[ScoredUnit, ...]:
    return line.tokens


def test_tsv_matches_lm_zoo() -> None:
    form = TsvFormat(tokens, "2")
    assert form.head() == "sentence_id\ttoken_id\ttoken\tsurprisal\n"
    assert form.line(3, LINE, "").splitlines()[1] == f"3\t2\tcat\t{2.6882 * math.log2(10.0):.6f}"
    assert TsvFormat(tokens, "e").head().endswith("surprisal_nats\n")
    assert TsvFormat(tokens, "10").line(1, LINE, "").startswith("1\t1\tthe\t4.081200\n")
    assert TsvFormat(None, "10").line(1, LINE, "") == "1\t4\t11.170550\tthe cat zzz\n"


def test_tsv_has_additional_columns() -> None:
    form = TsvFormat(tokens, "e", ("oov", "entropy", "rank", "entropy-reduction"))
    assert form.head().split("\t")[3:] == [
        "surprisal_nats",
        "oov",
        "entropy_nats",
        "rank",
        "entropy_reduction_nats\n",
    ]
    rows = [row.split("\t")[4:] for row in form.line(1, LINE, "").splitlines()]
    assert rows[0] == ["0", "1.750000", "1", "0.000000"]
    assert rows[2] == ["1", "1.250000", "3", "0.250000"]
    bits = TsvFormat(tokens, "2", ("entropy",))
    assert bits.head().endswith("\tsurprisal\tentropy\n")
    assert bits.line(1, LINE, "").splitlines()[3].endswith(f"\t{1 / math.log(2.0):.6f}")


def test_tabs_and_line_ends_in_a_cell_are_escaped() -> None:
    ones, marks = np.ones(2), CharTokenizer("\t\n")
    odd = replace(
        LINE, text="a\tb", ids=marks.encode("\t\n"), token_nll=ones, entropy=ones, rank=ones, tokenizer=marks
    )
    assert TsvFormat(tokens, "e").line(1, odd, "") == "1\t1\t\\t\t1.000000\n1\t2\t\\n\t1.000000\n"
    assert "a\\tb" in TsvFormat(None, "e").line(1, odd, "")


def test_minicons_has_natural_logarithms_and_ranks() -> None:
    form = MiniconsFormat(tokens)
    assert form.head() == "sentence_id\ttoken_id\ttoken\tlogprob\tsurprisal\trank\n"
    nats = 2.6882 * math.log(10.0)
    assert form.line(1, LINE, "").splitlines()[1] == f"1\t2\tcat\t{-nats:.6f}\t{nats:.6f}\t2"


def test_neural_complexity_omits_the_line_end_and_counts_from_zero() -> None:
    form = NeuralComplexityFormat(tokens)
    assert form.head() == "word sentid sentpos wlen surp entropy entred\n"
    rows = [row.split(" ") for row in form.line(1, LINE, "").splitlines()]
    assert [row[:3] for row in rows] == [["the", "0", "0"], ["cat", "0", "1"], ["<unk>", "0", "2"]]
    assert [row[3] for row in rows] == ["3", "3", "5"]
    bits = math.log(2.0)
    assert [float(row[5]) for row in rows] == pytest.approx([1.75 / bits, 1.5 / bits, 1.25 / bits], abs=1e-6)
    assert [float(row[6]) for row in rows] == pytest.approx([0.0, 0.25 / bits, 0.25 / bits], abs=1e-6)


def test_jsonl_has_one_object_per_line() -> None:
    record = json.loads(JsonlFormat(None).line(2, LINE, ""))
    assert record == {
        "sentence_id": 2,
        "text": "the cat zzz",
        "nll_nats": pytest.approx(LINE.nll_nats),
        "tokens": 4,
    }
    token = json.loads(JsonlFormat(tokens).line(2, LINE, ""))["tokens"][2]
    assert token.keys() == {"token", "nll_nats", "rank", "entropy_nats", "entropy_reduction_nats", "oov"}
    assert token["oov"] is True
    assert token["entropy_reduction_nats"] == 0.25


def test_srilm_matches_ngram_debug_2() -> None:
    """OOV words are marked and excluded from the sums; ppl counts sentence ends, ppl1 does not."""
    form = SrilmFormat("x.txt")
    assert form.line(1, LINE, "") == (
        "the cat zzz\n"
        "\tp( the | <s> ) \t= [rnn] 8.29469e-05 [ -4.0812 ]\n"
        "\tp( cat | the ...) \t= [rnn] 0.00205022 [ -2.6882 ]\n"
        "\tp( <unk> | cat ...) \t= [OOV] 0 [ -inf ]\n"
        "\tp( </s> | <unk> ...) \t= [rnn] 0.0397054 [ -1.40115 ]\n"
        "1 sentences, 3 words, 1 OOVs\n"
        f"0 zeroprobs, logprob= -8.17055 ppl= {10 ** (8.17055 / 3):.6g} ppl1= {10 ** (8.17055 / 2):.6g}\n"
        "\n"
    )
    form.line(2, LINE, "")
    assert form.tail().startswith("file x.txt: 2 sentences, 6 words, 2 OOVs\n0 zeroprobs, logprob= -16.3411 ")


def test_kenlm_matches_query() -> None:
    ids = {"the": 5, "cat": 7, "<unk>": 0, "<eos>": 1}
    form = KenlmFormat(ids.__getitem__)
    assert form.line(1, LINE, "") == (
        "the=5 1 -4.0812\tcat=7 1 -2.6882\t<unk>=0 1 -3\t</s>=1 1 -1.40115\tTotal: -11.1705 OOV: 1\n"
    )
    names, values = zip(*(row.split("\t") for row in form.tail().splitlines()), strict=True)
    assert names == ("Perplexity including OOVs:", "Perplexity excluding OOVs:", "OOVs:", "Tokens:")
    expected = [10 ** (11.17055 / 4), 10 ** (8.17055 / 3), 1, 4]
    assert [float(value) for value in values] == pytest.approx(expected, rel=1e-5)


def test_kaldi_and_nbest_have_one_row_per_line() -> None:
    assert KaldiFormat().line(1, LINE, "utt-7") == f"utt-7\t{11.17055 * math.log(10.0):.6f}\n"
    assert NBestFormat().line(1, LINE, "1") == "-11.170550\n"


def test_a_line_end_outside_the_vocabulary_is_not_an_oov_word() -> None:
    """It is scored as <unk>, and shown as </s>."""
    letters = CharTokenizer.train("ab")
    line = replace(LINE, text="ab?", ids=np.array([1, 2, 0, 0], np.uint8), tokenizer=letters)
    shown = SrilmFormat("t").line(1, line, "")
    assert (shown.count("[OOV]"), shown.count("p( </s> |")) == (1, 1)
    assert "3 words, 1 OOVs\n" in shown
    assert f"logprob= {TENS[[0, 1, 3]].sum():.6g} " in shown
    assert "OOV: 1\n" in KenlmFormat(lambda text: 0).line(1, line, "")
