"""ARPA: what other tools read, symbol by symbol, and the same model when it comes back."""

import re
from pathlib import Path

import numpy as np
import pytest

from rnncli.data.tokenizers.base import ByteTokenizer, CharTokenizer, Tokenizer
from rnncli.data.tokenizers.word import WordTokenizer
from rnncli.errors import ModelError
from rnncli.export.arpa import read_arpa, write_arpa
from rnncli.ngram.interpolation import Interpolation
from rnncli.ngram.kneser_ney import NgramModel, fit
from rnncli.storage.ngram_file import read_ngram, serialize_ngram

TEXT = "the rain came down,\nthe rain came <s> more %20;\n" * 5


def fitted(tokenizer: Tokenizer, order: int) -> NgramModel:
    ids = np.concatenate([[tokenizer.vocab_size], tokenizer.encode(TEXT)])
    return fit(ids, order, tokenizer.vocab_size)


TOKENIZERS: list[Tokenizer] = [
    CharTokenizer.train(TEXT),
    WordTokenizer(["<unk>", "<eos>", "the", "rain", "came", "<s>", "</s>", "100%"]),
    ByteTokenizer(),
]


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda t: t.level)
@pytest.mark.parametrize("order", [1, 2, 4])
def test_the_model_that_comes_back_says_the_same(own_folder: Path, tokenizer: Tokenizer, order: int) -> None:
    ngram = fitted(tokenizer, order)
    write_arpa(own_folder / "x.arpa", ngram, tokenizer)
    again, left_out = read_arpa(own_folder / "x.arpa", tokenizer)
    assert left_out == (tokenizer.unk_id is None) + 1, "</s>, and <unk> where we have none"
    assert again.order == order
    ids = np.concatenate([[tokenizer.vocab_size], tokenizer.encode("came the rain\nmore or less <s>\n")])
    np.testing.assert_allclose(again.token_nll(ids)[0][1:], ngram.token_nll(ids)[0][1:], rtol=1e-5)


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda t: t.level)
def test_the_file_is_as_the_format_wants_it(own_folder: Path, tokenizer: Tokenizer) -> None:
    """KenLM's rules: counts first and true, no white space in words, the three marks, every context."""
    write_arpa(own_folder / "x.arpa", fitted(tokenizer, 3), tokenizer)
    head, *sections = re.split(r"\\(?:\d)-grams:\n", (own_folder / "x.arpa").read_text(encoding="utf-8"))
    assert head.startswith("\\data\\\n")
    counts = [int(number) for number in re.findall(r"ngram \d=(\d+)", head)]
    assert sections[-1].endswith("\n\\end\\\n")
    known: set[str] = set()
    for order, (count, section) in enumerate(zip(counts, sections, strict=True), 1):
        lines = [line for line in section.removesuffix("\\end\\\n").split("\n") if line]
        assert len(lines) == count
        grams = set()
        for line in lines:
            probability, gram, *backoff = line.split("\t")
            assert float(probability) <= 0.0
            assert len(backoff) == (order < 3)
            words = gram.split(" ")
            assert len(words) == order
            assert all(word and not re.search(r"\s", word) for word in words)
            assert order == 1 or " ".join(words[:-1]) in known
            grams.add(gram)
        assert len(grams) == count
        if order == 1:
            assert {"<s>", "</s>", "<unk>"} <= grams
        known = grams


def test_a_mark_that_the_text_itself_has_is_another_symbol(own_folder: Path) -> None:
    write_arpa(own_folder / "x.arpa", fitted(TOKENIZERS[1], 1), TOKENIZERS[1])
    text = (own_folder / "x.arpa").read_text()
    for word in ("%3Cs>", "%3C/s>", "100%25", "<eos>"):
        assert f"\t{word}\t" in text or f"\t{word}\n" in text


