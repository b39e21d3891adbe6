"""Interpolated modified Kneser-Ney over ids. Shapes: L ids, N order, U_n distinct n-grams, V vocabulary.

An n-gram is known by its number among the distinct n-grams in ascending order of their keys, and its key
is the number of its first n - 1 ids, times V, plus its last id:

order 1   a b c ...                         an id is its own number; V is "text begins"
order 2   aa ab ba bc ...                   key = number of "a" * V + c
order 3   aab aba abc ...                   key = number of "ab" * V + c

So whatever the order and the vocabulary, a key is one integer, the continuations of a context lie side by
side, and counting, fitting and scoring are sorts and searches in arrays.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from rnncli.errors import ConfigError

Keys = npt.NDArray[np.int64]
Logs = npt.NDArray[np.float32]
Reals = npt.NDArray[np.float64]

MOST_ORDER = 16
# Of counts 1, 2, 3 and more, where a text has too few of them to tell.
_FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)
ABSENT = -1


@dataclass(frozen=True)
class Ngram:
    """P(next id | the N - 1 before), as a backoff model of natural logarithms.

    `keys[n - 2]` (U_n,) are the n-grams of order n from 2 to N, ascending; `log_probs[n - 1]` (U_n,) the
    probabilities of their last ids after the others, and `log_backoffs[n - 1]` (U_n,), for n below N, the
    factor of the shorter context's probabilities for what was never seen after them.
    """

    vocab_size: int
    keys: tuple[Keys, ...]
    log_probs: tuple[Logs, ...]
    log_backoffs: tuple[Logs, ...]

    @property
    def order(self) -> int:
        return len(self.log_probs)

    @property
    def entries(self) -> int:
        """Distinct n-grams of all orders."""
        return sum(len(logs) for logs in self.log_probs)

    @property
    def start(self) -> int:
        """The id "text begins": one past the vocabulary, never predicted."""
        return self.vocab_size

    def nats(self, ids: npt.NDArray[np.integer]) -> tuple[Reals, npt.NDArray[np.int8]]:
        """-ln p of each of `ids` (L,), and after how many of those before it the model had seen others (L,).

        An id `start` begins a text anew; its own nats mean nothing.
        """
        text: Keys = ids.astype(np.int64)
        contexts = self._contexts(text)
        known = np.zeros(len(text), np.int8)
        for numbers, log_backoffs in zip(contexts, self.log_backoffs, strict=True):
            # It is 0 where nothing ever followed.
            known += (numbers != ABSENT) & (log_backoffs[numbers] != 0.0)
        return -self._logs(contexts, text), known

    def mass(self, ids: npt.NDArray[np.integer], some: Iterable[int]) -> Reals:
        """P(any of `some` ids) in the place of each of `ids` (L,), after those before it.

        What was seen after a context takes the place of what shorter ones say of the same ids; of all
        other ids the shorter context's mass is left, times the backoff. So each context is summed once.
        """
        wanted = np.zeros(self.vocab_size, np.bool_)
        wanted[list(some)] = True
        contexts = self._contexts(ids.astype(np.int64))
        unigrams = np.exp(self.log_probs[0][: self.vocab_size].astype(np.float64))
        mass = np.full(len(ids), float(unigrams[wanted].sum()))
        for length, keys in enumerate(self.keys, 1):
            numbers = contexts[length - 1]
            places = np.flatnonzero(numbers != ABSENT)
            found, firsts, own = np.unique(numbers[places], return_index=True, return_inverse=True)
            bounds = np.searchsorted(keys, np.stack([found, found + 1]) * self.vocab_size)
            context = np.repeat(np.arange(len(found)), bounds[1] - bounds[0])
            entries = np.arange(len(context)) - (np.cumsum(bounds[1] - bounds[0]) - bounds[1])[context]
            followers = keys[entries] - found[context] * self.vocab_size
            chosen = wanted[followers]
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
        """By length from 1, the number of the n-gram that ends before each id (L,), or ABSENT."""
        contexts, numbers = [], text
        for keys in self.keys:
            contexts.append(np.concatenate([[ABSENT], numbers[:-1]]))
            numbers = self._find(keys, contexts[-1], text)
        return contexts

    def _logs(self, contexts: list[Keys], ids: Keys) -> Reals:
        """ln p of ids (L,) after their contexts, by length from 1: as long as they are given."""
        logs = self.log_probs[0][ids].astype(np.float64)
        for numbers, keys, log_probs, log_backoffs in zip(
            contexts, self.keys, self.log_probs[1:], self.log_backoffs, strict=False
        ):
            found = self._find(keys, numbers, ids)
            shorter = logs + np.where(numbers != ABSENT, log_backoffs[numbers], 0.0)
            logs = np.where(found != ABSENT, log_probs[found], shorter)
        return logs

    def _find(self, keys: Keys, contexts: Keys, ids: Keys) -> Keys:
        """The numbers of n-grams, from those of their contexts and their last ids (L,)."""
        wanted = np.where(
            (contexts != ABSENT) & (ids < self.vocab_size), contexts * self.vocab_size + ids, -1
        )
        places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[places] == wanted, places, ABSENT)


def check_order(order: int) -> None:
    """Raises ConfigError unless an n-gram can have this order."""
    if not 1 <= order <= MOST_ORDER:
        raise ConfigError(f"the order of an n-gram is {order}", hint=f"it is from 1 to {MOST_ORDER}")


def fit(ids: npt.NDArray[np.integer], order: int, vocab_size: int) -> Ngram:
    """A model of the `ids` (L,), among which `vocab_size` is "text begins": nothing is counted across it.

    Interpolated modified Kneser-Ney smoothing (Chen and Goodman 1998, section 3; discounts by its
    equation 26): n-grams of the highest order, and those that begin with "text begins", have their own
    counts, the others the number of different ids before them. Where no n-gram is as long as `order`, the
    model's is less. Raises ConfigError unless 1 <= order <= 16.
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
        # Every n-gram of those before is the end of as many longer ones as there are ids before it.
        ends = numbers[last]
        before = np.bincount(ends, minlength=len(counts))
        all_counts.append((np.where(before > 0, before, counts), suffixes))
        all_keys.append(keys)
        numbers, counts, suffixes = longer_numbers, longer_counts, ends
    all_counts.append((counts, suffixes))
    log_probs, log_backoffs = _smoothed(all_counts, all_keys, vocab_size)
    return Ngram(vocab_size, tuple(all_keys), log_probs, log_backoffs)


