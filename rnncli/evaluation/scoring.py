"""The only code that scores a text. Shapes: S lanes, L lane length, V symbols, N tokens, M measures.

A recurrent network reads one token after another, so the score of a text seems to need N steps of
one lane. But most networks forget: started from a wrong state they soon behave as if it had been the
right one. So the text is cut into S lanes, each lane's first state is guessed by reading a little of
the lane before it, and all lanes are scored side by side. Then every guess is checked against the
state in which the lane before really ended:

    lane 1   0 ==================> a          a = a', b = b' within a tolerance: done
    lane 2            (guess) ---> a' ==================> b
    lane 3                                   (guess) ---> b' ==================>

Where they differ, the lane is read again from there, without logits and beside all others of its kind,
until nothing changes: a lane is long, and mostly forgets what led it. For a network that remembers longer
still the text is read once in a single lane. The lanes that had a wrong start are scored again. Either
way the result is that of one long pass with full history, within rounding: checked, not assumed.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rnncli.data.lines import line_bounds, padded
from rnncli.data.shards import Shards
from rnncli.data.tokenizers.base import Ids
from rnncli.evaluation.lane_starts import (
    differing,
    guessed_starts,
    of_lanes,
    read_lanes,
    set_lanes,
    true_starts,
)
from rnncli.evaluation.metrics import Measure, nats_alone
from rnncli.nn.language_model import LanguageModel
from rnncli.nn.state import State

LANES = 64
# Steps at a time: a longer window takes more memory, which is the peak of a training, and is no faster.
WINDOW = 64
# Bounds the memory that a long text takes: ids, nats and their lanes.
BLOCK_TOKENS = 2**21
# What a guess reads of the lane before; most trained networks forget within a few hundred tokens.
WARM_UP = 512
# Below this many tokens a lane would mostly be warm-up.
_SHORTEST_LANE = WARM_UP
# A sample comes from fewer places rather than in shorter stretches than this.
_SHORTEST_STRETCH = 128
# At most so many places where split_gap looks.
_PLACES = 16
# Lines that are scored side by side, and among how many those of like length are looked for.
_LINES_AT_ONCE, LINES_SORTED = 256, 8192
_MOST_LINE_TOKENS = 2**20
# Logits held at once, as floats: they should stay in the cache and never fill the memory.
_MOST_LOGITS = 2**22


@torch.inference_mode()
def stream_measures(
    model: LanguageModel,
    ids: Ids | Shards,
    measure: Measure = nats_alone,
    lanes: int = LANES,
    window: int = WINDOW,
    block_tokens: int = BLOCK_TOKENS,
    checked: bool = True,
) -> Iterator[npt.NDArray[np.float32]]:
    """Measures of every id of a text (N,) in order, in blocks (n, M): each once, with all its history.

    The first id is predicted from "text begins". Lanes, window and block size change speed and
    memory, and the result by rounding only, unless the guesses are not `checked`: that is quicker for a
    network that forgets late, and as far from exact as split_gap says.
    """
    state, before = model.initial_state(1), model.config.start
    for start in range(0, len(ids), block_tokens):
        targets = _tensor(model, ids[start : start + block_tokens])
        inputs = _behind(targets, before)
        measures, state = _block_measures(model, inputs, targets, state, measure, lanes, window, checked)
        before = int(targets[-1])
        yield measures.cpu().numpy()


@torch.inference_mode()
def split_gap(model: LanguageModel, ids: Ids | Shards, lanes: int) -> float:
    """How far the nats per token of unchecked lanes may be off: measured at some places of the text.

    There WARM_UP tokens are scored after as many others, as at the border of two lanes, and again after
    four times as many.
    """
    blocks = -(-len(ids) // BLOCK_TOKENS)
    borders = blocks * (lanes_for(min(len(ids), BLOCK_TOKENS), lanes) - 1)
    if not borders:
        return 0.0
    long = min(4 * WARM_UP, len(ids) - WARM_UP - 1)
    places = np.linspace(long + 1, len(ids) - WARM_UP, min(borders, _PLACES)).astype(np.int64).tolist()
    nats = []
    for before in (min(WARM_UP, long), long):
        rows = _tensor(model, np.stack([ids[place - before - 1 : place + WARM_UP] for place in places]))
        state = read_lanes(model, rows[:, :before], model.initial_state(len(rows)), WINDOW)
        measures, _ = _score(model, rows[:, before:-1], rows[:, before + 1 :], state, nats_alone, WINDOW)
        nats.append(measures.cpu().sum((1, 2), dtype=torch.float64))  # MPS has no float64
    return float((nats[0] - nats[1]).abs().mean()) * borders / len(ids)


@torch.inference_mode()
def line_measures(
    model: LanguageModel,
    ids: Ids | Shards,
    line_starts: npt.NDArray[Any],
    measure: Measure = nats_alone,
    lines: npt.NDArray[np.intp] | None = None,
    window: int = WINDOW,
) -> Iterator[npt.NDArray[np.float32]]:
    """Measures of every id of some lines in order, in blocks of whole lines (n, M).

    Of all lines unless `lines` has the numbers of some. Every line starts from "text begins" and an empty
    memory, and is read to its end with all of its own history. Lines of about the same length are scored
    together.
    """
    wanted = np.arange(len(line_starts)) if lines is None else lines
    for first in range(0, len(wanted), LINES_SORTED):
        begins, lengths = line_bounds(ids, line_starts, wanted[first : first + LINES_SORTED])
        places = np.cumsum(lengths) - lengths
        block = None
        order = np.argsort(-lengths, kind="stable")
        while len(order):
            at_once = max(1, min(_LINES_AT_ONCE, _MOST_LINE_TOKENS // int(lengths[order[0]])))
            chosen, order = order[:at_once], order[at_once:]
            opens = np.ones(len(chosen), np.bool_)
            batch = padded(ids, begins[chosen], lengths[chosen], opens, model.config.start)
            inputs, targets = (torch.from_numpy(a).to(model.device) for a in (batch.inputs, batch.targets))
            measures, _ = _score(model, inputs, targets, model.initial_state(len(chosen)), measure, window)
            if block is None:
                block = np.empty((int(lengths.sum()), measures.shape[-1]), np.float32)
            inside = batch.targets >= 0
            own = (places[chosen][:, None] + np.arange(inside.shape[1]))[inside]
            block[own] = measures.cpu().numpy()[inside]
        if block is not None:
            yield block


@torch.inference_mode()
def sampled_measures(
    model: LanguageModel,
    ids: Ids | Shards,
    tokens: int,
    measure: Measure = nats_alone,
    lanes: int = LANES,
    window: int = WINDOW,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.intp]]:
    """Measures of about `tokens` ids from all over a text (n, M), and their positions: to watch a training.

    One stretch of each lane is scored, at a cost known beforehand: sampled_cost. The guesses are not
    checked, so that a stretch may lack what lies further back than WARM_UP tokens.
    """
    lanes = min(_sampled_lanes(min(len(ids), tokens), lanes), lanes_for(len(ids), lanes))
    length = len(ids) // lanes
    stretch = min(max(tokens // lanes, 1), length)
    positions = np.arange(lanes)[:, None] * length + np.arange(stretch)
    targets = _tensor(model, ids[0 : len(ids)])
    inputs = _behind(targets, model.config.start)
    rows, goals = inputs[: lanes * length].view(lanes, length), targets[: lanes * length].view(lanes, length)
    starts = guessed_starts(model, rows, model.initial_state(1), WARM_UP, window)
    measures, _ = _score(model, rows[:, :stretch], goals[:, :stretch], starts, measure, window)
    return measures.flatten(0, 1).cpu().numpy(), positions.flatten()


def sampled_lines(
    ids: Ids | Shards, tokens: int, line_starts: npt.NDArray[Any]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The numbers of lines from all over a text that have about `tokens` ids, and the positions of these."""
    lines = min(max(tokens * len(line_starts) // len(ids), 1), len(line_starts))
    chosen = np.arange(lines) * len(line_starts) // lines
    begins, lengths = line_bounds(ids, line_starts, chosen)
    return chosen, np.repeat(begins - np.cumsum(lengths) + lengths, lengths) + np.arange(lengths.sum())


def sampled_cost(total: int, tokens: int) -> int:
    """How many tokens sampled_measures reads to score `tokens` of `total`, warm-up included."""
    wanted = min(total, tokens)
    return wanted + WARM_UP * (_sampled_lanes(wanted, LANES) - 1)


def _sampled_lanes(tokens: int, most: int) -> int:
    return max(1, min(most, tokens // _SHORTEST_STRETCH))


def _tensor(model: LanguageModel, ids: Ids) -> Tensor:
    """On the model's device."""
    return torch.from_numpy(np.asarray(ids).astype(np.int64)).to(model.device)


def _behind(tokens: Tensor, before: int) -> Tensor:
    """tokens (N,) -> what is read when each is predicted (N,): those before them, led by `before`."""
    return torch.cat([tokens.new_tensor([before]), tokens])[:-1]


def lanes_for(tokens: int, most: int) -> int:
    """How many lanes a text is worth: none so short that it would mostly be warm-up."""
    return max(1, min(most, tokens // _SHORTEST_LANE))


def _block_measures(
    model: LanguageModel,
    inputs: Tensor,
    targets: Tensor,
    state: State,
    measure: Measure,
    lanes: int,
    window: int,
    checked: bool,
) -> tuple[Tensor, State]:
    """inputs and targets (N,) and the state before them -> measures (N, M) and the state after them."""
    # An attention is guessed well once all of its past was read by a memory that was.
    warm_up = WARM_UP + model.config.attention if checked else WARM_UP
    lanes = max(1, min(lanes_for(len(targets), lanes), len(targets) // warm_up))
    length = len(targets) // lanes
    body = length * lanes  # what does not fill the lanes is scored after them
    rows, goals = inputs[:body].view(lanes, length), targets[:body].view(lanes, length)
    starts = guessed_starts(model, rows, state, warm_up, window)
    measures, ends = _score(model, rows, goals, starts, measure, window)
    if checked:
        found = true_starts(model, rows, state, starts, ends, window)
        wrong = differing(found, starts)
        if len(wrong):
            again = of_lanes(found, wrong)
            measures[wrong], new_ends = _score(model, rows[wrong], goals[wrong], again, measure, window)
            set_lanes(ends, wrong, new_ends)
    measured, after = measures.flatten(0, 1), ends.map(lambda tensor: tensor[-1:])
    if body < len(targets):
        rest, after = _score(model, inputs[None, body:], targets[None, body:], after, measure, window)
        measured = torch.cat([measured, rest[0]])
    return measured, after


def _score(
    model: LanguageModel, inputs: Tensor, targets: Tensor, state: State, measure: Measure, window: int
) -> tuple[Tensor, State]:
    """inputs and targets (S, L), L > 0 -> measures (S, L, M) and the states after each lane."""
    parts = []
    rows_at_once = max(1, _MOST_LOGITS // model.config.vocab_size)
    for start in range(0, inputs.shape[1], window):
        hidden, state = model.hidden(inputs[:, start : start + window], state)
        goals = targets[:, start : start + window]
        flat, flat_goals = hidden.flatten(0, 1), goals.flatten()
        measured = torch.cat(
            [
                measure(model.logits(flat[row : row + rows_at_once]), flat_goals[row : row + rows_at_once])
                for row in range(0, len(flat), rows_at_once)
            ]
        )
        parts.append(measured.view(*goals.shape, -1))
    return torch.cat(parts, dim=1), state
