"""From the options of `rnncli train` to a model in models/: begin or resume, then carry out."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from time import monotonic
from typing import Any

import torch

from rnncli.cli import corpora, writing
from rnncli.cli.device import memory_bytes
from rnncli.cli.stopping import stop_requests
from rnncli.console.training_view import View
from rnncli.errors import ConfigError, StorageError, TrainingError
from rnncli.inference.evaluation import estimate
from rnncli.model.config import ModelConfig
from rnncli.model.language_model import LanguageModel
from rnncli.reports import Evaluated, Noted, Planned, Sampled, Saved, Score, Stepped
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.record import checked_name, free_name
from rnncli.text import reading
from rnncli.text.lanes import Lanes
from rnncli.text.reading import Text
from rnncli.text.store import TokenStore, refuse_short
from rnncli.text.tokenizers import natural_level
from rnncli.training import forecast, plan, probe
from rnncli.training.config import TrainConfig
from rnncli.training.loop import Best, Run, train, weights_of

# Often enough for a curve, seldom enough for a small file.
_METRICS_SECONDS = 5.0
_SETTLED_BY_A_STORE = ("level", "vocab_size", "subword_kind", "valid_fraction", "encoding")
_BUDGET_SETTINGS = {"seconds", "steps"}


@dataclass(frozen=True)
class Source:
    """The text that a person named, and what was said of how to cut it; the text decides the rest."""

    paths: tuple[str, ...]
    encoding: str | None
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Session:
    """A run and everything it needs around it."""

    folder: ModelDir
    run: Run
    store: TokenStore
    training: TrainConfig
    planned: Planned
    validation_seconds: float


@dataclass(frozen=True)
class Outcome:
    """What came of a session; `signal` is the number of the one that ended it, or 0."""

    saved: Saved
    score: Score | None
    signal: int


def begin(
    source: Source, name: str | None, wishes: plan.Wishes, device: torch.device, view: View, began: float
) -> Session:
    """Read, plan, and write the record of the run; `began` is when its time started to count."""

    def note(message: str) -> None:
        view.show(Noted(message))

    if name is not None:
        ModelDir.refuse_taken(checked_name(name))  # before the work, not after it
    given = _open_or_read(source)
    measure = partial(_measure, device)
    machine = plan.measure_machine(measure, wishes, device.type, memory_bytes(device))
    reasons: list[str] = []
    if isinstance(given, Text):
        natural = natural_level(given.content)
        if source.settings.get("level") is None:
            natural, reasons = plan.affordable_level(natural, len(given.content), wishes, machine)
        store = corpora.build(given, corpora.text_config(natural, source.settings), note)
    else:
        store = given
    used_seconds = monotonic() - began
    chosen = plan.make_plan(_corpus_size(store), wishes, machine, measure, used_seconds, reasons)
    _lanes(store, chosen.model, chosen.training)  # refuses too short a text before a folder is made
    run = Run.new(chosen.model, chosen.training, device)
    path = corpora.store_at(source.paths)
    folder = ModelDir.create(name or free_name(store.name), chosen.model, chosen.training, store, path)
    run.seconds = monotonic() - began
    return Session(folder, run, store, chosen.training, chosen.planned, chosen.validation_seconds)


def resume(name: str, wishes: plan.Wishes, device: torch.device, view: View) -> Session:
    """Go on where a run stopped; only its budget may change, and a budget is a total."""
    folder = ModelDir.find(name)
    record, store = folder.record(), folder.corpus()
    training = _with_budget(record.training, wishes, store)
    run = folder.load_run(training, device)
    steps_left = training.steps is None or run.step < training.steps
    seconds_left = training.seconds is None or run.seconds < training.seconds
    ended = record.status == "finished" and training == record.training
    if ended or not (steps_left and seconds_left):
        raise TrainingError(
            f"{name} has used up its budget: {run.step:,} steps, {run.seconds:.0f} s",
            hint="give it a larger total, for example --time 10m or --epochs 40",
        )
    speed = _measure(device, record.model, training, 0.2)
    size = _corpus_size(store)
    planned = forecast.predict(
        size, record.model, training, device.type, speed, used_seconds=run.seconds, done_steps=run.step
    )
    view.show(Noted(f"{folder.path} goes on from step {run.step:,} after {run.seconds:.0f} s"))
    each = forecast.validation_seconds(training, size, speed)
    return Session(folder, run, store, training, planned, each)


def carry_out(session: Session, view: View) -> Outcome:
    """Train to the end of the budget or to the first Ctrl-C; what is shown is also kept."""
    folder, run, store, training = session.folder, session.run, session.store, session.training
    lanes = _lanes(store, run.model.config, training)
    valid, unknown = store.ids(store.valid), store.tokenizer.unknown_id

    def validate(model: LanguageModel) -> Score:
        return estimate(model, valid, training.validation_tokens, store.measure, unknown)

    view.show(session.planned)
    logged = run.seconds
    with stop_requests() as stop:
        folder.update(training=training)
        folder.save_run(run, "training")
        for report in train(run, lanes, training, validate, session.validation_seconds):
            view.show(report)
            if isinstance(report, Evaluated):
                _keep(session, report, view)
                view.show(Sampled(run.step, writing.sample(run.model, store.tokenizer, training.seed)))
            elif isinstance(report, Stepped) and report.seconds - logged >= _METRICS_SECONDS:
                logged = report.seconds
                with _noted(view):
                    folder.append_metrics(report)
            if stop.signal:
                break
        return _finish(session, view, stop.signal)


def _keep(session: Session, report: Evaluated, view: View) -> None:
    run, folder = session.run, session.folder
    with _noted(view):
        folder.append_metrics(report)
        if report.best and run.best is not None:
            folder.save_weights(run.best)
        folder.save_run(run, "training")


@contextmanager
def _noted(view: View) -> Iterator[None]:
    """A save on the way that fails is said, and the training goes on; the last one fails loudly."""
    try:
        yield
    except StorageError as error:
        view.show(Noted(f"{error}; {error.hint}; the training goes on"))


def _finish(session: Session, view: View, signal: int) -> Outcome:
    run, folder = session.run, session.folder
    if run.best is None or run.best.score is None:
        # Never validated: the weights as they are now can be used all the same.
        run.best = Best(None, run.step, weights_of(run.model))
    folder.save_weights(run.best)
    folder.save_run(run, "interrupted" if signal else "finished")
    folder.write_card(session.planned, run.best)
    saved = Saved(str(folder.path), run.step, run.seconds, interrupted=bool(signal))
    view.show(saved)
    return Outcome(saved, run.best.score, signal)


def _open_or_read(source: Source) -> TokenStore | Text:
    """What can go wrong with a text and its options goes wrong here, before the machine is measured."""
    path = corpora.store_at(source.paths)
    if path is None:
        text = reading.read(source.paths, source.encoding)
        refuse_short(text)
        corpora.text_config(natural_level(text.content), source.settings)
        return text
    if any(source.settings.get(name) is not None for name in _SETTLED_BY_A_STORE):
        raise ConfigError(
            f"{path} is tokenized already, so that its level, split and encoding are settled",
            hint="leave those options out, or train from the text itself",
        )
    return TokenStore.open(path)


def _lanes(store: TokenStore, model: ModelConfig, training: TrainConfig) -> Lanes:
    return Lanes(store.ids(store.train), model.start, training.batch_size, training.bptt)


def _corpus_size(store: TokenStore) -> forecast.CorpusSize:
    tokenizer = store.tokenizer
    return forecast.CorpusSize(
        store.name,
        store.encoding,
        tokenizer.level,
        tokenizer.vocab_size,
        store.train.tokens,
        store.valid.tokens,
    )


def _with_budget(training: TrainConfig, wishes: plan.Wishes, store: TokenStore) -> TrainConfig:
    given = {key: value for key, value in wishes.training.items() if key in _BUDGET_SETTINGS}
    if wishes.epochs is not None:
        step_tokens = training.batch_size * training.bptt
        given["steps"] = max(1, round(wishes.epochs * (store.train.tokens // step_tokens)))
    if not given:
        return training
    return replace(training, seconds=given.get("seconds"), steps=given.get("steps"))


def _measure(device: torch.device, model: ModelConfig, training: TrainConfig, seconds: float) -> float:
    return probe.tokens_per_second(model, training, device, seconds)
