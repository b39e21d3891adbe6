"""How far back a loss reaches: gradients through time of a trained network. Shapes: B stretches, T time.

token    x1 ---- x2 ---- x3 ---- x4 -> loss
memory      s1      s2      s3
distance     3       2       1          |d loss / d s|, mean over the stretches
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from rnncli.data.shards import Shards
from rnncli.data.tokenizers.base import Ids
from rnncli.errors import CorpusError
from rnncli.nn.language_model import LanguageModel
from rnncli.results import GradientReach

STRETCHES, DISTANCES = 32, 128
# Read before a stretch, so that its memory is one of the middle of a text.
_WARM_UP = 64
_MOST_FLOATS = 2**26
# Below this many tokens there is no fading to speak of.
_SHORTEST = 3


def stretches(
    ids: Ids | Shards, line_starts: npt.NDArray[np.integer[Any]] | None = None
) -> npt.NDArray[np.int64]:
    """ids (N,) -> (B, T): stretches from all over the text, or beginnings of its longest lines.

    Of the lines as many are taken as give the most tokens together: one short line among long ones
    would cut all of them to its own length. Raises CorpusError where there is too little.
    """
    if line_starts is None:
        length = min(_WARM_UP + DISTANCES + 1, len(ids))
        starts = np.linspace(0, len(ids) - length, min(STRETCHES, len(ids) - length + 1)).astype(np.int64)
    else:
        bounds = np.append(line_starts, len(ids)).astype(np.int64)
        lengths = np.diff(bounds)
        longest = np.argsort(-lengths, kind="stable")[:STRETCHES]
        usable = np.minimum(lengths[longest], DISTANCES + 1)
        tokens = np.where(usable >= _SHORTEST, usable * np.arange(1, len(usable) + 1), 0)
        taken = int(tokens.argmax()) + 1
        starts, length = bounds[longest[:taken]], int(usable[taken - 1])
    if length < _SHORTEST:
        raise CorpusError(
            f"the held-out part has {len(ids):,} tokens, too few for gradients through time"
            if line_starts is None
            else f"no held-out line has {_SHORTEST} tokens, too few for gradients through time",
            hint="use a model with a longer held-out part",
        )
    return ids[starts[:, None] + np.arange(length)].astype(np.int64)


def gradient_reach(model: LanguageModel, tokens: npt.NDArray[np.int64]) -> GradientReach:
    """tokens (B, T) -> how the gradient of each stretch's last loss fades over the steps before it.

    The loss is -ln p of the last token alone. Its gradient with respect to the memory of a layer d
    steps before is a product of d Jacobians, and fades or grows about geometrically with d (Bengio,
    Simard and Frasconi 1994; Pascanu, Mikolov and Bengio 2013, equation 5). Its Euclidean norm is taken
    over all of a layer's memory, also lstm's c and qrnn's last input, in all members, and averaged over
    the stretches.

    Every stretch is led by "text begins", as texts and lines are in training.
    """
    # All memories of all steps are held, and their gradients: an attention has many.
    tokens = tokens[: max(1, _MOST_FLOATS // (DISTANCES * model.config.memory_floats))]
    ids = F.pad(torch.from_numpy(tokens), (1, 0), value=model.config.start).to(model.device)
    warm = max(0, ids.shape[1] - 1 - DISTANCES)
    with torch.no_grad():
        state = model.initial_state(len(ids))
        if warm:
            _, state = model.hidden(ids[:, :warm], state)
    state = state.map(lambda tensor: tensor.detach().requires_grad_())
    memories = []
    for position in range(warm, ids.shape[1] - 1):
        memories.append(state)
        hidden, state = model.hidden(ids[:, position : position + 1], state)
    nats = F.cross_entropy(model.logits(hidden[:, 0]).float(), ids[:, -1], reduction="sum")
    tensors = [tensor for memory in memories for tensor in memory.tensors()]
    gradients = iter(torch.autograd.grad(nats, tensors, materialize_grads=True))
    blocks = list(model.config.memories)
    by_distance = []
    for memory in memories:
        of_blocks = [torch.cat([next(gradients).flatten(1) for _ in block], dim=1) for block in memory.blocks]
        # In float64: the squares of what has faded to 1e-20 are below all that float32 can hold.
        by_distance.append(
            [
                float(torch.cat(of_blocks[place :: len(blocks)], dim=1).double().norm(dim=1).mean())
                for place in range(len(blocks))
            ]
        )
    return GradientReach(len(ids), dict(zip(blocks, zip(*reversed(by_distance), strict=True), strict=True)))
