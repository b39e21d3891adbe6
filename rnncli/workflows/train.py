"""Training a new model, from texts or token datasets to a finished model directory."""

import shutil
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic
from typing import TypeVar

import torch

from rnncli import runtime
from rnncli.data.dataset import TokenDataset
from rnncli.data.statistics import describe_corpus
from rnncli.data.tokenizers.base import Tokenizer
from rnncli.errors import TrainingError
from rnncli.events import CorpusReport, Event
from rnncli.files import locked
from rnncli.nn.config import ModelConfig
from rnncli.options import build
from rnncli.storage.checkpoints import serialize_state, to_weights
from rnncli.storage.draft import Draft, new_model
from rnncli.storage.layout import CORPUS
from rnncli.storage.record import free_name
from rnncli.storage.tensorboard import writer_type
from rnncli.training import cost_model
from rnncli.training.backends import check_on
from rnncli.training.config import TrainOptions
from rnncli.training.cost_model import CorpusSize
from rnncli.training.hardware import HardwareProfile, measure_hardware
from rnncli.training.hyperparameters import Decision
from rnncli.training.overrides import Overrides
from rnncli.training.planner import Plan, affordable_level, make_plan
from rnncli.training.state import TrainState
from rnncli.training.throughput import throughput_benchmark
from rnncli.workflows.devices import memory_bytes, pick_device, present_devices, why_not_device
from rnncli.workflows.fine_tuning import PretrainedModel
from rnncli.workflows.texts import Texts, datasets_at, open_datasets, scratch_folder, title
from rnncli.workflows.training_session import (
    UNWATCHED,
    Session,
    TrainResult,
    Watch,
    batches_of,
    interrupt_requests,
    run_session,
)

SomeEvent = TypeVar("SomeEvent")
Result = TypeVar("Result")


@dataclass(frozen=True)
class NewRun:
    """What a new model is trained on, and how.

    Attributes:
        texts: Texts, or folders of token datasets.
        options: All options.
        device: Where to train.
        automatic: Whether the device was chosen automatically.
        name: Name of the model; None: that of the text.
        pretrained: Name or path of a model to fine-tune.
    """

    texts: tuple[str, ...]
    options: TrainOptions
    device: torch.device
    automatic: bool = False
    name: str | None = None
    pretrained: str | None = None


def train(
    texts: str | Path | Sequence[str | Path],
    *,
    name: str | None = None,
    from_model: str | None = None,
    device: str = "auto",
    tensorboard: bool = False,
    on_event: Callable[[Event], None] | None = None,
    **options: object,
) -> TrainResult:
    """Train a model, as `rnncli train` does.

    Args:
        texts: A text or several, or folders of token datasets.
        name: Name of the model under models/; by default that of the text.
        from_model: A model to fine-tune, by name or path.
        device: "auto", "cpu", "cuda" or "mps".
        tensorboard: Whether to write event files for TensorBoard.
        on_event: Called with every event. If it raises, the run is saved and the exception is passed on.
        options: Options of `rnncli train` by name, such as `time="5m"` or `hidden_size=512`, or groups of
            them, such as `model=ModelOptions(hidden_size=512)`.

    Returns:
        Where the model is, and its score on the validation split.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed; once training has begun, the run is saved first.
        ConfigError: An option is unknown, out of range, or contradicts another.
        CorpusError: A text cannot be read or is too short.
        TrainingError: Training cannot start or continue.
        StorageError: The model cannot be saved.
    """
    began = monotonic()
    given = [texts] if isinstance(texts, str | Path) else texts
    run = NewRun(
        texts=tuple(map(str, given)),
        options=build(TrainOptions, options),
        device=pick_device(device),
        automatic=device == "auto",
        name=name,
        pretrained=from_model,
    )
    watch = Watch(requests=interrupt_requests, tensorboard=tensorboard)
    return raise_if_interrupted(watch_events(train_events(run, watch, began), on_event))


def raise_if_interrupted(result: TrainResult) -> TrainResult:
    """Return a result, or raise KeyboardInterrupt if Ctrl-C ended the training, as Python programs expect."""
    if result.signal:
        raise KeyboardInterrupt
    return result


def watch_events(
    events: Generator[SomeEvent, None, Result], on_event: Callable[[SomeEvent], None] | None
) -> Result:
    """Pass events to a function until the end; if it raises, the training is saved and stopped."""
    try:
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                result: Result = end.value
                return result
            if on_event is not None:
                on_event(event)
    finally:
        events.close()


def train_events(
    run: NewRun,
    watch: Watch = UNWATCHED,
    began: float | None = None,
) -> Generator[Event, None, TrainResult]:
    """Train a new model, and yield events; the model directory is locked until the end.

    Args:
        run: What to train.
        watch: How the training is watched.
        began: Instant at which its time began to count (time.monotonic).
    """
    if watch.tensorboard:
        writer_type()  # refused before anything is read
    with ExitStack() as stack:
        session = yield from _prepare(run, stack, monotonic() if began is None else began)
        return (yield from run_session(session, watch))


