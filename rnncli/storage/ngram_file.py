"""An n-gram and its interpolation weights as one safetensors file."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rnncli.errors import ModelError
from rnncli.ngram.interpolation import Interpolation, WeightedNgram
from rnncli.ngram.kneser_ney import MAX_ORDER, NgramModel
from rnncli.storage.safetensors_file import AnyArray, read_arrays, serialize_arrays
from rnncli.storage.untrusted import DAMAGED_HINT

# The header lists three arrays for each order, and two of the interpolation.
MAX_HEADER_BYTES = 100_000
# Rounding may put the logarithm of a probability of 1 this far above 0.
_ROUNDING = 1e-6
# Largest absolute log backoff weight; SRILM writes 10^-99 for a weight of zero.
_LARGEST_BACKOFF = 230.0


def serialize_ngram(ngram: NgramModel, interpolation: Interpolation) -> bytes:
    """Return the content of ngram.safetensors; raise ModelError if read_ngram would refuse it."""
    check_storable(ngram)
    arrays: dict[str, AnyArray] = {
        "interpolation.edges": interpolation.edges,
        "interpolation.weights": interpolation.weights,
    }
    arrays |= {f"keys.{n}": keys for n, keys in enumerate(ngram.keys, 2)}
    arrays |= {f"log_probs.{n}": logs for n, logs in enumerate(ngram.log_probs, 1)}
    arrays |= {f"log_backoffs.{n}": logs for n, logs in enumerate(ngram.log_backoffs, 1)}
    return serialize_arrays(arrays, {"order": ngram.order, "vocab_size": ngram.vocab_size})


def check_storable(ngram: NgramModel) -> None:
    """Raise ModelError for an n-gram that read_ngram would refuse, as an ARPA file may hold."""
    if not _fits_together(ngram):
        raise ModelError(
            "the n-gram has a weight that no n-gram has",
            hint="logarithms of an ARPA file are to the base of 10",
        )


def read_ngram(path: Path, vocab_size: int) -> WeightedNgram:
    """Read an n-gram for a vocabulary of `vocab_size` tokens.

    Raises:
        ModelError: The arrays are inconsistent.
    """
    arrays, facts = read_arrays(path, MAX_HEADER_BYTES)
    order = facts.get("order")
    if type(order) is not int or not 1 <= order <= MAX_ORDER or facts.get("vocab_size") != vocab_size:
        raise ModelError(f"{path} is not an n-gram of {vocab_size:,} tokens", hint=DAMAGED_HINT)
    try:
        ngram = NgramModel(
            vocab_size,
            tuple(_whole(arrays[f"keys.{n}"]) for n in range(2, order + 1)),
            tuple(_real(arrays[f"log_probs.{n}"], np.float32) for n in range(1, order + 1)),
            tuple(_real(arrays[f"log_backoffs.{n}"], np.float32) for n in range(1, order)),
        )
        interpolation = Interpolation(
            _real(arrays["interpolation.edges"], np.float64),
            _real(arrays["interpolation.weights"], np.float64, 2),
        )
    except (KeyError, TypeError) as error:
        raise ModelError(f"{path}: {error} is missing or has another type", hint=DAMAGED_HINT) from error
    if not (_fits_together(ngram) and _is_valid_interpolation(interpolation)):
        raise ModelError(f"{path}: its arrays are inconsistent", hint=DAMAGED_HINT)
    return WeightedNgram(ngram, interpolation)


def _whole(array: AnyArray) -> npt.NDArray[np.int64]:
    if array.dtype != np.int64 or array.ndim != 1:
        raise TypeError(f"an array of {array.dtype}")
    return array


def _real(array: AnyArray, dtype: type[np.floating[Any]], dimensions: int = 1) -> AnyArray:
    if array.dtype != dtype or array.ndim != dimensions:
        raise TypeError(f"an array of {array.dtype}")
    return array


def _fits_together(ngram: NgramModel) -> bool:
    """Whether every index points to an existing n-gram: lookups follow them without checks."""
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


def _is_valid_interpolation(interpolation: Interpolation) -> bool:
    return (
        interpolation.weights.shape[0] > 0
        and interpolation.weights.shape[1] == len(interpolation.edges) + 1
        and bool((interpolation.edges[1:] >= interpolation.edges[:-1]).all())
        and bool(((interpolation.weights > 0.0) & (interpolation.weights < 1.0)).all())
    )
