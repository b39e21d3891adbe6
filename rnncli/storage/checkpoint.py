"""A Run as tensors and facts, and back: what a checkpoint holds."""

from pathlib import Path

import torch
from torch import Tensor

from rnncli.errors import ModelError
from rnncli.model.config import ModelConfig
from rnncli.model.recurrent import State
from rnncli.storage.safe_load import DAMAGED
from rnncli.storage.tensor_file import check_tensors, read_tensors, write_tensors
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
    write_tensors(path, tensors, {name: getattr(run, name) for name in _COUNTERS})


def read_run(
    path: Path, model: ModelConfig, config: TrainConfig, device: torch.device, best: Best | None
) -> Run:
    """The run that was written; raises ModelError unless it is whole and of these shapes."""
    run = Run.new(model, config, device)
    tensors, counters = read_tensors(path)
    moments = {
        name.removeprefix(_OPTIMIZER): tensors.pop(name)
        for name in list(tensors)
        if name.startswith(_OPTIMIZER)
    }
    check_tensors(path, tensors, _own_tensors(run))
    try:
        for name in _COUNTERS:
            setattr(run, name, counters[name])
        restore_optimizer(run.optimizer, run.model, moments)
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


def _own_tensors(run: Run) -> dict[str, Tensor]:
    tensors = {f"model.{name}": tensor for name, tensor in run.model.state_dict().items()}
    for i, layer in enumerate(run.state.layers):
        for j, tensor in enumerate(layer):
            tensors[f"state.{i}.{j}"] = tensor
    tensors["rng"] = run.rng.get_state()
    return tensors
