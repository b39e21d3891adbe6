"""Runs and their models in a model folder: what of it is torch's.

The folder itself (storage/model_dir.py) is read without torch, which takes its time to import.
"""

import logging

import torch

from rnncli.errors import ModelError
from rnncli.nn.language_model import LanguageModel
from rnncli.storage import checkpoint
from rnncli.storage.checkpoint import as_arrays, as_tensors
from rnncli.storage.layout import Weights
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.record import Status
from rnncli.training.config import TrainConfig
from rnncli.training.step import Best, Run

_log = logging.getLogger(__name__)


def load_model(folder: ModelDir, device: torch.device) -> LanguageModel:
    """The best weights as a model; raises ModelError."""
    weights = folder.needed_weights()
    model = LanguageModel(folder.record().model)
    model.load_state_dict(as_tensors(weights.arrays))
    return model.requires_grad_(False).to(device)


def load_best(folder: ModelDir) -> Best | None:
    """The best weights as they are kept in a run; None where nothing was saved yet."""
    weights = folder.weights()
    return None if weights is None else Best(weights.score, weights.step, as_tensors(weights.arrays))


def as_weights(best: Best) -> Weights:
    return Weights(as_arrays(best.weights), best.step, best.score)


def save_run(folder: ModelDir, run: Run, status: Status, new_best: bool) -> None:
    """A checkpoint, the best weights where they are new, and how far the run came."""
    best = as_weights(run.best) if new_best and run.best is not None else None
    folder.save_checkpoint(run.step, run.seconds, status, checkpoint.packed_run(run), best)


def load_run(folder: ModelDir, training: TrainConfig, device: torch.device) -> Run:
    """The newest good checkpoint, to go on under `training`; damaged ones are logged and passed over.

    Raises ModelError when there is none.
    """
    model, kept, damaged = folder.record().model, load_best(folder), list[str]()
    for step in reversed(folder.checkpoints()):
        try:
            run = checkpoint.read_run(folder.checkpoint(step), model, training, device, kept)
        except ModelError as error:
            damaged.append(str(error))
            continue
        for message in damaged:
            _log.warning("%s; going back to step %s", message, f"{run.step:,}")
        return run
    raise ModelError(
        damaged[0] if damaged else f"{folder.path} has no checkpoint",
        hint=f"remove {folder.path} and train again",
    )
