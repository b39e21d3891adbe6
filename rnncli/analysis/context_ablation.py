"""Context ablation: the loss of a network that sees only the last k tokens.

Source: Khandelwal et al. 2018, "Sharp Nearby, Fuzzy Far Away: How Neural Language Models Use Context".

Shapes:
  N: tokens of a text
  B: scored tokens
  T: time steps
"""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from rnncli.data.splits import ConcatenatedIds
from rnncli.data.tokenizers.base import Ids
from rnncli.errors import CorpusError
from rnncli.evaluation.scoring import SEGMENT_STEPS
from rnncli.nn.cell_registry import CELLS
from rnncli.nn.ensemble import RNNLanguageModel

CONTEXT_LENGTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
_SCORED_TOKENS = 512
_MAX_FLOATS = 2**26


@torch.inference_mode()
def loss_by_context_length(model: RNNLanguageModel, ids: Ids | ConcatenatedIds) -> dict[int, float]:
    """Measure the loss as a function of context length.

    The same tokens, evenly distributed over the text, are scored at every context length; the state is the
    initial one k tokens before each of them. A network trained with long histories may do worse on short
    contexts than one trained on these, so the curve shows how much context this network uses, not how much
    context is worth in general.

    Args:
        model: The network.
        ids: The token ids of a text (N,).

    Returns:
        The mean -ln p of a token for each context length k.

    Raises:
        CorpusError: The text is too short.
    """
    lengths = [k for k in CONTEXT_LENGTHS if 2 * k <= len(ids)]
    if not lengths:
        raise CorpusError(
            f"the validation split has {len(ids):,} tokens, too few for context ablation",
            hint="use a model with a longer validation split",
        )
    longest = lengths[-1]
    positions = np.unique(np.linspace(longest, len(ids) - 1, _SCORED_TOKENS).astype(np.int64))
    rows = torch.from_numpy(_contexts(ids, positions, longest)).to(model.device)
    batches = torch.split(rows, _batch_size(model))
    return {
        k: float(torch.cat([_nll_of_last(model, batch[:, longest - k :]) for batch in batches]).mean())
        for k in lengths
    }


def _nll_of_last(model: RNNLanguageModel, rows: Tensor) -> Tensor:
    """-ln p (B,) of the last token of each row (B, T), from the initial state before the first."""
    state = model.initial_state(len(rows))
    for segment in torch.split(rows[:, :-1], SEGMENT_STEPS, 1):
        hidden, state = model.hidden(segment, state)
    return F.cross_entropy(model.logits(hidden[:, -1]).float(), rows[:, -1], reduction="none")


def _batch_size(model: RNNLanguageModel) -> int:
    """How many rows fit into memory, with the gates of one segment and the states."""
    config = model.config
    most_gates = max(cell.gates for cell in CELLS.values())
    gates = config.ensemble_size * config.num_layers * most_gates * config.hidden_size
    return max(1, _MAX_FLOATS // (SEGMENT_STEPS * gates + 4 * config.state_floats))


def _contexts(
    ids: Ids | ConcatenatedIds, positions: npt.NDArray[np.int64], length: int
) -> npt.NDArray[np.int64]:
    """The tokens at some positions (B,), each after its context (B, length + 1)."""
    rows = [ids[position - length : position + 1] for position in positions.tolist()]
    return np.stack(rows).astype(np.int64)
