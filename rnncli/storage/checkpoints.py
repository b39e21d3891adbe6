"""Checkpoints: a TrainState as tensors and JSON metadata, and models as torch modules.

The rest of a model directory (storage/model_dir.py) is read without torch, which takes long to import.
"""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnncli import files
from rnncli.errors import ModelError
from rnncli.metrics import Score
from rnncli.nn.config import ModelConfig
from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.nn.rnn import State
from rnncli.storage.layout import Weights
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.record import Status
from rnncli.storage.safetensors_file import AnyArray, check_arrays, read_arrays, serialize_arrays
from rnncli.storage.untrusted import DAMAGED_HINT, read_config
from rnncli.training.config import TrainConfig
from rnncli.training.optimizer import MOMENTS
from rnncli.training.state import BestWeights, TrainState, weights_of

_log = logging.getLogger(__name__)

_COUNTERS = tuple(entry.name for entry in fields(TrainState) if type(entry.default) in (int, float))
_OPTIMIZER = "optimizer."


def serialize_state(state: TrainState) -> bytes:
    """Return the content of a checkpoint: weights, optimizer, hidden state, random state and counters.

    The best weights are saved in model.safetensors, unless they are those of this step; a checkpoint only
    names their step.
    """
    tensors = _own_tensors(state)
    for name, tensor in state.optimizer.tensors().items():
        tensors[_OPTIMIZER + name] = tensor
    best = state.best and {"step": state.best.step, "score": state.best.score and asdict(state.best.score)}
    return serialize_arrays(
        as_arrays(tensors), {**{name: getattr(state, name) for name in _COUNTERS}, "best": best}
    )


def read_state(
    path: Path, model: ModelConfig, config: TrainConfig, device: torch.device, *, saved: BestWeights | None
) -> TrainState:
    """Read a checkpoint.

    Args:
        path: A verified checkpoint file.
        model: Configuration of the model.
        config: Configuration of the training.
        device: Device of the state.
        saved: Best weights in model.safetensors. A kill between the two writes leaves older ones; then the
            best weights are those of the checkpoint.

    Raises:
        ModelError: The file is incomplete or has other shapes.
    """
    arrays, counters = read_arrays(path)
    _check_size(path, arrays, model, config)
    state = TrainState.new(model, config, device)
    moments = {
        name.removeprefix(_OPTIMIZER): arrays.pop(name)
        for name in list(arrays)
        if name.startswith(_OPTIMIZER)
    }
    like = {name: (array.dtype, array.shape) for name, array in as_arrays(_own_tensors(state)).items()}
    check_arrays(path, arrays, like)
    tensors = as_tensors(arrays)
    if moments:
        check_arrays(path, moments, _moments_like(state))
    try:
        files.check_types(TrainState, {name: counters[name] for name in _COUNTERS})
        if counters["step"] < 0:
            raise ValueError(f"its step is {counters['step']}")
        for name in _COUNTERS:
            setattr(state, name, counters[name])
        state.optimizer.restore(as_tensors(moments))
        state.rng.set_state(tensors["rng"])
    except KeyError as error:
        raise ModelError(f"{path} lacks {error}", hint=DAMAGED_HINT) from error
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: {error}", hint=DAMAGED_HINT) from error
    state.model.load_state_dict({name: tensors[f"model.{name}"] for name in state.model.state_dict()})
    state.hidden_state = State(
        tuple(
            tuple(tensors[f"state.{i}.{j}"].to(device) for j in range(len(layer)))
            for i, layer in enumerate(state.hidden_state.layers)
        )
    )
    state.best = _best(path, state, counters.get("best"), saved)
    return state


def _check_size(path: Path, arrays: Mapping[str, AnyArray], model: ModelConfig, config: TrainConfig) -> None:
    """Compare sizes before anything of that size is built: config.json may be untrusted."""
    sizes = {"model.": model.parameters, "state.": model.state_floats * config.batch_size}
    for beginning, size in sizes.items():
        if sum(array.size for name, array in arrays.items() if name.startswith(beginning)) != size:
            raise ModelError(
                f"{path} does not have the shape in config.json: {beginning}*", hint=DAMAGED_HINT
            )


