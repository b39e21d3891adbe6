"""Resuming a training: from its newest checkpoint to the end of its budget, or of a larger one."""

import logging
from collections.abc import Callable, Generator
from dataclasses import replace
from time import monotonic

import torch

from rnncli.data.dataset import TokenDataset
from rnncli.errors import TrainingError
from rnncli.events import Event
from rnncli.files import locked
from rnncli.options import build
from rnncli.storage.checkpoints import load_state
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.tensorboard import writer_type
from rnncli.training import cost_model
from rnncli.training.backends import check_on, usable_settings
from rnncli.training.budget import Budget
from rnncli.training.config import BudgetOptions, TrainConfig
from rnncli.training.cost_model import CorpusSize
from rnncli.training.hardware import QUICK_BENCHMARK_SECONDS, for_lines
from rnncli.training.state import TrainState
from rnncli.training.throughput import throughput_benchmark
from rnncli.workflows.devices import pick_device
from rnncli.workflows.texts import warn_of_changes
from rnncli.workflows.train import raise_if_interrupted, watch_events
from rnncli.workflows.training_session import (
    UNWATCHED,
    Session,
    TrainResult,
    Watch,
    batches_of,
    interrupt_requests,
    run_session,
)

_log = logging.getLogger(__name__)


def resume(
    name: str,
    *,
    time: str | float | None = None,
    epochs: str | float | None = None,
    steps: str | int | None = None,
    device: str = "auto",
    tensorboard: bool = False,
    on_event: Callable[[Event], None] | None = None,
) -> TrainResult:
    """Resume a training, as `rnncli train --resume` does.

    Args:
        name: Name or path of the model.
        time: New total time, such as "20m"; "+10m" adds to what it has used.
        epochs: New number of epochs, or "+3".
        steps: New number of steps, or "+2000".
        device: "auto", "cpu", "cuda" or "mps".
        tensorboard: Whether to write event files for TensorBoard.
        on_event: Called with every event. If it raises, the run is saved and the exception is passed on.

    Raises:
        ModelError: There is no such model, or it is damaged.
        TrainingError: It is finished, and no budget is left.
        KeyboardInterrupt: Ctrl-C was pressed; the run is saved first.
    """
    began = monotonic()
    budget = build(BudgetOptions, {"time": time, "epochs": epochs, "steps": steps})
    watch = Watch(requests=interrupt_requests, tensorboard=tensorboard)
    events = resume_events(name, budget, pick_device(device), watch=watch, began=began)
    return raise_if_interrupted(watch_events(events, on_event))


def resume_events(
    name: str,
    budget: BudgetOptions,
    device: torch.device,
    *,
    watch: Watch = UNWATCHED,
    began: float | None = None,
) -> Generator[Event, None, TrainResult]:
    """Resume a training, and yield events; the model directory is locked until the end.

    What it logged or saved after its newest intact checkpoint is discarded.

    Args:
        name: Name or path of the model.
        budget: The new time, epochs or steps, if any.
        device: Where to train.
        watch: How the training is watched.
        began: Instant at which its time goes on (time.monotonic).
    """
    if watch.tensorboard:
        writer_type()  # refused before anything is read
    model_dir = ModelDir.find(name)
    with locked(model_dir.path):
        session = _prepare(model_dir, budget, device, monotonic() if began is None else began)
        return (yield from run_session(session, watch))


def _prepare(model_dir: ModelDir, budget: BudgetOptions, device: torch.device, began: float) -> Session:
    record, dataset = model_dir.record(), model_dir.corpus()
    warn_of_changes(dataset, str(model_dir.path))
    state = load_state(model_dir, record.training, device)
    config = _with_budget(state, record.training, budget, dataset)
    steps_left = config.steps is None or state.step < config.steps
    seconds_left = config.seconds is None or state.seconds < config.seconds
    over = config == record.training or not (steps_left and seconds_left)
    lost = state.step < record.step  # its last checkpoint is damaged
    if record.status == "finished" and over and not lost:
        raise TrainingError(
            f"{model_dir.path.name} is finished: {state.step:,} steps, {state.seconds:.0f} s",
            hint="give it more, for example --time +10m or --epochs +20",
        )
    model_dir.discard_after(state.step)
    _log.info("%s goes on from step %s after %.0f s", model_dir.path, f"{state.step:,}", state.seconds)
    changed, check = config != record.training, check_on(device)
    config, unusable = usable_settings(check, record.model, config)
    now = f"{config.precision} with {config.kernels} kernels from now on"
    size = CorpusSize.of(dataset)
    benchmark = for_lines(throughput_benchmark(check), size)
    speed = benchmark(record.model, config, QUICK_BENCHMARK_SECONDS)
    validation_seconds = cost_model.validation_seconds(config, size, speed)
    ngram_seconds = cost_model.ngram_seconds(config, size, record.ngram_order, speed)
    began -= state.seconds
    state.seconds = monotonic() - began
    if changed:
        state.extend(Budget.of(config, reserve_seconds=validation_seconds + ngram_seconds))
    planned = cost_model.predict(
        size,
        record.model,
        config,
        device.type,
        tokens_per_second=speed,
        used_seconds=state.seconds,
        done_steps=state.step,
        reserve_seconds=ngram_seconds,
        reasons=tuple(f"{now}, not {gone}" for gone in unusable),
        unusable=tuple(map(str, unusable)),
    )
    return Session(
        model_dir=model_dir,
        state=state,
        dataset=dataset,
        config=config,
        planned=planned,
        validation_seconds=validation_seconds,
        ngram_seconds=ngram_seconds,
        began=began,
        saved=False,
    )


def _with_budget(
    state: TrainState, config: TrainConfig, budget: BudgetOptions, dataset: TokenDataset
) -> TrainConfig:
    """Return the configuration with the budget that is given, as totals; unchanged if none is."""
    time, epochs, steps = budget.time_amount, budget.epochs_amount, budget.steps_amount
    if time is epochs is steps is None:
        return config
    if epochs is not None:
        per_epoch = batches_of(dataset, state.model.config, config).batches_per_epoch
        steps = replace(epochs, value=max(1.0, epochs.value * per_epoch))
    return replace(
        config,
        seconds=None if time is None else time.total(state.seconds),
        steps=None if steps is None else round(steps.total(state.step)),
    )
