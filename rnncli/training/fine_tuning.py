"""Fine-tuning: the weights of a pretrained model as the start of another one with its own vocabulary.

V is the size of the new vocabulary.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from rnncli.nn.config import ModelConfig
from rnncli.nn.ensemble import RNNLanguageModel

# The first axis of these weights is the vocabulary. The embedding has a last row for the BOS token.
_EMBEDDING = "embedding.weight"
_VOCABULARY_WEIGHTS = (_EMBEDDING, "output_weight", "output_bias")


def transfer_weights(
    pretrained: dict[str, Tensor], matches: npt.NDArray[np.int64], model: ModelConfig, seed: int
) -> dict[str, Tensor]:
    """Return initial weights for `model`, taken from a pretrained model with the same layers.

    Tokens that the pretrained model does not know have the rows of a newly initialized model.

    Args:
        pretrained: The state dict of the pretrained model.
        matches: For each token of the new vocabulary, (V,), its id in that of the pretrained model, or a
            negative number.
        model: The architecture of the new model.
        seed: Seed of the initialization.
    """
    weights = dict(RNNLanguageModel.initialized(model, torch.Generator().manual_seed(seed)).state_dict())
    known = torch.from_numpy(matches >= 0)
    rows = torch.from_numpy(matches)[known]
    for name, tensor in weights.items():
        if name.endswith(_VOCABULARY_WEIGHTS):
            tensor[: len(known)][known] = pretrained[name][rows]
            if name.endswith(_EMBEDDING):
                tensor[-1] = pretrained[name][-1]
        else:
            weights[name] = pretrained[name]
    return weights
