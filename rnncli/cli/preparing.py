"""From the options of `rnncli train` to a run that can be carried out: a new one, or one that goes on."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch

from rnncli.api.device import memory_bytes
from rnncli.cli import corpora
from rnncli.cli.fine_tuning import Ancestor
from rnncli.cli.parsing import Amount
from rnncli.cli.training_session import Session, windows_of
from rnncli.console.training_view import View
from rnncli.errors import ConfigError, TrainingError
from rnncli.model import acceleration
from rnncli.model.config import ModelConfig
from rnncli.model.ngram import check_order
from rnncli.reports import Noted
from rnncli.storage.checkpoint import packed_run
from rnncli.storage.draft import new_model
from rnncli.storage.lock import held
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.record import free_name
from rnncli.storage.runs import as_weights, load_run
from rnncli.text import report, spelling
from rnncli.text.lines import line_bounds
from rnncli.text.store import TokenStore
from rnncli.text.tokenizers import WordTokenizer
from rnncli.training import forecast, machine, plan, probe
from rnncli.training.config import TrainConfig
from rnncli.training.loop import resume_with
from rnncli.training.step import Run, threads_of
from rnncli.training.wishes import Wishes


@dataclass(frozen=True)
class Source:
    """The text that a person named, all options by name, and the model to begin with, if any."""

    paths: tuple[str, ...]
    settings: Mapping[str, Any]
    ancestor: str | None = None


@contextmanager
def begun(
    source: Source, name: str | None, device: torch.device, view: View, began: float
) -> Iterator[Session]:
    """Read, plan, and write the run before its first step; its folder is ours to the end of the block.

    `began` is when its time started to count.
    """
    with ExitStack() as stack:
        yield _begin(stack, source, name, device, view, began)


def _begin(
    stack: ExitStack, source: Source, name: str | None, device: torch.device, view: View, began: float
) -> Session:
    ancestor = None if source.ancestor is None else Ancestor.find(source.ancestor)
    wishes = Wishes.of(ancestor.wishes(source.settings) if ancestor else source.settings)
    text_settings = ancestor.text_settings(source.settings) if ancestor else source.settings
    letters = wishes.model.get("character_cnn", False)
    if letters and text_settings.get("tokenizer") is None:
        text_settings = {**text_settings, "level": _level_with_letters(text_settings.get("level"))}
    order = source.settings.get("ngram")
    if order is not None:
        check_order(order)

    def note(message: str) -> None:
        view.show(Noted(message))

    with new_model(name or free_name(corpora.title(source.paths))) as draft:
        stack.enter_context(held(draft.partial))
        measure = partial(_measure, device)

        def this_machine() -> machine.Machine:
            fused = device.type == "cpu" and acceleration.missing() is None
            threads = torch.get_num_threads() if device.type == "cpu" else 1
            return machine.measure_machine(measure, wishes, device.type, memory_bytes(device), fused, threads)

        paths = corpora.stores_at(source.paths)
        reasons: list[str] = []
        if paths:
            _refuse_settled(paths[0], source.settings)
            store, measured = corpora.open_stores(paths, note), this_machine()
        else:
            # What can go wrong with a text goes wrong in the survey, before the machine is measured.
            with corpora.scratch(draft.partial) as scratch:
                texts = corpora.Texts.survey(source.paths, text_settings, Path(scratch))
                measured, level = this_machine(), texts.natural
                if text_settings.get("level") is None and texts.tokenizer is None:
                    corpus = texts.corpus
                    size = corpus.characters, len(corpus.symbols)
                    level, reasons = plan.affordable_level(level, *size, wishes, measured)
                view.show(report.describe(texts.corpus, texts.config(level), texts.valid, thorough=False))
                earlier = ancestor.tokenizer if ancestor and ancestor.grows else None
                store = texts.build(texts.config(level), draft.corpus_folder(), note, earlier)
        if device.type == "cpu" and acceleration.missing() is not None:
            reasons.append(f"kernels torch: the fused ones cannot be used, {acceleration.missing()}")
        spellings = _spellings(store) if letters else None
        used_seconds = monotonic() - began
        chosen = plan.make_plan(_corpus_size(store), wishes, measured, measure, used_seconds, reasons)
        windows_of(store, chosen.model, chosen.training)  # refuses too short a text
        weights = None
        if ancestor is not None:
            weights, says = ancestor.weights(store.tokenizer, chosen.model, chosen.training.seed)
            note(says)
        run = Run.new(chosen.model, chosen.training, device, weights)
        if spellings is not None:
            run.spell(spellings)
        run.seconds = monotonic() - began
        best = None if run.best is None else as_weights(run.best)
        draft.describe(chosen.model, chosen.training, store, paths, order or 0, packed_run(run), best)
    run.seconds = monotonic() - began
    folder = draft.model_dir
    reserve = _ngram_seconds(chosen.training, store, order or 0, chosen.planned.tokens_per_second)
    return Session(folder, run, store, chosen.training, chosen.planned, chosen.validation_seconds, reserve)


@contextmanager
def resumed(
    name: str, budget: Mapping[str, Amount | None], device: torch.device, view: View
) -> Iterator[Session]:
    """Go on where a run stopped; only its budget may change: `budget` has seconds, epochs and steps.

    What it noted or left behind after its newest good checkpoint is taken back. Its folder is ours to the
    end of the block.
    """
    folder = ModelDir.find(name)
    with held(folder.path):
        yield _resume(folder, budget, device, lambda says: view.show(Noted(says)))


def _resume(
    folder: ModelDir,
    budget: Mapping[str, Amount | None],
    device: torch.device,
    note: Callable[[str], None],
) -> Session:
    record, store = folder.record(), folder.corpus()
    corpora.note_changes(store, str(folder.path), note)
    run = load_run(folder, record.training, device, note)
    training = _with_budget(run, record.training, budget, store)
    steps_left = training.steps is None or run.step < training.steps
    seconds_left = training.seconds is None or run.seconds < training.seconds
    over = training == record.training or not (steps_left and seconds_left)
    lost = run.step < record.step  # the checkpoint of its end is damaged
    if record.status == "finished" and over and not lost:
        raise TrainingError(
            f"{folder.path.name} has used up its budget: {run.step:,} steps, {run.seconds:.0f} s",
            hint="give it more, for example --time +10m or --epochs +20",
        )
    folder.forget_after(run.step)
    if training != record.training:
        resume_with(run, training)
    speed = _measure(device, record.model, training, machine.COUNTED_PROBE_SECONDS)
    size = _corpus_size(store)
    planned = forecast.predict(
        size, record.model, training, device.type, speed, used_seconds=run.seconds, done_steps=run.step
    )
    note(f"{folder.path} goes on from step {run.step:,} after {run.seconds:.0f} s")
    each = forecast.validation_seconds(training, size, speed)
    reserve = _ngram_seconds(training, store, record.ngram_order, speed)
    return Session(folder, run, store, training, planned, each, reserve)


def _level_with_letters(level: str | None) -> str:
    """The only one whose tokens are spelled; raises ConfigError where another is asked for."""
    if level not in (None, "word"):
        raise ConfigError(
            f"the level {level} has no words whose letters could be read",
            hint="use --level word, or leave out --character-cnn",
        )
    return "word"


def _spellings(store: TokenStore) -> torch.Tensor:
    """Of its words; raises ConfigError where it has none."""
    tokenizer = store.tokenizer
    _level_with_letters(tokenizer.level)
    assert isinstance(tokenizer, WordTokenizer)
    return torch.from_numpy(spelling.vocabulary(tokenizer))


def _refuse_settled(path: Path, settings: Mapping[str, Any]) -> None:
    given = [name for name in corpora.SETTLED_BY_A_STORE if settings.get(name) not in (None, (), [])]
    if given:
        raise ConfigError(
            f"{path} is tokenized already, so that --{given[0].replace('_', '-')} is settled",
            hint="leave it out, or train from the text itself",
        )


def _ngram_seconds(training: TrainConfig, store: TokenStore, order: int, speed: float) -> float:
    return forecast.ngram_seconds(training, _corpus_size(store), order, speed) if order else 0.0


def _corpus_size(store: TokenStore) -> forecast.CorpusSize:
    tokenizer, lines = store.tokenizer, None
    if store.train.line_starts is not None:
        _, lengths = line_bounds(
            store.train.ids, store.train.line_starts, np.arange(len(store.train.line_starts))
        )
        lines = forecast.LineSize(len(lengths), int(lengths.max()))
    return forecast.CorpusSize(
        store.name,
        store.origin.encoding,
        tokenizer.level,
        tokenizer.vocab_size,
        store.train.tokens,
        store.valid.tokens,
        lines,
    )


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


def _measure(device: torch.device, model: ModelConfig, training: TrainConfig, seconds: float) -> float:
    with threads_of(training):
        return probe.tokens_per_second(model, training, device, seconds)