def _lengthened(numbers: Keys, ids: Keys, vocab_size: int) -> tuple[Keys, Keys, Keys, Keys]:
    """From the n-grams that end at each id (L,) to those one longer.

    Gives their keys (U,), the number of the one that ends at each id (L,) or ABSENT, their counts (U,)
    and where one of each ends (U,).
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
    """Counts and suffixes by order, keys from order 2 -> logarithms of probabilities and of backoffs."""
    log_probs: list[Logs] = []
    log_backoffs: list[Logs] = []
    probabilities = np.array([1.0 / vocab_size])  # what lies below order 1
    contexts = suffixes = np.zeros(vocab_size + 1, np.int64)
    for counts, longer_suffixes in all_counts:
        if log_probs:
            contexts, suffixes = all_keys[len(log_probs) - 1] // vocab_size, longer_suffixes
        else:
            counts = np.append(counts[:vocab_size], 0)  # "text begins" is no continuation
        number, shorter = len(probabilities), probabilities[suffixes]
        discounts = np.array([0.0, *_discounts(counts)])[np.minimum(counts, 3)]
        totals = np.bincount(contexts, counts, number)
        with np.errstate(invalid="ignore"):
            backoffs = np.where(totals > 0, np.bincount(contexts, discounts, number) / totals, 1.0)
            kept = np.where(totals[contexts] > 0, (counts - discounts) / totals[contexts], 0.0)
        probabilities = kept + backoffs[contexts] * shorter
        if log_probs:
            log_backoffs.append(np.log(backoffs).astype(np.float32))
        log_probs.append(np.log(probabilities).astype(np.float32))
    return tuple(log_probs), tuple(log_backoffs)


def _discounts(counts: Keys) -> tuple[float, float, float]:
    """What is taken from counts of 1, 2, and 3 or more, so that the held-out likelihood is about highest."""
    n1, n2, n3, n4 = (int(number) for number in np.bincount(counts, minlength=5)[1:5])
    if min(n1, n2, n3, n4) == 0:
        return _FALLBACK_DISCOUNTS
    share = n1 / (n1 + 2 * n2)
    found = (1 - 2 * share * n2 / n1, 2 - 3 * share * n3 / n2, 3 - 4 * share * n4 / n3)
    sound = all(0.0 < discount < number for number, discount in enumerate(found, 1))
    return found if sound else _FALLBACK_DISCOUNTS
