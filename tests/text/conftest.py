"""Strings that tokenizers have to give back unchanged, and hypothesis without a clock."""

import pytest
from hypothesis import settings

# A deadline would measure the machine; the examples of one test are few and small anyway.
settings.register_profile("no clock", deadline=None)
settings.load_profile("no clock")

HARD_STRINGS = {
    "nothing": "",
    "blanks": "   a  b   ",
    "tabs": "\ta\t\tb\t",
    "blanks and tabs alone": " \t \t",
    "CRLF": "a\r\nb\r\n",
    "lone CR": "a\rb\r",
    "empty lines": "\n\na\n\n\n",
    "no final line end": "a\nb",
    "the blank of sentencepiece": "▁a ▁ b▁▁ ▁",
    "the other marks of sentencepiece": "▅▅a ▅ ⁇ \ue000",
    "unicode line ends": "a\u2028b\u2029c\x85d\x0be\x0cf",
    "NUL": "\0a\0\0b\0",
    "controls": "\x1b[31m\x07\x1a\x7f",
    "names of pieces": "<unk> <0x41><0xE2> <s></s> <pad> <eos>",
    "joined emoji": "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽",
    "combining marks": "e\u0301 Z\u0351\u036b\u0343\u036a g\u0308",
    "composed and decomposed": "é e\u0301 \u212b \u00c5 ﬁ",
    "right to left": "שלום \u202eעולם\u202c مرحبا",
    "wide blanks": "\u3000月\u3000\u00a0a\u200b\ufeff",
    "noncharacters": "\ufffd\ufffe\uffff\ufdd0\U0010ffff",
    "Chinese": "床前明月光，疑是地上霜。𠀀",
}


@pytest.fixture(params=list(HARD_STRINGS.values()), ids=list(HARD_STRINGS))
def hard_string(request: pytest.FixtureRequest) -> str:
    return str(request.param)
