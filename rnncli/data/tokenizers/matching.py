"""Comparing two tokenizers token by token, for fine-tuning. V vocabulary size."""

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from rnncli.data.tokenizers.base import CharTokenizer, Tokenizer
from rnncli.data.tokenizers.word import WordTokenizer
from rnncli.errors import TokenizerError

NEW = -1


def match_tokens(tokenizer: Tokenizer, pretrained: Tokenizer) -> npt.NDArray[np.int64]:
    """Return (V,): for each token of `tokenizer` its id in `pretrained`, or NEW.

    Tokens are equal if they read the same, whatever their ids.

    Raises:
        TokenizerError: The levels differ, so that tokens that read the same may differ in meaning.
    """
    if tokenizer.level != pretrained.level:
        raise TokenizerError(
            f"the model has level {pretrained.level}, and the text is tokenized at level {tokenizer.level}",
            hint=f"tokenize the text with --level {pretrained.level}",
        )
    # Several tokens may read the same, such as a byte and a subword: they match in order.
    ids: defaultdict[str, list[int]] = defaultdict(list)
    for token in reversed(range(pretrained.vocab_size)):
        ids[pretrained.id_to_token(token)].append(token)
    found = [ids[tokenizer.id_to_token(token)] for token in range(tokenizer.vocab_size)]
    return np.array([same.pop() if same else NEW for same in found], np.int64)


def extend_tokenizer(pretrained: Tokenizer, trained: Tokenizer) -> Tokenizer:
    """Add the characters or words of `trained` to `pretrained`; bytes and subwords already cover all text."""
    if isinstance(pretrained, CharTokenizer) and isinstance(trained, CharTokenizer):
        return CharTokenizer("".join(sorted({*pretrained.characters, *trained.characters})))
    if isinstance(pretrained, WordTokenizer) and isinstance(trained, WordTokenizer):
        words = list(dict.fromkeys([*pretrained.words, *trained.words]))
        return WordTokenizer(words, pretrained.pattern)
    return pretrained
