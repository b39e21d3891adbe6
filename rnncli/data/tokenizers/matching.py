"""Two tokenizers, symbol by symbol: what the one has of the other. Shapes: V vocabulary."""

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from rnncli.data.tokenizers.base import CharTokenizer, Tokenizer, WordTokenizer
from rnncli.errors import TokenizerError

NEW = -1


def matched(tokenizer: Tokenizer, earlier: Tokenizer) -> npt.NDArray[np.int64]:
    """(V,): for each symbol of `tokenizer` its id in `earlier`, or NEW.

    Symbols are the same where they read the same, whatever their ids. Raises TokenizerError where one
    has characters and the other words, say: what reads the same is not the same then.
    """
    if tokenizer.level != earlier.level:
        raise TokenizerError(
            f"the model has level {earlier.level}, and the text was cut at level {tokenizer.level}",
            hint=f"cut the text with --level {earlier.level}",
        )
    # Where several symbols read the same, as a byte and a piece may, they match in their order.
    ids: defaultdict[str, list[int]] = defaultdict(list)
    for token in reversed(range(earlier.vocab_size)):
        ids[earlier.symbol(token)].append(token)
    found = [ids[tokenizer.symbol(token)] for token in range(tokenizer.vocab_size)]
    return np.array([same.pop() if same else NEW for same in found], np.int64)


def extended(earlier: Tokenizer, learned: Tokenizer) -> Tokenizer:
    """All symbols of `earlier`, and those that `learned` has besides; bytes and pieces need no more."""
    if isinstance(earlier, CharTokenizer) and isinstance(learned, CharTokenizer):
        return CharTokenizer("".join(sorted({*earlier.symbols, *learned.symbols})))
    if isinstance(earlier, WordTokenizer) and isinstance(learned, WordTokenizer):
        return WordTokenizer(list(dict.fromkeys([*earlier.words, *learned.words])), earlier.pattern)
    return earlier
