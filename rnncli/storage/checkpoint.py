"""A Run as tensors and facts, and back: what a checkpoint holds."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rnncli import strict
from rnncli.errors import ModelError
from rnncli.nn.config import ModelConfig
from rnncli.nn.state import State
from rnncli.results import Score
from rnncli.storage.array_file import Array, check_arrays, packed, read_arrays
from rnncli.storage.safe_load import DAMAGED, read_config
from rnncli.training.config import TrainConfig
from rnncli.training.optimizer import MOMENTS
from rnncli.training.step import Best, Run, weights_of

_COUNTERS = tuple(entry.name for entry in fields(Run) if type(entry.default) in (int, float))
_OPTIMIZER = "optimizer."


def packed_run(run: Run) -> bytes:
    """Weights, optimizer, memory, random state, counters, and which weights are the best.

    The best weights themselves are kept elsewhere, unless they are those of this very step.
    """
    tensors = _own_tensors(run)
    for name, tensor in run.optimizer.tensors().items():
        tensors[_OPTIMIZER + name] = tensor
    best = run.best and {"step": run.best.step, "score": run.best.score and asdict(run.best.score)}
    return packed(as_arrays(tensors), {**{name: getattr(run, name) for name in _COUNTERS}, "best": best})


def read_run(
    path: Path, model: ModelConfig, config: TrainConfig, device: torch.device, kept: Best | None
) -> Run:
    """The run that was written; raises ModelError unless it is whole and of these shapes.

    `kept` are the best weights that lie beside it. A kill between the two writes leaves those before: then
    the best are its own.
    """
    arrays, counters = read_arrays(path)
    _check_size(path, arrays, model, config)
    run = Run.new(model, config, device)
    moments = {
        name.removeprefix(_OPTIMIZER): arrays.pop(name)
        for name in list(arrays)
        if name.startswith(_OPTIMIZER)
    }
    like = {name: (array.dtype, array.shape) for name, array in as_arrays(_own_tensors(run)).items()}
    check_arrays(path, arrays, like)
    tensors = as_tensors(arrays)
    if moments:
        check_arrays(path, moments, _moments_like(run))
    try:
        strict.check_types(Run, {name: counters[name] for name in _COUNTERS})
        if counters["step"] < 0:
            raise ValueError(f"its step is {counters['step']}")
        for name in _COUNTERS:
            setattr(run, name, counters[name])
        run.optimizer.restore(as_tensors(moments))
        run.rng.set_state(tensors["rng"])
    except KeyError as error:
        raise ModelError(f"{path} lacks {error}", hint=DAMAGED) from error
    except (ValueError, RuntimeError) as error:
        raise ModelError(f"{path}: {error}", hint=DAMAGED) from error
    run.model.load_state_dict({name: tensors[f"model.{name}"] for name in run.model.state_dict()})
    run.state = State(
        tuple(
            tuple(tensors[f"state.{i}.{j}"].to(device) for j in range(len(layer)))
            for i, layer in enumerate(run.state.blocks)
        )
    )
    run.best = _best(path, run, counters.get("best"), kept)
    return run


def _check_size(path: Path, arrays: Mapping[str, Array], model: ModelConfig, config: TrainConfig) -> None:
    """Before anything of that size is built: the record may be a stranger's."""
    sizes = {"model.": model.parameters, "state.": model.memory_floats * config.batch_size}
    for beginning, size in sizes.items():
        if sum(array.size for name, array in arrays.items() if name.startswith(beginning)) != size:
            raise ModelError(f"{path} is not of the shape that config.json names: {beginning}*", hint=DAMAGED)


def _moments_like(run: Run) -> dict[str, tuple[np.dtype[Any], tuple[int, ...]]]:
    """What Adam keeps of every weight."""
    real = np.dtype(np.float32)
    return {
        f"{moment}.{name}": (real, () if moment == "step" else tuple(parameter.shape))
        for name, parameter in run.model.named_parameters()
        for moment in MOMENTS
    }


def _best(path: Path, run: Run, known: Any, kept: Best | None) -> Best | None:
    if known is None:
        return kept
    if not isinstance(known, dict):
        raise ModelError(f"{path}: best is no JSON object", hint=DAMAGED)
    if kept is not None and kept.step == known.get("step"):
        return kept
    score = None if known.get("score") is None else read_config(Score, known["score"], f"{path}: best")
    if known.get("step") == run.step:
        return Best(score, run.step, weights_of(run.model))
    if kept is None:
        raise ModelError(f"{path}: the best weights, of step {known.get('step')}, are gone", hint=DAMAGED)
    return kept


def as_arrays(tensors: Mapping[str, Tensor]) -> dict[str, Array]:
    """The same memory, where it is the processor's."""
    return {name: tensor.detach().cpu().numpy() for name, tensor in tensors.items()}


def as_tensors(arrays: Mapping[str, Array]) -> dict[str, Tensor]:
    """The same memory."""
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def _own_tensors(run: Run) -> dict[str, Tensor]:
    tensors = {f"model.{name}": tensor for name, tensor in run.model.state_dict().items()}
    for i, layer in enumerate(run.state.blocks):
        for j, tensor in enumerate(layer):
            tensors[f"state.{i}.{j}"] = tensor
    tensors["rng"] = run.rng.get_state()
    return tensors
