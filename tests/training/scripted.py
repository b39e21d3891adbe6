"""A tiny run whose validation scores are given."""

from dataclasses import replace

import numpy as np
import torch

from rnncli.data.batching import StreamBatches
from rnncli.metrics import Score
from rnncli.nn.config import ModelConfig
from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.training.config import TrainConfig

CPU = torch.device("cpu")
MODEL = ModelConfig(vocab_size=4, hidden_size=16, embedding_size=8, dropout=0.1)
CONFIG = TrainConfig(steps=60, batch_size=4, bptt=8, learning_rate=0.02, validations=6)
IDS = np.tile(np.array([0, 1, 2, 3, 3, 1], np.uint8), 100)
BATCHES = StreamBatches(IDS, MODEL.bos_id, 4, 8)
OPEN = replace(CONFIG, steps=None, patience=2)


class Scripted:
    """Validations with given losses, in nats; it records the weights that each of them saw."""

    def __init__(self, *nats: float) -> None:
        self.losses = iter(nats)
        self.seen: list[dict[str, torch.Tensor]] = []

    def __call__(self, model: RNNLanguageModel) -> Score:
        self.seen.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
        return Score(next(self.losses), 1, 1, 1, 1)
