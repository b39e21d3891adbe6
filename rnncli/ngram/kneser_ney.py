"""An n-gram model over token ids with interpolated modified Kneser-Ney smoothing.

The n-grams of one order are sorted by their keys, and an n-gram's number is its index in that order. The
key of an n-gram is the number of its first n - 1 ids, times V, plus its last id:

    order 1   a b c ...               the number of an id is the id; V is BOS
    order 2   aa ab ba bc ...         key = number of "a" * V + c
    order 3   aab aba abc ...         key = number of "ab" * V + c

So a key is one integer whatever the order and the vocabulary, the continuations of a context are adjacent,
and counting, fitting and scoring are sorts and searches in arrays.

Shapes:
  L: ids of a text
  N: order of the model
  U_n: distinct n-grams of order n
  V: vocabulary size
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from rnncli.data.splits import ConcatenatedIds, Split
from rnncli.data.tokenizers.base import Ids
from rnncli.errors import ConfigError

Keys = npt.NDArray[np.int64]
Logs = npt.NDArray[np.float32]
Reals = npt.NDArray[np.float64]

MAX_ORDER = 16
# Discounts of counts 1, 2, and 3 or more, for texts that are too small to estimate them.
_FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)
# The number of an n-gram that the model does not have.
ABSENT = -1
# Bounds the memory that scoring a long text takes.
BLOCK_TOKENS = 2**21


@dataclass(frozen=True)
class NgramModel:
    """P(next id | the N - 1 ids before it), as a backoff model in natural logarithms.

    Attributes:
        vocab_size: V.
        keys: `keys[n - 2]` (U_n,) are the keys of the n-grams of order n, from 2 to N, in ascending order.
        log_probs: `log_probs[n - 1]` (U_n,) are ln P(last id | the other ids) of the n-grams of order n.
        log_backoffs: `log_backoffs[n - 1]` (U_n,), for n below N, are the logarithms of the backoff weights:
          the factor of the shorter context's probability for ids that were never seen after the n-gram.
    """

    vocab_size: int
    keys: tuple[Keys, ...]
    log_probs: tuple[Logs, ...]
    log_backoffs: tuple[Logs, ...]

    @property
    def order(self) -> int:
        """N."""
        return len(self.log_probs)

    @property
    def entries(self) -> int:
        """The number of distinct n-grams of all orders."""
        return sum(len(logs) for logs in self.log_probs)

    @property
    def bos_id(self) -> int:
        """The beginning-of-sequence token (BOS): one id past the vocabulary, never predicted."""
        return self.vocab_size

    def token_nll(self, ids: npt.NDArray[np.integer]) -> tuple[Reals, npt.NDArray[np.int8]]:
        """Score the ids of a text.

        Args:
            ids: Token ids (L,). Nothing before a BOS token counts as context; the NLL of a BOS token itself
              is meaningless.

        Returns:
            -ln p of each id (L,), and the length of the longest context before it that the model has seen
            followed by anything (L,).
        """
        text: Keys = ids.astype(np.int64)
        contexts = self._contexts(text)
        known = np.zeros(len(text), np.int8)
        for numbers, log_backoffs in zip(contexts, self.log_backoffs, strict=True):
            # The logarithm is 0 if nothing ever followed.
            known += (numbers != ABSENT) & (log_backoffs[numbers] != 0.0)
        return -self._logs(contexts, text), known

    @property
    def components(self) -> tuple[str, ...]:
        """The name of this model where models are compared."""
        return (f"{self.order}-gram",)

    def nll(self, text: Split, chunks: int | None = None) -> Iterator[Reals]:  # noqa: ARG002 - always exact
        """Yield -ln p of the tokens of a text, in order, in blocks (n, 1), each with all of its history."""
        bounds = np.arange(0, text.tokens, BLOCK_TOKENS)
        if text.line_starts is not None:  # blocks are whole lines
            bounds = text.line_starts[np.searchsorted(text.line_starts, bounds, side="right") - 1]
        for first, last in pairwise([*np.unique(bounds).tolist(), text.tokens]):
            yield self.range_nll(text.ids, first, last, text.line_starts)[0][:, None]

    def range_nll(
        self,
        ids: Ids | ConcatenatedIds,
        first: int,
        last: int,
        line_starts: npt.NDArray[np.integer] | None,
    ) -> tuple[Reals, npt.NDArray[np.int8]]:
        """Score ids[first:last] given the ids before them.

        Args:
            ids: A text (L,) without BOS tokens.
            first: The index of the first id that is scored.
            last: One more than the index of the last id that is scored.
            line_starts: Where lines that are independent of one another begin; None: one text. The range
              must consist of whole lines.

        Returns:
            As in `token_nll`, for last - first ids.
        """
        if line_starts is None:
            begin = max(first - self.order + 1, 0)
            text: Keys = ids[begin:last].astype(np.int64)
            if begin == 0:
                text = with_bos(text, self.bos_id, None)
            nll, known = self.token_nll(text)
            return nll[len(text) - (last - first) :], known[len(text) - (last - first) :]
        inside = line_starts[np.searchsorted(line_starts, first) : np.searchsorted(line_starts, last)]
        text = with_bos(ids[first:last], self.bos_id, inside.astype(np.int64) - first)
        nll, known = self.token_nll(text)
        return nll[text != self.bos_id], known[text != self.bos_id]

    def mass(self, ids: npt.NDArray[np.integer], some: Iterable[int]) -> Reals:
        """Return P(any of `some` ids) in place of each of `ids` (L,), given the ids before it (L,).

        The probabilities of ids that were seen after a context replace those of the shorter context; the
        mass of all other ids is that of the shorter context times the backoff weight. So every distinct
        context is summed once.
        """
        is_wanted = np.zeros(self.vocab_size, np.bool_)
        is_wanted[list(some)] = True
        contexts = self._contexts(ids.astype(np.int64))
        unigrams = np.exp(self.log_probs[0][: self.vocab_size].astype(np.float64))
        mass = np.full(len(ids), float(unigrams[is_wanted].sum()))
        for length, keys in enumerate(self.keys, 1):
            numbers = contexts[length - 1]
            places = np.flatnonzero(numbers != ABSENT)
            found, firsts, own = np.unique(numbers[places], return_index=True, return_inverse=True)
            bounds = np.searchsorted(keys, np.stack([found, found + 1]) * self.vocab_size)
            context = np.repeat(np.arange(len(found)), bounds[1] - bounds[0])
            entries = np.arange(len(context)) - (np.cumsum(bounds[1] - bounds[0]) - bounds[1])[context]
            followers = keys[entries] - found[context] * self.vocab_size
            chosen = is_wanted[followers]
            context, entries, followers = context[chosen], entries[chosen], followers[chosen]
            shorter = [numbers[places[firsts[context]]] for numbers in contexts[: length - 1]]
            seen = np.exp(self.log_probs[length][entries].astype(np.float64))
            hidden = np.exp(self._logs(shorter, followers))
            backoffs = np.exp(self.log_backoffs[length - 1][found].astype(np.float64))
            change = np.bincount(context, seen, len(found)) - backoffs * np.bincount(
                context, hidden, len(found)
            )
            mass[places] = backoffs[own] * mass[places] + change[own]
        return mass

    def _contexts(self, text: Keys) -> list[Keys]:
        """For each length from 1: the number of the n-gram that ends before each id (L,), or ABSENT."""
        contexts, numbers = [], text
        for keys in self.keys:
            contexts.append(np.concatenate([[ABSENT], numbers[:-1]]))
            numbers = self._find(keys, contexts[-1], text)
        return contexts

    def _logs(self, contexts: list[Keys], ids: Keys) -> Reals:
        """Return ln p of ids (L,) given the numbers of their contexts of length 1, 2, ..."""
        logs = self.log_probs[0][ids].astype(np.float64)
        for numbers, keys, log_probs, log_backoffs in zip(
            contexts, self.keys, self.log_probs[1:], self.log_backoffs, strict=False
        ):
            found = self._find(keys, numbers, ids)
            shorter = logs + np.where(numbers != ABSENT, log_backoffs[numbers], 0.0)
            logs = np.where(found != ABSENT, log_probs[found], shorter)
        return logs

    def _find(self, keys: Keys, contexts: Keys, ids: Keys) -> Keys:
        """Return the numbers (L,) of n-grams, given the numbers of their contexts and their last ids (L,)."""
        wanted = np.where(
            (contexts != ABSENT) & (ids < self.vocab_size), contexts * self.vocab_size + ids, -1
        )
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[places] == wanted, places, ABSENT)


def with_bos(ids: npt.NDArray[np.integer], bos_id: int, line_starts: npt.NDArray[np.integer] | None) -> Keys:
    """Return ids with a BOS token before the first one, or before every line."""
    places = np.zeros(1, np.int64) if line_starts is None else line_starts.astype(np.int64)
    return np.insert(ids.astype(np.int64), places, bos_id)


def check_order(order: int) -> None:
    """Raise ConfigError unless an n-gram model can have this order."""
    if not 1 <= order <= MAX_ORDER:
        raise ConfigError(f"the order of an n-gram is {order}", hint=f"it is from 1 to {MAX_ORDER}")


def fit(ids: npt.NDArray[np.integer], order: int, vocab_size: int) -> NgramModel:
    """Fit an n-gram model.

    Interpolated modified Kneser-Ney smoothing (Chen and Goodman 1998, An empirical study of smoothing
    techniques for language modeling, section 3; discounts by equation 26). N-grams of the highest order,
    and those that begin with BOS, have their own counts; all others have continuation counts, the number
    of different ids before them.

    Args:
        ids: Token ids (L,), among which `vocab_size` is BOS: no n-gram reaches across it.
        order: N. If no n-gram of the text is as long, the order of the model is less.
        vocab_size: V.

    Raises:
        ConfigError: The order is not from 1 to 16.
    """
    check_order(order)
    text: Keys = ids.astype(np.int64)
    counts: Keys = np.bincount(text, minlength=vocab_size + 1)
    numbers, suffixes = text, np.zeros(0, np.int64)
    all_keys: list[Keys] = []
    all_counts: list[tuple[Keys, Keys]] = []
    for _ in range(2, order + 1):
        keys, longer_numbers, longer_counts, last = _lengthened(numbers, text, vocab_size)
        if not len(keys):
            break
        # An n-gram is the end of as many longer n-grams as there are different ids before it.
        ends = numbers[last]
        before = np.bincount(ends, minlength=len(counts))
        all_counts.append((np.where(before > 0, before, counts), suffixes))
        all_keys.append(keys)
        numbers, counts, suffixes = longer_numbers, longer_counts, ends
    all_counts.append((counts, suffixes))
    log_probs, log_backoffs = _smoothed(all_counts, all_keys, vocab_size)
    return NgramModel(vocab_size, tuple(all_keys), log_probs, log_backoffs)


def _lengthened(numbers: Keys, ids: Keys, vocab_size: int) -> tuple[Keys, Keys, Keys, Keys]:
    """Find the n-grams of the next order from the numbers of those that end at each id (L,).

    Returns:
        Their keys (U,), the number of the n-gram that ends at each id (L,) or ABSENT, their counts (U,), and
        an index in the text where each ends (U,).
    """
    places = 1 + np.flatnonzero((numbers[:-1] != ABSENT) & (ids[1:] < vocab_size))
    keys = numbers[places - 1] * vocab_size + ids[places]
    order = np.argsort(keys)
    keys, places = keys[order], places[order]
    first = np.ones(len(keys), np.bool_)
    first[1:] = keys[1:] != keys[:-1]
    longer = np.full(len(ids), ABSENT)
    longer[places] = np.cumsum(first) - 1
    starts = np.flatnonzero(first)
    return keys[first], longer, np.diff(np.append(starts, len(keys))), places[first]


def _smoothed(
    all_counts: list[tuple[Keys, Keys]], all_keys: list[Keys], vocab_size: int
) -> tuple[tuple[Logs, ...], tuple[Logs, ...]]:
    """Smooth counts.

    Args:
        all_counts: For each order, the counts (U_n,) and the index of each n-gram without its first id.
        all_keys: For each order from 2, the keys (U_n,).

    Returns:
        log_probs and log_backoffs of NgramModel.
    """
    log_probs: list[Logs] = []
    log_backoffs: list[Logs] = []
    probabilities = np.array([1.0 / vocab_size])  # uniform, below order 1
    contexts = suffixes = np.zeros(vocab_size + 1, np.int64)
    for counts, longer_suffixes in all_counts:
        if log_probs:
            contexts, suffixes = all_keys[len(log_probs) - 1] // vocab_size, longer_suffixes
        else:
            counts = np.append(counts[:vocab_size], 0)  # BOS is never predicted
        number, shorter = len(probabilities), probabilities[suffixes]
        discounts = np.array([0.0, *_discounts(counts)])[np.minimum(counts, 3)]
        totals = np.bincount(contexts, counts, number)
        with np.errstate(invalid="ignore"):
            backoffs = np.where(totals > 0, np.bincount(contexts, discounts, number) / totals, 1.0)
            discounted = np.where(totals[contexts] > 0, (counts - discounts) / totals[contexts], 0.0)
        probabilities = discounted + backoffs[contexts] * shorter
        if log_probs:
            log_backoffs.append(np.log(backoffs).astype(np.float32))
        log_probs.append(np.log(probabilities).astype(np.float32))
    return tuple(log_probs), tuple(log_backoffs)


def _discounts(counts: Keys) -> tuple[float, float, float]:
    """Estimate the discounts of counts of 1, 2, and 3 or more (Chen and Goodman 1998, equation 26)."""
    n1, n2, n3, n4 = (int(number) for number in np.bincount(counts, minlength=5)[1:5])
    if min(n1, n2, n3, n4) == 0:
        return _FALLBACK_DISCOUNTS
    y = n1 / (n1 + 2 * n2)
    discounts = (1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3)
    are_valid = all(0.0 < discount < count for count, discount in enumerate(discounts, 1))
    return discounts if are_valid else _FALLBACK_DISCOUNTS
