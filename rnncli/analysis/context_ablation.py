"""How much a model makes of a long history: its loss from the last k tokens. Shapes: B places, T time."""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from rnncli.data.shards import Shards
from rnncli.data.tokenizers.base import Ids
from rnncli.errors import CorpusError
from rnncli.evaluation.scoring import WINDOW
from rnncli.nn.config import GATES
from rnncli.nn.language_model import LanguageModel

HISTORIES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
PLACES = 512
_MOST_FLOATS = 2**26


@torch.inference_mode()
def memory_reach(model: LanguageModel, ids: Ids | Shards) -> dict[int, float]:
    """ids (N,) -> by k the mean -ln p of PLACES tokens from all over, each from an empty memory k before it.

    What was learned with long histories may do better from a little of one than a model that never saw
    more: it is a look at what this one has use for. The same tokens are predicted at every k. (Khandelwal et
    al. 2018, Sharp nearby, fuzzy far away, cut the history the same way.) Raises CorpusError for too few ids.
    """
    histories = [k for k in HISTORIES if 2 * k <= len(ids)]
    if not histories:
        raise CorpusError(
            f"the held-out part has {len(ids):,} tokens, too few to cut a history",
            hint="use a model with a longer held-out part",
        )
    longest = histories[-1]
    places = np.unique(np.linspace(longest, len(ids) - 1, PLACES).astype(np.int64))
    rows = torch.from_numpy(_stretches(ids, places, longest)).to(model.device)
    found = {}
    for k in histories:
        nats = [_nats(model, some[:, longest - k :]) for some in torch.split(rows, _rows_at_once(model))]
        found[k] = float(torch.cat(nats).mean())
    return found


def _nats(model: LanguageModel, rows: Tensor) -> Tensor:
    """-ln p of the last token of each row (B,), from an empty memory before the first."""
    state = model.initial_state(len(rows))
    for window in torch.split(rows[:, :-1], WINDOW, 1):
        hidden, state = model.hidden(window, state)
    return F.cross_entropy(model.logits(hidden[:, -1]).float(), rows[:, -1], reduction="none")


def _rows_at_once(model: LanguageModel) -> int:
    """As many as a window's gates and memories leave room for."""
    config = model.config
    gates = config.members * config.num_layers * max(GATES.values()) * config.hidden_size
    return max(1, _MOST_FLOATS // (WINDOW * gates + 4 * config.memory_floats))


def _stretches(ids: Ids | Shards, places: npt.NDArray[np.int64], before: int) -> npt.NDArray[np.int64]:
    """(B, before + 1): each place's token, and those before it."""
    return np.stack([ids[place - before : place + 1] for place in places.tolist()]).astype(np.int64)
