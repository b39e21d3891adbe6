"""A Run as tensors and facts, and back: what a checkpoint holds."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from rnncli.errors import ModelError
from rnncli.model.config import ModelConfig
from rnncli.model.recurrent import State
from rnncli.storage.array_file import Array, check_arrays, read_arrays, write_arrays
from rnncli.storage.safe_load import DAMAGED
from rnncli.training.config import TrainConfig
from rnncli.training.optimizer import optimizer_tensors, restore_optimizer
from rnncli.training.step import Best, Run

_COUNTERS = (
    *("step", "seconds", "first_step_seconds", "validations", "validated_step", "validations_since_best"),
    *("skipped_steps", "skipped_in_a_row", "rate_factor", "lowered_at_step", "warm_from"),
)
_OPTIMIZER = "optimizer."


def write_run(path: Path, run: Run) -> None:
    """Weights, optimizer, memory, random state and counters; the best weights are kept elsewhere."""
    tensors = _own_tensors(run)
    for name, tensor in optimizer_tensors(run.optimizer, run.model).items():
        tensors[_OPTIMIZER + name] = tensor
    write_arrays(path, as_arrays(tensors), {name: getattr(run, name) for name in _COUNTERS})


def read_run(
    path: Path, model: ModelConfig, config: TrainConfig, device: torch.device, best: Best | None
) -> Run:
    """The run that was written; raises ModelError unless it is whole and of these shapes."""
    run = Run.new(model, config, device)
    arrays, counters = read_arrays(path)
    moments = {
        name.removeprefix(_OPTIMIZER): arrays.pop(name)
        for name in list(arrays)
        if name.startswith(_OPTIMIZER)
    }
    like = {name: (array.dtype, array.shape) for name, array in as_arrays(_own_tensors(run)).items()}
    check_arrays(path, arrays, like)
    tensors = as_tensors(arrays)
    try:
        for name in _COUNTERS:
            setattr(run, name, counters[name])
        restore_optimizer(run.optimizer, run.model, as_tensors(moments))
    except KeyError as error:
        raise ModelError(f"{path} lacks {error}", hint=DAMAGED) from error
    run.model.load_state_dict({name: tensors[f"model.{name}"] for name in run.model.state_dict()})
    run.state = State(
        tuple(
            tuple(tensors[f"state.{i}.{j}"].to(device) for j in range(len(layer)))
            for i, layer in enumerate(run.state.layers)
        )
    )
    run.rng.set_state(tensors["rng"])
    run.best = best
    return run


def as_arrays(tensors: Mapping[str, Tensor]) -> dict[str, Array]:
    """The same memory, where it is the processor's."""
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def as_tensors(arrays: Mapping[str, Array]) -> dict[str, Tensor]:
    """The same memory."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _own_tensors(run: Run) -> dict[str, Tensor]:
    tensors = {f"model.{name}": tensor for name, tensor in run.model.state_dict().items()}
    for i, layer in enumerate(run.state.layers):
        for j, tensor in enumerate(layer):
            tensors[f"state.{i}.{j}"] = tensor
    tensors["rng"] = run.rng.get_state()
    return tensors
