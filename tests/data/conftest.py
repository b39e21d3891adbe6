"""Strings that tokenizers must reproduce, and helpers that make corpora and token datasets."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from rnncli.data.config import ReadOptions, TextConfig
from rnncli.data.corpus import Corpus
from rnncli.data.dataset import TokenDataset
from rnncli.data.dataset_builder import build_dataset

# A deadline would measure the machine; the examples of one test are few and small anyway.
settings.register_profile("no clock", deadline=None)
settings.load_profile("no clock")

HARD_STRINGS = {
    "nothing": "",
    "spaces": "   a  b   ",
    "tabs": "\ta\t\tb\t",
    "nothing but spaces and tabs": " \t \t",
    "CRLF": "a\r\nb\r\n",
    "lone CR": "a\rb\r",
    "empty lines": "\n\na\n\n\n",
    "no final line end": "a\nb",
    "the space mark of sentencepiece": "▁a ▁ b▁▁ ▁",
    "the other marks of sentencepiece": "▅▅a ▅ ⁇ \ue000",
    "unicode line ends": "a\u2028b\u2029c\x85d\x0be\x0cf",
    "NUL": "\0a\0\0b\0",
    "controls": "\x1b[31m\x07\x1a\x7f",
    "names of subwords": "<unk> <0x41><0xE2> <s></s> <pad> <eos>",
    "joined emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽",
    "combining marks": "e\u0301 Z\u0351\u036b\u0343\u036a g\u0308",
    "composed and decomposed": "é e\u0301 \u212b \u00c5 ﬁ",
    "right to left": "שלום \u202eעולם\u202c مرحبا",
    "wide spaces": "\u3000月\u3000\u00a0a\u200b\ufeff",
    "noncharacters": "\ufffd\ufffe\uffff\ufdd0\U0010ffff",
    "Chinese": "床前明月光，疑是地上霜。𠀀",
}

# Unigram takes its subwords from what different words share, so the verse has words that do.
STEMS = ("rain", "lamp", "turn", "learn", "wonder", "kitten", "flower", "light")
VERSE = "".join(f"the {stem} {stem}s, a {stem}ing {stem}ed more\n" for stem in STEMS) * 10
# What a corpus may bring that sentencepiece itself writes: spaces of every kind and names of subwords.
ODD = "a  b\t\tc ▁ <unk> <0x41> <s>\r\n▅ x\0y é月🙂\n" * 40


@pytest.fixture(params=list(HARD_STRINGS.values()), ids=list(HARD_STRINGS))
def hard_string(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def scanned(text: str, path: Path) -> Corpus:
    """Write `text` to the file `path` and scan it."""
    path.write_bytes(text.encode("utf-8"))
    return Corpus.scan([str(path)], ReadOptions(), path.parent)


def dataset_of(text: str, config: TextConfig, folder: Path, **given: Any) -> TokenDataset:
    """The dataset of `text`, in the new `folder`; the text lies beside it."""
    corpus = scanned(text, folder.with_suffix(".txt"))
    folder.mkdir()
    return build_dataset(corpus, config, folder, **{"workers": 1, **given})
