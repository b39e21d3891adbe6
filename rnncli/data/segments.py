"""Where a model's memory is emptied in a text: at lines, sentences, documents, or never."""

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from rnncli.data.config import Reset
from rnncli.data.tokenizers.base import Ids, Tokenizer, smallest_dtype

# A sentence ends with its mark, what closes after that, and the white space behind; a line ends it too.
_SENTENCE_END = re.compile(
    r"""[.!?…]+["'”’»)\]]*\s+ | [。！？…]+[”’」』）]*\s* | \n\s*""",
    re.VERBOSE,
)


def segments(documents: Sequence[str], reset: Reset) -> list[str]:
    """The text in pieces, none of them empty, that make it up again when they are joined."""
    if reset == "document":
        return [document for document in documents if document]
    text = "".join(documents)
    if reset == "never":
        return [text] if text else []
    if reset == "line":
        return [line for line in re.split(r"(?<=\n)", text) if line]
    ends = [match.end() for match in _SENTENCE_END.finditer(text)]
    cuts = [0, *(end for end in ends if end < len(text)), len(text)]
    return [text[start:end] for start, end in pairwise(cuts) if start < end]


def encode_segments(
    tokenizer: Tokenizer, documents: Sequence[str], reset: Reset
) -> tuple[Ids, npt.NDArray[np.int64] | None]:
    """Each piece cut by itself: ids (N,) and where the pieces begin (L,); None where it is one text."""
    if reset == "never":
        return tokenizer.encode("".join(documents)), None
    pieces = [ids for piece in segments(documents, reset) if len(ids := tokenizer.encode(piece))]
    lengths = np.array([len(ids) for ids in pieces], np.int64)
    joined = np.concatenate(pieces) if pieces else np.zeros(0, smallest_dtype(tokenizer.vocab_size))
    return joined, np.cumsum(lengths) - lengths
