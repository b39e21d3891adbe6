"""The only code that turns logits into scores. Shapes: S lanes, T window, V vocabulary, N tokens.

A recurrent network reads one token after another, so the exact score of a text seems to need N steps
of one lane. But networks forget: a lane that starts from a wrong state soon behaves as if it had
started from the right one. So S lanes are scored side by side from guessed states, then each lane is
scored again from the final state of the lane before it, until its state meets the recorded one.
From there on everything would repeat itself, and the lane is done. What is left is, within rounding,
the score of one long pass with full history: a fixed point and not an approximation. If nothing
is forgotten, lanes are rescored to their ends, one after another, and the result is still that.

    pass 1   0 ---------->   ? ---------->   ? ---------->      ? guessed (zeros)
    pass 2                   1 --->*          1 ---->*           * meets pass 1, stop
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from rnncli.model.language_model import LanguageModel
from rnncli.model.recurrent import State
from rnncli.text.tokenizers import Ids

LANES = 64
WINDOW = 128
# Bounds memory: recorded states take about N / WINDOW * D floats a layer.
BLOCK_TOKENS = 2**21
# States closer than this, relative to their size, count as met; it moves a total by less than 1e-6.
MEETING_TOLERANCE = 1e-5
# Below this many tokens a lane is mostly correction.
_SHORTEST_LANE = 2 * WINDOW


def token_nats(logits: Tensor, targets: Tensor) -> Tensor:
    """logits (..., V), targets (...) -> -ln p(target) (...) in float32."""
    flat = F.cross_entropy(logits.flatten(0, -2).float(), targets.flatten(), reduction="none")
    return flat.view(targets.shape)


@torch.inference_mode()
def stream_nats(
    model: LanguageModel, ids: Ids, lanes: int = LANES, window: int = WINDOW, block_tokens: int = BLOCK_TOKENS
) -> Iterator[npt.NDArray[np.float32]]:
    """-ln p of every id of a text (N,) in order, in blocks: each once, with all its history.

    The first id is predicted from "text begins". Lanes, window and block size change speed and
    memory, and the result by rounding only.
    """
    state, before = model.initial_state(1), model.config.start
    for start in range(0, len(ids), block_tokens):
        block = np.asarray(ids[start : start + block_tokens]).astype(np.int64)
        nats, state = _block_nats(model, block, before, state, lanes, window)
        before = int(block[-1])
        yield nats


class _Block(NamedTuple):
    """A block laid out in lanes: inputs, targets and nats (S, L); ends[w] is the state after window w."""

    inputs: Tensor
    targets: Tensor
    nats: Tensor
    window: int
    ends: list[State]

    @property
    def windows(self) -> list[slice]:
        length = self.inputs.shape[1]
        return [slice(t, min(t + self.window, length)) for t in range(0, length, self.window)]


def _block_nats(
    model: LanguageModel, ids: npt.NDArray[np.int64], before: int, state: State, lanes: int, window: int
) -> tuple[npt.NDArray[np.float32], State]:
    """ids (N,) and the state before them -> nats (N,) and the state after them."""
    lanes = max(1, min(lanes, len(ids) // _SHORTEST_LANE))
    length = len(ids) // lanes
    body = length * lanes  # what does not fill the lanes is a short lane of its own, afterwards
    block = _lay_out(model, ids[:body], before, lanes, window)
    starts = model.initial_state(lanes).merge(state, lambda guess, true: torch.cat([true, guess[1:]]))
    _rescore(model, block, torch.arange(lanes, device=model.device), starts)
    while True:
        # Each lane starts where the lane before it ended; the first where it always did.
        known = starts.merge(block.ends[-1], lambda start, end: torch.cat([start[:1], end[:-1]]))
        changed = torch.nonzero(~_same(known, starts)).flatten()
        if len(changed) == 0:
            break
        for start, new in zip(starts.tensors(), known.tensors(), strict=True):
            start[changed] = new[changed]
        _rescore(model, block, changed, _rows(starts, changed))
    nats = block.nats.flatten()
    after = block.ends[-1].map(lambda tensor: tensor[-1:])
    if body < len(ids):
        tail = _lay_out(model, ids[body:], int(ids[body - 1]), 1, window)
        _rescore(model, tail, torch.zeros(1, dtype=torch.long, device=model.device), after)
        nats = torch.cat([nats, tail.nats.flatten()])
        after = tail.ends[-1]
    return nats.cpu().numpy(), after


def _lay_out(
    model: LanguageModel, ids: npt.NDArray[np.int64], before: int, lanes: int, window: int
) -> _Block:
    targets = torch.from_numpy(ids).to(model.device).view(lanes, -1)
    inputs = torch.cat([targets.new_tensor([before]), targets.flatten()[:-1]]).view(lanes, -1)
    return _Block(inputs, targets, torch.zeros(targets.shape, device=model.device), window, [])


def _rescore(model: LanguageModel, block: _Block, rows: Tensor, state: State) -> None:
    """Score the lanes `rows` (R,) from `state` until each meets what is recorded of it, if anything is."""
    first = not block.ends
    for number, span in enumerate(block.windows):
        logits, state = model(block.inputs[rows, span], state)
        block.nats[rows, span] = token_nats(logits, block.targets[rows, span])
        if first:
            block.ends.append(state)
            continue
        recorded = block.ends[number]
        going = torch.nonzero(~_same(state, _rows(recorded, rows))).flatten()
        for old, new in zip(recorded.tensors(), state.tensors(), strict=True):
            old[rows] = new
        rows, state = rows[going], _rows(state, going)
        if len(rows) == 0:
            return


def _rows(state: State, rows: Tensor) -> State:
    return state.map(lambda tensor: tensor[rows])


def _same(a: State, b: State) -> Tensor:
    """(S,) True for the lanes in which two states agree within the tolerance everywhere."""

    def close(x: Tensor, y: Tensor) -> Tensor:
        equal = torch.isclose(x, y, rtol=MEETING_TOLERANCE, atol=MEETING_TOLERANCE, equal_nan=True)
        return equal.flatten(1).all(1)

    return torch.stack(a.merge(b, close).tensors()).all(0)
