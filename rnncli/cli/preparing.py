"""From the options of `rnncli train` to a new run that can be carried out."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import Any

import torch

from rnncli import runtime
from rnncli.cli import corpora
from rnncli.cli.fine_tuning import Ancestor
from rnncli.cli.training_session import Session, windows_of
from rnncli.console.training_view import View
from rnncli.data import statistics
from rnncli.data.dataset import TokenStore
from rnncli.errors import ConfigError
from rnncli.ngram.kneser_ney import check_order
from rnncli.nn.config import ModelConfig
from rnncli.storage.checkpoint import packed_run
from rnncli.storage.draft import Draft, new_model
from rnncli.storage.layout import CORPUS
from rnncli.storage.lock import held
from rnncli.storage.record import free_name
from rnncli.storage.runs import as_weights
from rnncli.training import cost_model, hardware, planner
from rnncli.training.backends import check_on
from rnncli.training.cost_model import CorpusSize
from rnncli.training.overrides import Wishes
from rnncli.training.step import Run
from rnncli.training.throughput import measure_on
from rnncli.workflows.devices import memory_bytes, present_devices, why_not_device


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
    order = source.settings.get("ngram") or 0
    if source.settings.get("ngram") is not None:
        check_order(order)

    def fill(draft: Draft) -> tuple[Run, planner.Plan, list[Path]]:
        """The run, how it is planned, and the token stores it reads elsewhere.

        The run's own store, which is memory-mapped, is closed again with the end of this function.
        """
        measure = measure_on(check_on(device))

        def this_machine() -> hardware.Machine:
            threads = torch.get_num_threads() if device.type == "cpu" else 1
            return hardware.measure_machine(measure, wishes, device.type, memory_bytes(device), threads)

        paths = corpora.stores_at(source.paths)
        reasons: list[str] = []
        if paths:
            _refuse_settled(paths[0], source.settings)
            store, measured = corpora.open_stores(paths), this_machine()
        else:
            # What can go wrong with a text goes wrong in the survey, before the machine is measured.
            with corpora.scratch(draft.partial) as scratch:
                texts = corpora.Texts.survey(source.paths, text_settings, Path(scratch))
                measured, level = this_machine(), texts.natural
                if text_settings.get("level") is None and texts.tokenizer is None:
                    characters, alphabet = texts.corpus.characters, len(texts.corpus.symbols)
                    level, reasons = planner.affordable_level(level, characters, alphabet, wishes, measured)
                view.show(statistics.describe(texts.corpus, texts.config(level), texts.valid, thorough=False))
                earlier = ancestor.tokenizer if ancestor and ancestor.grows else None
                store = texts.build(texts.config(level), draft.corpus_folder(), earlier)
        used_seconds = monotonic() - began
        size = CorpusSize.of(store)
        chosen = planner.make_plan(size, wishes, measured, measure, used_seconds, order, reasons)
        windows_of(store, chosen.model, chosen.training)  # refuses too short a text
        _check_disk(chosen.model, draft.partial)
        runtime.return_freed_memory()  # what was measured is of other sizes than what is trained
        weights = None
        if ancestor is not None:
            weights = ancestor.weights(store.tokenizer, chosen.model, chosen.training.seed)
        run = Run.new(chosen.model, chosen.training, device, weights)
        run.seconds = monotonic() - began
        best = None if run.best is None else as_weights(run.best)
        draft.describe(chosen.model, chosen.training, store, paths, order, packed_run(run), best)
        return run, chosen, paths

    with new_model(name or free_name(corpora.title(source.paths))) as draft:
        lock = stack.enter_context(held(draft.partial))
        with lock.closed_before_rename():
            run, chosen, paths = fill(draft)
    lock.reopen(draft.model_dir.path)
    store = TokenStore.joined([TokenStore.open(path) for path in paths or [draft.model_dir.path / CORPUS]])
    planned = chosen.planned
    if source.settings.get("device") == "auto" and device.type == "cpu" and "cuda" in present_devices():
        planned = replace(planned, dropped=(f"cuda: {why_not_device('cuda')}", *planned.dropped))
    settings = chosen.training, planned, chosen.validation_seconds, chosen.ngram_seconds
    return Session(draft.model_dir, run, store, *settings, began, saved=True)


def _check_disk(model: ModelConfig, folder: Path) -> None:
    """Raises ConfigError where the run's files would fill the disk."""
    needed, free = cost_model.disk_bytes(model), shutil.disk_usage(folder).free
    if needed > free:
        raise ConfigError(
            f"{model.architecture} needs about {needed / 1e6:,.0f} MB of disk; {free / 1e6:,.0f} MB are free",
            hint="make room, or use a smaller --hidden-size, --num-layers, --members or --vocab-size",
        )


def _refuse_settled(path: Path, settings: Mapping[str, Any]) -> None:
    given = [name for name in corpora.SETTLED_BY_A_STORE if settings.get(name) not in (None, (), [])]
    if given:
        raise ConfigError(
            f"{path} is tokenized already, so that --{given[0].replace('_', '-')} is settled",
            hint="leave it out, or train from the text itself",
        )
