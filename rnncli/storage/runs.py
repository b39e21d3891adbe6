"""Runs and their models in a model folder: what of it is torch's.

The folder itself (storage/model_dir.py) is read without torch, which takes its time to import.
"""

import torch

from rnncli.errors import ModelError
from rnncli.model.language_model import LanguageModel
from rnncli.storage import checkpoint
from rnncli.storage.checkpoint import as_arrays, as_tensors
from rnncli.storage.model_dir import ModelDir, Weights
from rnncli.storage.record import Status
from rnncli.training.config import TrainConfig
from rnncli.training.step import Best, Run

_KEPT_CHECKPOINTS = 2


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


def save_run(folder: ModelDir, run: Run, status: Status) -> None:
    """A checkpoint, the record of how far the run came, and older checkpoints pruned after it."""
    checkpoint.write_run(folder.checkpoint(run.step), run)
    folder.update(step=run.step, seconds=run.seconds, status=status)
    for old in folder.checkpoints()[:-_KEPT_CHECKPOINTS]:
        old.unlink(missing_ok=True)


def load_run(folder: ModelDir, training: TrainConfig, device: torch.device) -> Run:
    """The newest checkpoint, to go on under `training`; raises ModelError when there is none."""
    found = folder.checkpoints()
    if not found:
        raise ModelError(
            f"{folder.path} has no checkpoint: it stopped before the first one",
            hint=f"remove the folder {folder.path} and train again",
        )
    return checkpoint.read_run(found[-1], folder.record().model, training, device, load_best(folder))
