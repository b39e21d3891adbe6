"""Weights, n-grams and known lines: files of tensors."""

from functools import partial

import numpy as np

from tests.faults.hostile.arrays import (
    as_type,
    empty_tensors,
    facts,
    filled,
    header,
    length,
    replaced,
    tensors,
    with_facts,
    zeros,
)
from tests.faults.hostile.case import BOTH, EITHER, FREE, REFUSED, SILENT, TOLD, USED, Hostile, family
from tests.faults.hostile.spoiling import (
    HUGE,
    LINES,
    NGRAM,
    WEIGHTS,
    Edit,
    changed,
    flipped,
    later,
    nested,
    put,
)

BIAS = "members.0.output_bias"


def score(**changes: str) -> Edit:
    """Other facts of the weights."""
    sums = {"nll_nats": "10.0", "tokens": "5", "words": "1", "characters": "5", "bytes": "5", **changes}
    members = ", ".join(f'"{name}": {text}' for name, text in sums.items())
    return facts(WEIGHTS, f'{{"step": 1, "score": {{{members}}}}}')


def dtype(name: str) -> Edit:
    return header(WEIGHTS, lambda record: record[BIAS].update(dtype=name))


TENSORS = [
    *family(
        BOTH,
        {
            "a header is cut off": changed(WEIGHTS, lambda content: content[:100]),
            "a header's length is cut off": changed(WEIGHTS, lambda content: content[:5]),
            "a header has 2^60 bytes": length(WEIGHTS),
            "a header has no bytes": changed(WEIGHTS, lambda content: bytes(8) + content[8:]),
            "a header has 200,000 empty tensors": empty_tensors(WEIGHTS, 200_000),
            "a header has 10,000 empty tensors": empty_tensors(WEIGHTS, 10_000),
            "10,000 empty tensors are confirmed": later(
                lambda: put(WEIGHTS, with_facts({str(one): zeros(0) for one in range(10_000)}, '{"step": 1}'))
            ),
            "a header has no metadata": header(WEIGHTS, lambda record: record.pop("__metadata__")),
            "facts are half a character": header(
                WEIGHTS, lambda record: record.update(__metadata__={"rnncli": "\ud800"})
            ),
            "metadata are a number": header(WEIGHTS, lambda record: record.update(__metadata__=5)),
            "a tensor is too long": header(WEIGHTS, lambda record: record[BIAS].update(shape=[2**40])),
            "a shape overflows": header(WEIGHTS, lambda record: record[BIAS].update(shape=[2**62] * 2)),
            "tensors overlap": header(WEIGHTS, lambda record: record[BIAS].update(data_offsets=[0, 104])),
            **{f"a type is {name}": dtype(name) for name in ("BF16", "F8_E4M3", "F4", "C64", "BOOL", "none")},
            "bytes follow the tensors": changed(WEIGHTS, lambda content: content + b"more"),
            "a tensor is missing": tensors(WEIGHTS, lambda arrays: arrays.pop(BIAS)),
            "a tensor is one too many": tensors(WEIGHTS, replaced("more", zeros(1))),
            "an empty tensor is one too many": tensors(WEIGHTS, replaced("more", zeros(0))),
            "a tensor has another shape": tensors(WEIGHTS, replaced(BIAS, zeros(2, 13))),
            "a tensor has another size": tensors(WEIGHTS, replaced(BIAS, zeros(27))),
            **{
                f"weights are of type {kind}": tensors(WEIGHTS, as_type(kind))
                for kind in ("float16", "float64", "int32", "complex64", "bool")
            },
            "weights are nan": tensors(WEIGHTS, filled(float("nan"))),
            "weights are infinite": tensors(WEIGHTS, filled(float("inf"))),
            "weights have no facts": facts(WEIGHTS, ""),
            "weights have nested facts": facts(WEIGHTS, nested(100_000)),
            "weights have no step": facts(WEIGHTS, "{}"),
            "weights have half a step": facts(WEIGHTS, '{"step": 0.5, "score": null}'),
            "a score is a list": facts(WEIGHTS, '{"step": 1, "score": []}'),
            "a score has an unknown key": score(loss="1.0"),
            "a score is text": score(nll_nats='"low"'),
            "a score is nested": score(nll_nats=nested(400)),
            "a score is of tokens that are text": score(tokens='"all"'),
        },
    ),
    *family(
        FREE,
        {
            "a weight is another": changed(WEIGHTS, partial(flipped, place=-1)),
            "weights are as large as they can be": tensors(WEIGHTS, filled(3.4e38)),
            "weights are as small as they can be": tensors(WEIGHTS, filled(-3.4e38)),
        },
    ),
    *family(
        TOLD,
        {
            "a score is infinite": score(nll_nats="1e9999"),
            "a score is of no tokens": score(tokens="0"),
            "a score is of negative tokens": score(nll_nats="1e308", tokens="-1"),
            "a score is of a number of 401 digits": score(tokens=HUGE),
        },
    ),
]
NGRAMS = [
    *family(
        SILENT,
        {
            "an n-gram is of order 17": facts(NGRAM, '{"order": 17, "vocab_size": 26}'),
            "an n-gram is of order 0": facts(NGRAM, '{"order": 0, "vocab_size": 26}'),
            "an n-gram is of text": facts(NGRAM, '{"order": "3", "vocab_size": 26}'),
            "an n-gram is of another vocabulary": facts(NGRAM, '{"order": 3, "vocab_size": 27}'),
            "an n-gram has a header of 2^60 bytes": length(NGRAM),
            "an n-gram lacks an order": tensors(NGRAM, lambda arrays: arrays.pop("keys.2")),
            "an n-gram has negative keys": tensors(NGRAM, lambda arrays: arrays["keys.2"].put(0, -1)),
            "an n-gram leads nowhere": tensors(NGRAM, lambda arrays: arrays["keys.3"].put(-1, 2**62)),
            "an n-gram has keys of another type": tensors(NGRAM, replaced("keys.2", zeros(3))),
            "an n-gram is nan": tensors(NGRAM, filled(float("nan"))),
            "a mixture is certain": tensors(NGRAM, filled(1.0, "interpolation.weights")),
            "a mixture has no edges": tensors(NGRAM, replaced("interpolation.edges", zeros(0, dtype=float))),
            "a mixture has more dimensions": tensors(NGRAM, replaced("interpolation.edges", zeros(7, 1))),
        },
    ),
    *family(
        FREE,
        {
            "an n-gram backs off endlessly": tensors(NGRAM, filled(3.4e38, "log_backoffs")),
            "an n-gram is all but impossible": tensors(NGRAM, filled(-3.4e38, "log_")),
            "a mixture is all but certain": tensors(NGRAM, filled(5e-324, "interpolation.weights")),
        },
    ),
]
KNOWN_LINES = [
    Hostile(f"lines {what}", make, {"novel": codes})
    for what, make, codes in (
        ("are of another type", tensors(LINES, as_type("float32")), REFUSED),
        ("have two dimensions", tensors(LINES, replaced("hashes", zeros(2, 2, dtype=np.uint64))), REFUSED),
        ("have another tensor", tensors(LINES, replaced("more", zeros(1))), REFUSED),
        ("have no tensor", tensors(LINES, lambda arrays: arrays.clear()), REFUSED),
        ("have a header of 2^60 bytes", length(LINES), REFUSED),
        ("are none", tensors(LINES, replaced("hashes", zeros(0, dtype=np.uint64))), USED),
        ("are out of order", tensors(LINES, lambda arrays: arrays["hashes"][::-1].sort()), EITHER),
    )
]
