"""Weights of one model as the beginning of another's. V is the size of its vocabulary."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rnncli.nn.config import ModelConfig
from rnncli.nn.language_model import LanguageModel

# The first axis of these is the vocabulary; the embedding has "text begins" after it.
_EMBEDDING = "embedding.weight"
_OF_SYMBOLS = (_EMBEDDING, "output_weight", "output_bias")


def transferred(
    weights: dict[str, Tensor], matches: npt.NDArray[np.int64], model: ModelConfig, seed: int
) -> dict[str, Tensor]:
    """Weights for `model`, which has the layers that `weights` come from and a vocabulary of its own.

    `matches` (V,) says which row of old is a symbol's, or is negative: new symbols have the rows of
    a fresh model. "Text begins" keeps its row.
    """
    fresh = LanguageModel.initialized(model, torch.Generator().manual_seed(seed)).state_dict()
    known = torch.from_numpy(matches >= 0)
    rows = torch.from_numpy(matches)[known]
    begun = {}
    for name, tensor in fresh.items():
        if name.endswith(_OF_SYMBOLS):
            tensor[: len(known)][known] = weights[name][rows]
            if name.endswith(_EMBEDDING):
                tensor[-1] = weights[name][-1]
            begun[name] = tensor
        else:
            begun[name] = weights[name]
    return begun
