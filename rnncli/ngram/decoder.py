"""An n-gram one token at a time, for many lanes. Shapes: B lanes, N order, V symbols.

What stands before a token is known by the numbers of its ends, the last id, the last two, and so on, as
far as the n-gram knows them (ngram/kneser_ney.py). The next numbers follow from these by one search each, and
what was once found out about an end of the text serves every lane that comes upon it again.
"""

import numpy as np
import numpy.typing as npt

from rnncli.ngram.kneser_ney import ABSENT, Ngram

Reals = npt.NDArray[np.float64]
# By length from 1, the numbers of the ends of a text, or ABSENT.
Ends = tuple[int, ...]

_MOST_MEMORY_BYTES = 2**26


class NgramStream:
    """The same distribution as Ngram.nats; its memory of what it found out changes nothing but the speed."""

    def __init__(self, ngram: Ngram) -> None:
        self._ngram = ngram
        self._unigrams = np.exp(ngram.log_probs[0][: ngram.vocab_size].astype(np.float64))
        self._found: dict[tuple[int, int], tuple[Reals, int]] = {}
        self._most = max(1, _MOST_MEMORY_BYTES // self._unigrams.nbytes)

    def read(self, tokens: npt.NDArray[np.integer], ends: Ends = ()) -> Ends:
        """The ends of a text that had `ends`, and goes on with some ids (L,): the last of them decide."""
        if len(tokens) >= self._ngram.order:
            ends = ()
        for token in tokens[-self._ngram.order :].tolist():
            ends = self.after(ends, token)
        return ends

    def after(self, ends: Ends, token: int) -> Ends:
        """The ends of a text that had `ends`, and goes on with `token`."""
        ngram, numbers = self._ngram, [token]
        if token < ngram.vocab_size:  # else a text begins
            for keys, number in zip(ngram.keys[: ngram.order - 2], ends, strict=False):
                wanted = number * ngram.vocab_size + token
                place = int(keys.searchsorted(wanted))
                known = number != ABSENT and place < len(keys) and keys[place] == wanted
                numbers.append(place if known else ABSENT)
        return tuple(numbers[: ngram.order - 1])

    def distribution(self, ends: list[Ends]) -> tuple[Reals, npt.NDArray[np.int64]]:
        """P of every id (B, V) after these ends, and after how many of each others were seen (B,)."""
        pairs = [self._following(own) for own in ends]
        return np.stack([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])

    def _following(self, ends: Ends) -> tuple[Reals, int]:
        probabilities, known = self._unigrams, 0
        for length, number in enumerate(ends, 1):
            if number == ABSENT:
                continue
            met = self._found.get((length, number))
            if met is None:
                met = self._lengthened(length, number, probabilities, known)
                if len(self._found) >= self._most:
                    self._found.clear()
                self._found[length, number] = met
            probabilities, known = met
        return probabilities, known

    def _lengthened(self, length: int, number: int, shorter: Reals, known: int) -> tuple[Reals, int]:
        """What is not seen after a context is left to the shorter one."""
        ngram = self._ngram
        backoff = float(ngram.log_backoffs[length - 1][number])
        probabilities = shorter * np.exp(backoff)
        keys, first = ngram.keys[length - 1], number * ngram.vocab_size
        low, high = keys.searchsorted([first, first + ngram.vocab_size])
        followers = keys[low:high] - first
        probabilities[followers] = np.exp(ngram.log_probs[length][low:high].astype(np.float64))
        return probabilities, known + (backoff != 0.0)  # it is 0 where nothing ever followed