def test_words_that_the_model_does_not_know_are_left_out_and_counted(own_folder: Path) -> None:
    (own_folder / "x.arpa").write_text(
        "made by hand\n\\data\\\nngram 1=4\nngram 2=2\n\n\\1-grams:\n-1\t<unk>\n-99\t<s>\t-0.5\n"
        "-0.3\tthe\t0.25\n-0.6\tfoo\t-0.1\n\n\\2-grams:\n-0.2\t<s> the\n-0.1\tfoo the\n\n\\end\\\n"
    )
    words = WordTokenizer(["<unk>", "<eos>", "the"])
    ngram, left_out = read_arpa(own_folder / "x.arpa", words)
    assert left_out == 2
    nats, _ = ngram.token_nll(np.array([3, 2, 2, 1]))
    tens = -nats / np.log(10.0)
    assert tens[1:] == pytest.approx([-0.2, -0.3 + 0.25, -1 + 0.25], rel=1e-5), "<eos> is as <unk>"


def test_what_srilm_writes_for_no_weight_at_all_is_kept(own_folder: Path) -> None:
    """-99 as the weight of a shorter context; and no n-gram goes on after <s>, whatever a file says."""
    (own_folder / "x.arpa").write_text(
        "\\data\\\nngram 1=3\nngram 2=2\n\n\\1-grams:\n-1\t<unk>\n-99\t<s>\t-99\n-0.3\tthe\t-99\n\n"
        "\\2-grams:\n-0.2\tthe the\n-0.2\tthe <s>\n\n\\end\\\n"
    )
    ngram, left_out = read_arpa(own_folder / "x.arpa", WordTokenizer(["<unk>", "<eos>", "the"]))
    assert left_out == 1
    mixture = Interpolation(np.array([0.5]), np.full((2, 2), 0.5))
    (own_folder / "n").write_bytes(serialize_ngram(ngram, mixture))
    again, _ = read_ngram(own_folder / "n", 3)
    nats, _ = again.token_nll(np.array([3, 2, 2, 1]))
    assert -nats[1:] / np.log(10.0) == pytest.approx([-0.3 - 99, -0.2, -1 - 99], rel=1e-5)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "not in ARPA format"),
        (b"\\data\\\n\\2-grams:\n\\end\\\n", "not in ARPA format"),
        (b"\\data\\\n\\1-grams:\nnonsense\n\\end\\\n", "line 0 of the 1-grams is 'nonsense'"),
        (b"\\data\\\n\\1-grams:\nx\ty\n\\end\\\n", "line 0 of the 1-grams"),
        (b"\\data\\\n\\1-grams:\n-1\ta\n-inf\tb\n\\end\\\n", "line 1 of the 1-grams"),
        (b"\\data\\\n\\1-grams:\n-1\ta\tnan\n\\end\\\n", "line 0 of the 1-grams"),
        (b"\xff\xfe", "cannot read"),
        (b"\\data\\\n" + b"".join(b"\\%d-grams:\n" % n for n in range(1, 19)), "order 18"),
    ],
)
def test_what_is_not_arpa_is_refused(own_folder: Path, content: bytes, named: str) -> None:
    (own_folder / "x.arpa").write_bytes(content)
    with pytest.raises(ModelError, match=re.escape(named)):
        read_arpa(own_folder / "x.arpa", TOKENIZERS[0])


def test_kenlm_reads_it_and_says_the_same(own_folder: Path) -> None:
    """With the real tool, where `pip install kenlm` was possible: it needs a compiler."""
    kenlm = pytest.importorskip("kenlm")
    tokenizer = TOKENIZERS[1]
    ngram = fitted(tokenizer, 3)
    write_arpa(own_folder / "x.arpa", ngram, tokenizer)
    model = kenlm.Model(str(own_folder / "x.arpa"))
    assert model.order == 3
    # Our line end is a word there; <s> and 100% are written as in the file.
    words = ["the", "rain", "snows", "<eos>", "%3Cs>", "came", "100%25", "<eos>"]
    theirs = [score for score, _, _ in model.full_scores(" ".join(words), bos=True, eos=False)]
    ids = np.concatenate([[tokenizer.vocab_size], tokenizer.encode("the rain snows\n<s> came 100%\n")])
    ours = -ngram.token_nll(ids)[0][1:] / np.log(10.0)
    np.testing.assert_allclose(theirs, ours, atol=1e-5)