def _prepare(run: NewRun, stack: ExitStack, began: float) -> Generator[CorpusReport, None, Session]:
    """Read the texts, plan, and write the run before its first step."""
    pretrained = None if run.pretrained is None else PretrainedModel.find(run.pretrained)
    with new_model(run.name or free_name(title(run.texts))) as draft:
        lock = stack.enter_context(locked(draft.partial))
        with lock.closed_before_rename():
            prepared = yield from _Preparation(run, pretrained, draft, began).fill()
    lock.reopen(draft.model_dir.path)
    plan = prepared.plan
    datasets = prepared.datasets or [draft.model_dir.path / CORPUS]
    planned = plan.planned
    if run.automatic and run.device.type == "cpu" and "cuda" in present_devices():
        planned = replace(planned, unusable=(f"cuda: {why_not_device('cuda')}", *planned.unusable))
    return Session(
        model_dir=draft.model_dir,
        state=prepared.state,
        dataset=TokenDataset.joined([TokenDataset.open(path) for path in datasets]),
        config=plan.training,
        planned=planned,
        validation_seconds=plan.validation_seconds,
        ngram_seconds=plan.ngram_seconds,
        began=began,
        saved=True,
    )


@dataclass(frozen=True)
class _Prepared:
    """A run before its first step, and the folders of token datasets that lie outside its own."""

    state: TrainState
    plan: Plan
    datasets: list[Path]


class _Preparation:
    """Fills the draft of a model directory."""

    def __init__(self, run: NewRun, pretrained: PretrainedModel | None, draft: Draft, began: float) -> None:
        given = run.options
        self._run, self._pretrained, self._draft, self._began = run, pretrained, draft, began
        self._benchmark = throughput_benchmark(check_on(run.device))
        self._text = given.text if pretrained is None else pretrained.text_options(given.text)
        self._overrides = Overrides.of(
            given.model if pretrained is None else pretrained.model_options(given.model),
            given.training if pretrained is None else pretrained.training_options(given.training),
            given.budget,
        )

    def fill(self) -> Generator[CorpusReport, None, _Prepared]:
        """Write all files of the run.

        Its own token dataset, which is memory-mapped, is closed again at the end.
        """
        run, draft = self._run, self._draft
        datasets, decisions = datasets_at(run.texts), tuple[Decision, ...]()
        if datasets:
            dataset = open_datasets(datasets, run.options.read, run.options.text)
            profile = self._measure_hardware()
        else:
            dataset, profile, decisions = yield from self._tokenize()
        order = run.options.model.ngram or 0
        plan = make_plan(
            CorpusSize.of(dataset),
            self._overrides,
            profile,
            self._benchmark,
            used_seconds=monotonic() - self._began,
            ngram_order=order,
            decisions=decisions,
        )
        batches_of(dataset, plan.model, plan.training)  # refuses too short a text
        _check_disk(plan.model, draft.partial)
        runtime.return_freed_memory()  # training allocates other sizes than the benchmark
        weights = None
        if self._pretrained is not None:
            weights = self._pretrained.weights(dataset.tokenizer, plan.model, plan.training.seed)
        state = TrainState.new(plan.model, plan.training, run.device, weights)
        state.seconds = monotonic() - self._began
        best = None if state.best is None else to_weights(state.best)
        draft.describe(
            plan.model,
            plan.training,
            dataset,
            datasets=datasets,
            ngram_order=order,
            state=serialize_state(state),
            best=best,
        )
        return _Prepared(state, plan, datasets)

    def _tokenize(
        self,
    ) -> Generator[CorpusReport, None, tuple[TokenDataset, HardwareProfile, tuple[Decision, ...]]]:
        """Read and tokenize the texts; errors in them are found before the hardware is measured."""
        decisions: tuple[Decision, ...] = ()
        with scratch_folder(self._draft.partial) as scratch:
            texts = Texts.survey(self._run.texts, self._run.options.read, self._text, Path(scratch))
            profile, level = self._measure_hardware(), texts.level
            if self._text.level is None and texts.tokenizer is None:
                level, decisions = affordable_level(
                    level,
                    characters=texts.corpus.characters,
                    alphabet=len(texts.corpus.code_points),
                    overrides=self._overrides,
                    profile=profile,
                )
            config = texts.config(level)
            yield describe_corpus(texts.corpus, config, texts.valid, thorough=False)
            dataset = texts.build(config, self._draft.corpus_folder(), self._earlier_tokenizer())
        return dataset, profile, decisions

    def _earlier_tokenizer(self) -> Tokenizer | None:
        pretrained = self._pretrained
        return pretrained.tokenizer if pretrained and pretrained.extends_vocabulary else None

    def _measure_hardware(self) -> HardwareProfile:
        device = self._run.device
        threads = torch.get_num_threads() if device.type == "cpu" else 1
        return measure_hardware(
            self._benchmark, self._overrides, device.type, memory_bytes(device), threads=threads
        )


def _check_disk(model: ModelConfig, folder: Path) -> None:
    """Raise TrainingError if the files of the run would fill the disk."""
    needed, free = cost_model.disk_bytes(model), shutil.disk_usage(folder).free
    if needed > free:
        raise TrainingError(
            f"{model.architecture} needs about {needed / 1e6:,.0f} MB of disk; {free / 1e6:,.0f} MB are free",
            hint="free some, or use a smaller --hidden-size, --num-layers, --ensemble-size or --vocab-size",
        )