def _moments_like(state: TrainState) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
    """Return types and shapes of the optimizer state for every weight."""
    real = np.dtype(np.float32)
    return {
        f"{moment}.{name}": (real, () if moment == "step" else tuple(parameter.shape))
        for name, parameter in state.model.named_parameters()
        for moment in MOMENTS
    }


def _best(path: Path, state: TrainState, known: Any, saved: BestWeights | None) -> BestWeights | None:
    if known is None:
        return saved
    if not isinstance(known, dict):
        raise ModelError(f"{path}: best is not a JSON object", hint=DAMAGED_HINT)
    if saved is not None and saved.step == known.get("step"):
        return saved
    score = None if known.get("score") is None else read_config(Score, known["score"], f"{path}: best")
    if known.get("step") == state.step:
        return BestWeights(score, state.step, weights_of(state.model))
    if saved is None:
        raise ModelError(
            f"{path}: the best weights, of step {known.get('step')}, are missing", hint=DAMAGED_HINT
        )
    return saved


def as_arrays(tensors: Mapping[str, Tensor]) -> dict[str, AnyArray]:
    """Return tensors as arrays; those on the CPU share their memory."""
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def as_tensors(arrays: Mapping[str, AnyArray]) -> dict[str, Tensor]:
    """Return arrays as tensors that share their memory."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _own_tensors(state: TrainState) -> dict[str, Tensor]:
    tensors = {f"model.{name}": tensor for name, tensor in state.model.state_dict().items()}
    for i, layer in enumerate(state.hidden_state.layers):
        for j, tensor in enumerate(layer):
            tensors[f"state.{i}.{j}"] = tensor
    tensors["rng"] = state.rng.get_state()
    return tensors


def load_model(model_dir: ModelDir, device: torch.device) -> RNNLanguageModel:
    """Load the best weights as a torch module; raise ModelError if there are none."""
    weights = model_dir.require_weights()
    model = RNNLanguageModel(model_dir.record().model)
    model.load_state_dict(as_tensors(weights.arrays))
    return model.requires_grad_(False).to(device)


def load_best(model_dir: ModelDir) -> BestWeights | None:
    """Return the best weights as a TrainState holds them; None if none have been saved."""
    weights = model_dir.weights()
    return None if weights is None else BestWeights(weights.score, weights.step, as_tensors(weights.arrays))


def to_weights(best: BestWeights) -> Weights:
    """Return best weights as model.safetensors holds them."""
    return Weights(as_arrays(best.weights), best.step, best.score)


@dataclass(frozen=True)
class CheckpointWriter:
    """Saves a training into its model directory."""

    model_dir: ModelDir

    def save(self, state: TrainState, status: Status, *, new_best: bool) -> None:
        """Save a checkpoint and the progress, and the best weights if they are new; raise StorageError."""
        best = to_weights(state.best) if new_best and state.best is not None else None
        self.model_dir.save_checkpoint(
            step=state.step,
            seconds=state.seconds,
            status=status,
            state=serialize_state(state),
            best=best,
        )


def load_state(model_dir: ModelDir, training: TrainConfig, device: torch.device) -> TrainState:
    """Read the newest intact checkpoint; damaged ones are logged and skipped.

    Raises:
        ModelError: There is no intact checkpoint.
    """
    model, best, damaged = model_dir.record().model, load_best(model_dir), list[str]()
    for step in reversed(model_dir.checkpoints()):
        try:
            state = read_state(model_dir.checkpoint(step), model, training, device, saved=best)
        except ModelError as error:
            damaged.append(str(error))
            continue
        for message in damaged:
            _log.warning("%s; going back to step %s", message, f"{state.step:,}")
        return state
    raise ModelError(
        damaged[0] if damaged else f"{model_dir.path} has no checkpoint",
        hint=f"remove {model_dir.path} and train again",
    )
