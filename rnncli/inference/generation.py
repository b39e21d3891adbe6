"""Tokens drawn one after another from a model, its memory carried along."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from rnncli.inference.config import SamplingConfig
from rnncli.inference.sampling import forbid, sample
from rnncli.model.language_model import LanguageModel
from rnncli.text.tokenizers import Ids

_PROMPT_WINDOW = 1024


@torch.inference_mode()
def generate(
    model: LanguageModel,
    prompt: Ids,
    config: SamplingConfig,
    rng: np.random.Generator,
    forbidden: Sequence[int] = (),
) -> Iterator[int]:
    """An endless stream of ids after "text begins" and the ids of `prompt` (N,)."""
    state = model.initial_state(1)
    read = np.concatenate([[model.config.start], prompt]).astype(np.int64)
    for start in range(0, len(read), _PROMPT_WINDOW):
        tokens = torch.from_numpy(read[None, start : start + _PROMPT_WINDOW]).to(model.device)
        logits, state = model(tokens, state)
    while True:
        token = sample(forbid(logits[0, -1].float().cpu().numpy().astype(np.float64), forbidden), config, rng)
        yield token
        logits, state = model(torch.tensor([[token]], device=model.device), state)
