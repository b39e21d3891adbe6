"""Tokens drawn one after another from a model, its memory carried along. Shapes: V vocabulary."""

from collections import deque
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch

from rnncli.inference.config import SamplingConfig
from rnncli.inference.sampling import forbid, sample
from rnncli.model.language_model import LanguageModel
from rnncli.model.mixture import Mixture
from rnncli.model.ngram import MOST_ORDER, Ngram
from rnncli.text.tokenizers import Ids

_PROMPT_WINDOW = 1024


@torch.inference_mode()
def generate(
    model: LanguageModel,
    prompt: Ids,
    config: SamplingConfig,
    rng: np.random.Generator,
    forbidden: Sequence[int] = (),
    beside: tuple[Ngram, Mixture] | None = None,
) -> Iterator[int]:
    """An endless stream of ids after "text begins" and the ids of `prompt` (N,).

    Drawn from the network's distribution, or, with an n-gram `beside` it, from the mixture of both.
    """
    state = model.initial_state(1)
    read = np.concatenate([[model.config.start], prompt]).astype(np.int64)
    for start in range(0, len(read), _PROMPT_WINDOW):
        tokens = torch.from_numpy(read[None, start : start + _PROMPT_WINDOW]).to(model.device)
        logits, state = model(tokens, state)
    history = deque(read.tolist(), MOST_ORDER)
    while True:
        scores = logits[0, -1].float().cpu().numpy().astype(np.float64)
        if beside is not None:
            scores = _mixed(scores, np.array(history), *beside)
        token = sample(forbid(scores, forbidden), config, rng)
        history.append(token)
        yield token
        logits, state = model(torch.tensor([[token]], device=model.device), state)


def _mixed(
    logits: npt.NDArray[np.float64], history: npt.NDArray[np.int64], ngram: Ngram, mixture: Mixture
) -> npt.NDArray[np.float64]:
    """The network's logits (V,) -> the logarithms of the mixture's probabilities (V,)."""
    logs = logits - np.logaddexp.reduce(logits)
    probabilities = np.exp(logs)
    entropy = -(probabilities * logs).sum(where=probabilities > 0.0)
    others, known = ngram.distribution(history)
    weight = float(mixture.weight(np.array([known]), np.array([entropy]))[0])
    return np.asarray(np.log(weight * probabilities + (1.0 - weight) * others))
