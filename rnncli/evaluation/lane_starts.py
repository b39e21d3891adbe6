"""In which states lanes begin: guessed, and found where a guess was wrong. Shapes: S lanes, L their length.

likelihood.py has the drawing.
"""

import torch
from torch import Tensor

from rnncli.nn.language_model import LanguageModel
from rnncli.nn.state import State

# States closer than this, relative to their size, are the same; it moves a total by less than 1e-6.
_TOLERANCE = 1e-5
# So often lanes are read again at the most, each time from better states: mostly once is enough.
_MOST_ROUNDS = 4


def read_lanes(model: LanguageModel, inputs: Tensor, state: State, window: int) -> State:
    """inputs (S, L) -> the states after each lane, no logits computed."""
    for start in range(0, inputs.shape[1], window):
        _, state = model.hidden(inputs[:, start : start + window], state)
    return state


def guessed_starts(model: LanguageModel, rows: Tensor, state: State, warm_up: int, window: int) -> State:
    """The state before each lane (S, L): the first is known, the others have read `warm_up` tokens."""
    empty = model.initial_state(len(rows) - 1)
    guesses = read_lanes(model, rows[:-1, -warm_up:], empty, window) if len(rows) > 1 else empty
    return state.merge(guesses, lambda true, guess: torch.cat([true, guess]))


def true_starts(
    model: LanguageModel, rows: Tensor, state: State, guesses: State, ends: State, window: int
) -> State:
    """The state before each lane (S, L), of which the first is known, from guesses and where these led."""
    starts = guesses
    for left in reversed(range(_MOST_ROUNDS + 1)):
        found = _after_each_lane(state, ends)
        wrong = differing(found, starts)
        if not len(wrong):
            return starts
        leading = wrong[wrong < len(rows) - 1]  # where the last one ends, no other begins
        if left and len(leading):
            ends = ends.map(torch.Tensor.clone)
            set_lanes(ends, leading, read_lanes(model, rows[leading], of_lanes(found, leading), window))
        starts = found
    return _one_after_another(model, rows, state, window)


def _one_after_another(model: LanguageModel, rows: Tensor, state: State, window: int) -> State:
    """The state before each lane (S, L), in as many steps as there are tokens."""
    starts = [state]
    for row in rows[:-1]:
        starts.append(read_lanes(model, row[None], starts[-1], window))
    joined = starts[0]
    for start in starts[1:]:
        joined = joined.merge(start, lambda before, one: torch.cat([before, one]))
    return joined


def differing(a: State, b: State) -> Tensor:
    """The numbers of the lanes in which two states differ (W,)."""
    return torch.nonzero(~_same(a, b)).flatten()


def of_lanes(state: State, lanes: Tensor) -> State:
    return state.map(lambda tensor: tensor[lanes])


def set_lanes(state: State, lanes: Tensor, by: State) -> None:
    for tensor, new in zip(state.tensors(), by.tensors(), strict=True):
        tensor[lanes] = new


def _after_each_lane(first: State, ends: State) -> State:
    """Each lane starts where the lane before it ended, the first where the block starts."""
    return first.merge(ends, lambda start, end: torch.cat([start, end[:-1]]))


def _same(a: State, b: State) -> Tensor:
    """(S,) True for the lanes in which two states agree within the tolerance everywhere."""

    def close(x: Tensor, y: Tensor) -> Tensor:
        equal = torch.isclose(x, y, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True)
        return equal.flatten(1).all(1)

    return torch.stack(a.merge(b, close).tensors()).all(0)
