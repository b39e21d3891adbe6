"""An n-gram and its mixture with a network as one file: sorted keys, logarithms, weights."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rnncli.errors import ModelError
from rnncli.ngram.interpolation import Mixture
from rnncli.ngram.kneser_ney import MOST_ORDER, Ngram
from rnncli.storage.array_file import packed, read_arrays
from rnncli.storage.safe_load import DAMAGED

Array = npt.NDArray[Any]

# Of three arrays an order, and two of the mixture.
MOST_HEADER_BYTES = 100_000
# By so much a probability of 1 may exceed it, as a logarithm.
_ROUNDING = 1e-6
# No weight of a shorter context is more than e to the power of it, or less; SRILM writes 10^-99 for none.
_LARGEST_BACKOFF = 230.0


def packed_ngram(ngram: Ngram, mixture: Mixture) -> bytes:
    """The content of a file; raises ModelError."""
    refuse_unreadable(ngram)
    arrays: dict[str, Array] = {"mixture.edges": mixture.edges, "mixture.weights": mixture.weights}
    arrays |= {f"keys.{n}": keys for n, keys in enumerate(ngram.keys, 2)}
    arrays |= {f"log_probs.{n}": logs for n, logs in enumerate(ngram.log_probs, 1)}
    arrays |= {f"log_backoffs.{n}": logs for n, logs in enumerate(ngram.log_backoffs, 1)}
    return packed(arrays, {"order": ngram.order, "vocab_size": ngram.vocab_size})


def refuse_unreadable(ngram: Ngram) -> None:
    """Raises ModelError for what read_ngram would not take, which an ARPA file may hold."""
    if not _fits_together(ngram):
        raise ModelError(
            "the n-gram has a weight that no n-gram has",
            hint="logarithms of an ARPA file are to the base of 10",
        )


def read_ngram(path: Path, vocab_size: int) -> tuple[Ngram, Mixture]:
    """What was written, for a model of so many symbols; raises ModelError unless all of it fits together."""
    arrays, facts = read_arrays(path, MOST_HEADER_BYTES)
    order = facts.get("order")
    if type(order) is not int or not 1 <= order <= MOST_ORDER or facts.get("vocab_size") != vocab_size:
        raise ModelError(f"{path} is not an n-gram of {vocab_size:,} symbols", hint=DAMAGED)
    try:
        ngram = Ngram(
            vocab_size,
            tuple(_whole(arrays[f"keys.{n}"]) for n in range(2, order + 1)),
            tuple(_real(arrays[f"log_probs.{n}"], np.float32) for n in range(1, order + 1)),
            tuple(_real(arrays[f"log_backoffs.{n}"], np.float32) for n in range(1, order)),
        )
        mixture = Mixture(
            _real(arrays["mixture.edges"], np.float64), _real(arrays["mixture.weights"], np.float64, 2)
        )
    except (KeyError, TypeError) as error:
        raise ModelError(f"{path}: {error} is missing or of another kind", hint=DAMAGED) from error
    if not (_fits_together(ngram) and _is_mixture(mixture)):
        raise ModelError(f"{path}: its arrays do not belong together", hint=DAMAGED)
    return ngram, mixture


def _whole(array: Array) -> npt.NDArray[np.int64]:
    if array.dtype != np.int64 or array.ndim != 1:
        raise TypeError(f"an array of {array.dtype}")
    return array


def _real(array: Array, dtype: type[np.floating[Any]], dimensions: int = 1) -> Array:
    if array.dtype != dtype or array.ndim != dimensions:
        raise TypeError(f"an array of {array.dtype}")
    return array


def _fits_together(ngram: Ngram) -> bool:
    """Whether every number leads to an n-gram that is there: searches follow them without looking."""
    sizes = [ngram.vocab_size + 1, *(len(keys) for keys in ngram.keys)]
    return (
        [len(logs) for logs in ngram.log_probs] == sizes
        and [len(logs) for logs in ngram.log_backoffs] == sizes[:-1]
        and all(
            len(keys) > 0
            and keys[0] >= 0
            and bool((keys[1:] > keys[:-1]).all())
            and keys[-1] // ngram.vocab_size < contexts
            for keys, contexts in zip(ngram.keys, sizes, strict=False)
        )
        and all(bool((logs <= _ROUNDING).all()) for logs in ngram.log_probs)
        and all(bool((np.abs(logs) <= _LARGEST_BACKOFF).all()) for logs in ngram.log_backoffs)
    )


def _is_mixture(mixture: Mixture) -> bool:
    return (
        mixture.weights.shape[0] > 0
        and mixture.weights.shape[1] == len(mixture.edges) + 1
        and bool((mixture.edges[1:] >= mixture.edges[:-1]).all())
        and bool(((mixture.weights > 0.0) & (mixture.weights < 1.0)).all())
    )
