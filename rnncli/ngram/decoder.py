"""An n-gram model one token at a time, for a batch of texts.

The context of a text is represented by the numbers of the n-grams that end it: the last id, the last two
ids, and so on (ngram/kneser_ney.py). The numbers after one more token follow from them by one search each.
The distribution after an n-gram is cached, so that it is computed once for all texts of a batch that come
to it.

Shapes:
  B: batch size
  L: ids of a text
  V: vocabulary size
"""

import numpy as np
import numpy.typing as npt

from rnncli.ngram.kneser_ney import ABSENT, NgramModel

Reals = npt.NDArray[np.float64]
# The numbers of the n-grams of order 1, 2, ... that end a text, or ABSENT; () before its first token.
Context = tuple[int, ...]

MAX_CACHE_BYTES = 2**26


class NgramDecoder:
    """The distribution of NgramModel.token_nll, for all ids at once."""

    def __init__(self, ngram: NgramModel) -> None:
        self._ngram = ngram
        self._unigrams = np.exp(ngram.log_probs[0][: ngram.vocab_size].astype(np.float64))
        self._cache: dict[tuple[int, int], tuple[Reals, int]] = {}
        self._max_cached = max(1, MAX_CACHE_BYTES // self._unigrams.nbytes)

    def read(self, tokens: npt.NDArray[np.integer], context: Context = ()) -> Context:
        """Return the context after some more tokens (L,)."""
        if len(tokens) >= self._ngram.order:
            context = ()
        for token in tokens[-self._ngram.order :].tolist():
            context = self.step(context, token)
        return context

    def step(self, context: Context, token: int) -> Context:
        """Return the context after one more token."""
        ngram, numbers = self._ngram, [token]
        if token < ngram.vocab_size:  # else it is BOS
            for keys, number in zip(ngram.keys[: ngram.order - 2], context, strict=False):
                key = number * ngram.vocab_size + token
                place = int(keys.searchsorted(key))
                is_known = number != ABSENT and place < len(keys) and keys[place] == key
                numbers.append(place if is_known else ABSENT)
        return tuple(numbers[: ngram.order - 1])

    def distribution(self, contexts: list[Context]) -> tuple[Reals, npt.NDArray[np.int64]]:
        """Return the distributions after some contexts.

        Returns:
            P of every id (B, V), and the length of the longest context that the model has seen followed by
            anything (B,).
        """
        pairs = [self._after(context) for context in contexts]
        return np.stack([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])

    def _after(self, context: Context) -> tuple[Reals, int]:
        probabilities, known = self._unigrams, 0
        for length, number in enumerate(context, 1):
            if number == ABSENT:
                continue
            cached = self._cache.get((length, number))
            if cached is None:
                cached = self._extended(length, number, probabilities, known)
                if len(self._cache) >= self._max_cached:
                    self._cache.clear()
                self._cache[length, number] = cached
            probabilities, known = cached
        return probabilities, known

    def _extended(self, length: int, number: int, shorter: Reals, known: int) -> tuple[Reals, int]:
        """Return the distribution after an n-gram, given the one after the shorter context."""
        ngram = self._ngram
        backoff = float(ngram.log_backoffs[length - 1][number])
        probabilities = shorter * np.exp(backoff)
        keys, first = ngram.keys[length - 1], number * ngram.vocab_size
        low, high = keys.searchsorted([first, first + ngram.vocab_size])
        followers = keys[low:high] - first
        probabilities[followers] = np.exp(ngram.log_probs[length][low:high].astype(np.float64))
        return probabilities, known + (backoff != 0.0)  # the logarithm is 0 if nothing ever followed
