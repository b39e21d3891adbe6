"""From `rnncli train --resume` to a run that goes on where it was."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic

import torch

from rnncli.cli import corpora
from rnncli.cli.parsing import Amount
from rnncli.cli.training_session import Session, windows_of
from rnncli.data.dataset import TokenStore
from rnncli.errors import ConfigError, TrainingError
from rnncli.storage.lock import held
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.runs import load_run
from rnncli.training import cost_model, hardware
from rnncli.training.backends import check_on, usable_settings
from rnncli.training.config import TrainConfig
from rnncli.training.cost_model import CorpusSize
from rnncli.training.step import Run
from rnncli.training.throughput import measure_on
from rnncli.training.trainer import resume_with

_log = logging.getLogger(__name__)


@contextmanager
def resumed(
    name: str, budget: Mapping[str, Amount | None], device: torch.device, began: float
) -> Iterator[Session]:
    """Go on where a run stopped; only its budget may change: `budget` has seconds, epochs and steps.

    What it logged or left behind after its newest good checkpoint is taken back. Its folder is ours to the
    end of the block. `began` is when its time goes on.
    """
    folder = ModelDir.find(name)
    with held(folder.path):
        yield _resume(folder, budget, device, began)


def _resume(
    folder: ModelDir, budget: Mapping[str, Amount | None], device: torch.device, began: float
) -> Session:
    record, store = folder.record(), folder.corpus()
    corpora.warn_of_changes(store, str(folder.path))
    run = load_run(folder, record.training, device)
    training = _with_budget(run, record.training, budget, store)
    steps_left = training.steps is None or run.step < training.steps
    seconds_left = training.seconds is None or run.seconds < training.seconds
    over = training == record.training or not (steps_left and seconds_left)
    lost = run.step < record.step  # the checkpoint of its end is damaged
    if record.status == "finished" and over and not lost:
        raise TrainingError(
            f"{folder.path.name} is finished: {run.step:,} steps, {run.seconds:.0f} s",
            hint="give it more, for example --time +10m or --epochs +20",
        )
    folder.forget_after(run.step)
    _log.info("%s goes on from step %s after %.0f s", folder.path, f"{run.step:,}", run.seconds)
    changed, check = training != record.training, check_on(device)
    training, dropped = usable_settings(check, record.model, training)
    now = f"{training.precision} with {training.kernels} kernels from now on"
    reasons = [f"{now}, not {gone}" for gone in dropped]
    size = CorpusSize.of(store)
    measure = hardware.for_lines(measure_on(check), size)
    speed = measure(record.model, training, hardware.COUNTED_PROBE_SECONDS)
    each = cost_model.validation_seconds(training, size, speed)
    reserve = cost_model.ngram_seconds(training, size, record.ngram_order, speed)
    began -= run.seconds
    run.seconds = monotonic() - began
    if changed:
        resume_with(run, training, each + reserve)
    planned = cost_model.predict(
        size,
        record.model,
        training,
        device.type,
        speed,
        run.seconds,
        run.step,
        reserve,
        tuple(reasons),
        tuple(map(str, dropped)),
    )
    return Session(folder, run, store, training, planned, each, reserve, began, saved=False)


def _with_budget(
    run: Run, training: TrainConfig, budget: Mapping[str, Amount | None], store: TokenStore
) -> TrainConfig:
    """`training` with the budget that is given, as totals; as it is where none is."""
    given = {unit: amount for unit, amount in budget.items() if amount is not None}
    if not given:
        return training
    if "epochs" in given:
        if "steps" in given:
            raise ConfigError("both --steps and --epochs are given", hint="give one of them")
        windows, epochs = windows_of(store, run.model.config, training).windows_per_epoch, given["epochs"]
        given["steps"] = replace(epochs, value=max(1.0, epochs.value * windows))
    seconds, steps = given.get("seconds"), given.get("steps")
    return replace(
        training,
        seconds=None if seconds is None else seconds.total(run.seconds),
        steps=None if steps is None else round(steps.total(run.step)),
    )
