"""Tokenizers, as JSON and as models of subwords."""

from functools import partial

from tests.faults.hostile.case import FREE, SILENT, family
from tests.faults.hostile.spoiling import (
    beginning,
    flipped,
    later,
    pieces,
    put,
    table,
    tokenizer,
    without_pieces,
)

WORDS = ["<unk>", "<eos>", *(f"word{number}" for number in range(24))]
HALVES = [chr(0xD800 + number) for number in range(24)]
chars, words = partial(table, level="char"), partial(table, level="word", pattern=None)
TOKENIZERS = [
    *family(
        SILENT,
        {
            "a tokenizer is of another model": put(
                "tokenizer.json", b'{"level": "char", "characters": "ab"}\n'
            ),
            "a tokenizer is not text": tokenizer(b"\xff\xfe\x00"),
            "a tokenizer is endlessly nested": tokenizer(b"[" * 100_000),
            "a tokenizer is a list": tokenizer(b"[]"),
            "a tokenizer is of no level": table(level="verse"),
            "a tokenizer is of a level that is a list": table(level=[]),
            "a tokenizer has few characters": chars(characters="ab"),
            "a tokenizer has many characters": chars(characters="".join(map(chr, range(1000)))),
            "a tokenizer repeats a character": chars(characters="aab"),
            "a tokenizer has bytes": table(level="byte"),
            "a tokenizer has a million words": later(lambda: words(words=[*WORDS, *map(str, range(10**6))])),
            "a tokenizer has numbers as words": words(words=[1, 2]),
            "a tokenizer has an object as words": words(words={}),
            "a tokenizer repeats a word": words(words=[*WORDS, "word0"]),
            "a pattern is none": words(words=WORDS, pattern="("),
            "a pattern is a number": words(words=WORDS, pattern=5),
            "an empty subword model stands beside": put("tokenizer.model", b""),
            "a broken subword model stands beside": put("tokenizer.model", b"\x0a\xff\xff\xff\x7f"),
        },
    ),
    *family(
        FREE,
        {
            "a tokenizer has half characters": chars(characters="".join([*HALVES, "\ue000"])),
            "a tokenizer has half characters as words": words(words=[*WORDS[:2], *HALVES]),
            "a pattern warns": words(words=WORDS, pattern="[[a]"),
        },
    ),
    *family(
        SILENT,
        {
            **{f"a subword model is cut to {n}/8": pieces(partial(beginning, share=n)) for n in (0, 1, 4, 7)},
            "a subword model has few pieces": pieces(partial(without_pieces, kept=258)),
            "a subword model has no bytes": pieces(partial(without_pieces, kept=100)),
        },
        "pieces",
    ),
    *family(
        FREE,
        {
            f"byte {place} of a subword model is another": pieces(partial(flipped, place=place))
            for place in (0, 1, 2, 5, 40, 1500, 4000, -200, -100, -50, -20, -1)
        },
        "pieces",
    ),
]
