"""Vanishing gradients: the norm of a loss's gradient with respect to earlier states of a trained network.

    token      x1 ---- x2 ---- x3 ---- x4 -> loss
    state          s1      s2      s3
    distance        3       2       1        |d loss / d s|, averaged over segments

Shapes:
  N: tokens of a text
  B: segments
  T: tokens of a segment
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from rnncli.data.splits import ConcatenatedIds
from rnncli.data.tokenizers.base import Ids
from rnncli.errors import CorpusError
from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.results import GradientNorms

SEGMENTS, DISTANCES = 32, 128
# Tokens read before the first distance, so that the state is typical of the middle of a text.
_WARM_UP = 64
_MAX_FLOATS = 2**26
# A shorter segment has no gradient that could vanish.
_MIN_TOKENS = 3


def text_segments(
    ids: Ids | ConcatenatedIds, line_starts: npt.NDArray[np.integer[Any]] | None = None
) -> npt.NDArray[np.int64]:
    """Choose segments of a text to measure gradients on.

    Args:
        ids: The token ids of the text (N,).
        line_starts: The index of each line's first token if lines are independent, else None.

    Returns:
        Segments evenly distributed over the text, or the beginnings of its longest lines (B, T). The number
        of lines is the one with the most tokens in total: a single short line would shorten all others.

    Raises:
        CorpusError: The text is too short.
    """
    if line_starts is None:
        length = min(_WARM_UP + DISTANCES + 1, len(ids))
        starts = np.linspace(0, len(ids) - length, min(SEGMENTS, len(ids) - length + 1)).astype(np.int64)
    else:
        bounds = np.append(line_starts, len(ids)).astype(np.int64)
        lengths = np.diff(bounds)
        longest = np.argsort(-lengths, kind="stable")[:SEGMENTS]
        usable = np.minimum(lengths[longest], DISTANCES + 1)
        tokens = np.where(usable >= _MIN_TOKENS, usable * np.arange(1, len(usable) + 1), 0)
        lines = int(tokens.argmax()) + 1
        starts, length = bounds[longest[:lines]], int(usable[lines - 1])
    if length < _MIN_TOKENS:
        raise CorpusError(
            f"the validation split has {len(ids):,} tokens, too few for gradients through time"
            if line_starts is None
            else f"no line of the validation split has {_MIN_TOKENS} tokens, too few for gradients "
            "through time",
            hint="use a model with a longer validation split",
        )
    return ids[starts[:, None] + np.arange(length)].astype(np.int64)


def gradient_norms(model: RNNLanguageModel, tokens: npt.NDArray[np.int64]) -> GradientNorms:
    """Measure how the gradient of a loss changes with the distance in time.

    The loss is -ln p of the last token of each segment. Its gradient with respect to the state of a layer d
    steps before is a product of d Jacobians, and vanishes or explodes about geometrically with d (Bengio,
    Simard and Frasconi 1994; Pascanu, Mikolov and Bengio 2013, "On the Difficulty of Training Recurrent
    Neural Networks", equation 5). The norm is the Euclidean norm over all of a layer's state (also the
    LSTM's cell state and the QRNN's last input) in all ensemble members, averaged over segments.

    Args:
        model: The network.
        tokens: Segments of token ids (B, T); BOS is read before each of them, as in training.
    """
    # The states of all steps and their gradients are held at once; those of an attention are large.
    tokens = tokens[: max(1, _MAX_FLOATS // (DISTANCES * model.config.state_floats))]
    ids = F.pad(torch.from_numpy(tokens), (1, 0), value=model.config.bos_id).to(model.device)
    warm_up = max(0, ids.shape[1] - 1 - DISTANCES)
    with torch.no_grad():
        state = model.initial_state(len(ids))
        if warm_up:
            _, state = model.hidden(ids[:, :warm_up], state)
    state = state.map(lambda tensor: tensor.detach().requires_grad_())
    states = []
    for position in range(warm_up, ids.shape[1] - 1):
        states.append(state)
        hidden, state = model.hidden(ids[:, position : position + 1], state)
    loss = F.cross_entropy(model.logits(hidden[:, 0]).float(), ids[:, -1], reduction="sum")
    tensors = [tensor for state in states for tensor in state.tensors()]
    gradients = iter(torch.autograd.grad(loss, tensors, materialize_grads=True))
    layers = list(model.config.state_shapes)
    norms = []
    for state in states:
        by_layer = [torch.cat([next(gradients).flatten(1) for _ in layer], dim=1) for layer in state.layers]
        # In float64, since the square of 1e-20 is below the range of float32.
        norms.append(
            [
                float(torch.cat(by_layer[number :: len(layers)], dim=1).double().norm(dim=1).mean())
                for number in range(len(layers))
            ]
        )
    by_distance = zip(*reversed(norms), strict=True)
    return GradientNorms(len(ids), dict(zip(layers, by_distance, strict=True)))
