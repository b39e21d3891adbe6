"""ModelDir: finds, reads and verifies a model directory, and replaces its files so that it is always valid.

storage/layout.py describes the files. Nothing here needs torch.
"""

import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from rnncli import files, runtime
from rnncli.data.dataset import LINES_FILE as STARTS
from rnncli.data.dataset import RECORD_FILE, TOKENS_FILE, TokenDataset
from rnncli.data.line_hashes import LineHashes
from rnncli.data.tokenizers.base import Tokenizer, fingerprint
from rnncli.data.tokenizers.serialization import MAX_TOKENIZER_BYTES, TOKENIZER_FILES, parse_tokenizer
from rnncli.errors import CorpusError, ModelError, StorageError
from rnncli.events import Event, Planned, to_json
from rnncli.files import refuse_locked
from rnncli.metrics import Score
from rnncli.ngram.interpolation import Interpolation, WeightedNgram
from rnncli.ngram.kneser_ney import NgramModel
from rnncli.storage.description import CurvePoint, ModelDescription
from rnncli.storage.layout import (
    CARD,
    CHECKPOINT,
    CHECKPOINTS,
    CONFIG,
    CORPUS,
    FIXED,
    LINES,
    METRICS,
    NGRAM,
    WEIGHTS,
    Weights,
    check_bounds,
    checkpoint_name,
    model_card,
    serialize_record,
    serialize_weights,
)
from rnncli.storage.manifest import MANIFEST, FileEntry, Manifest
from rnncli.storage.metrics_log import append_event, read_events
from rnncli.storage.ngram_file import read_ngram, serialize_ngram
from rnncli.storage.record import MODELS, ModelRecord, Status, now, read_record
from rnncli.storage.safetensors_file import check_arrays, read_arrays
from rnncli.storage.untrusted import DAMAGED_HINT, open_file, read_config, read_file
from rnncli.training.config import TrainConfig

_CHECKPOINTS_TO_KEEP = 2
_CORPUS_FILES = frozenset(f"{CORPUS}/{name}" for name in (RECORD_FILE, TOKENS_FILE, STARTS, *TOKENIZER_FILES))


@dataclass
class _Cache:
    """The files of a model directory that have been read and verified, but no arrays."""

    manifest: Manifest | None = None
    record: ModelRecord | None = None
    tokenizer: Tokenizer | None = None


@dataclass(frozen=True)
class ModelDir:
    """A model directory.

    An object reads, verifies and parses manifest, config.json and tokenizer once, and again after it has
    written. Arrays are not cached, and are verified whenever they are read. A writer holds the lock of the
    directory (files.locked).
    """

    path: Path
    _cache: _Cache = field(default_factory=_Cache, repr=False, compare=False)

    @classmethod
    def check_name_is_free(cls, name: str) -> Path:
        """Return the folder of a new model.

        Raises:
            ModelError: There is a model of that name.
            StorageError: Another process is creating it.
        """
        folder = MODELS / name
        if folder.exists():
            refuse_locked(folder)
            raise ModelError(
                f"{folder} exists already", hint=f"use another --name, or --resume {name} to go on with it"
            )
        return folder

    @classmethod
    def find(cls, model: str | None) -> "ModelDir":
        """Find a model by its name under models/ or by its path; None finds the newest finished one.

        Raises:
            ModelError: There is no such model.
        """
        if model is None:
            return cls._newest()
        for folder in (MODELS / model, Path(model)):
            with suppress(OSError, ValueError):  # not a possible file name
                if (folder / CONFIG).is_file() or (folder / MANIFEST).is_file():
                    return cls(folder)
        names = [folder.path.name for folder in cls.all()]
        near = get_close_matches(model, names, 1)
        known = f"did you mean {near[0]}?" if near else f"there are {', '.join(names) or 'no models yet'}"
        raise ModelError(f"there is no model {model}, neither in {MODELS}/ nor as a folder", hint=known)

    @classmethod
    def all(cls) -> list["ModelDir"]:
        """Return every model under models/, by name, without leftovers of interrupted writes."""
        found = sorted(MODELS.glob(f"*/{CONFIG}"))
        return [cls(file.parent) for file in found if not file.parent.name.startswith(files.PARTIAL)]

    @classmethod
    def _newest(cls) -> "ModelDir":
        usable = []
        for folder in cls.all():
            try:
                record = folder.record()
            except ModelError:
                continue  # a damaged model is reported when it is named; it must not block the others
            if record.status != "training" and folder.has_weights():
                usable.append((record.saved_at, folder.path.name, folder))
        if not usable:
            raise ModelError(
                f"there is no finished model in {MODELS.resolve()}",
                hint="make one with: rnncli train YOUR-TEXT",
            )
        return max(usable, key=lambda entry: entry[:2])[2]

    def record(self) -> ModelRecord:
        """Return the content of config.json; raise ModelError if it is damaged."""
        if self._cache.record is None:
            self._cache.record = read_record(self._verified(CONFIG))
        return self._cache.record

    def update(self, *, training: TrainConfig | None = None, status: Status | None = None) -> None:
        """Change the training configuration or the status in config.json."""
        self._forget()  # another process may have written since we read
        record = self.record()
        changed = replace(
            record, saved_at=now(), training=training or record.training, status=status or record.status
        )
        self._replace({CONFIG: serialize_record(changed)})

    def tokenizer(self) -> Tokenizer:
        """Return the model's tokenizer; raise ModelError if it belongs to another model."""
        if self._cache.tokenizer is None:
            self._cache.tokenizer = self._parse_tokenizer()
        return self._cache.tokenizer

    def _parse_tokenizer(self) -> Tokenizer:
        name = next(
            (name for name in TOKENIZER_FILES if os.path.lexists(self.path / name)), TOKENIZER_FILES[0]
        )
        tokenizer = parse_tokenizer(name, read_file(self._verified(name), MAX_TOKENIZER_BYTES))
        record = self.record()
        if (fingerprint(tokenizer), tokenizer.vocab_size) != (
            record.tokenizer_fingerprint,
            record.model.vocab_size,
        ):
            raise ModelError(f"{self.path} holds the tokenizer of another model", hint=DAMAGED_HINT)
        return tokenizer

    def corpus(self) -> TokenDataset:
        """Open the token dataset of the training; raise CorpusError if it is gone or has changed."""
        record = self.record()
        own = [] if record.datasets else [name for name in self._manifest().files if name in _CORPUS_FILES]
        arrays = [name for name in own if name not in FIXED]
        for name in own:
            if os.path.lexists(self.path / name):
                with open_file(self.path / name, self.path):
                    pass  # it is a regular file
            if name not in arrays:
                self._verified(name)
        paths = [Path(dataset) for dataset in record.datasets] or [self.path / CORPUS]
        dataset = TokenDataset.joined([TokenDataset.open(path) for path in paths])
        for name in arrays:  # their sizes have been checked by now, so that hashing them is bounded
            self._verified(name)
        if (
            fingerprint(dataset.tokenizer) != record.tokenizer_fingerprint
            or dataset.origin.sha256 != record.corpus_sha256
        ):
            raise CorpusError(
                f"{' and '.join(map(str, paths))} changed since {record.name} was trained on it",
                hint="tokenize the same text again, or train a new model",
            )
        return dataset

    def has_weights(self) -> bool:
        """Whether weights have been saved."""
        return (self.path / WEIGHTS).is_file()

    def save_checkpoint(
        self, *, step: int, seconds: float, status: Status, state: bytes, best: Weights | None
    ) -> None:
        """Save a checkpoint, new best weights, and the progress.

        Older checkpoints are removed after the new one has been verified, except the most recent.

        Args:
            step: Step of the checkpoint.
            seconds: Training time so far.
            status: New status of the model.
            state: Content of the checkpoint.
            best: Weights with the lowest validation loss, if they are new.
        """
        self._forget()  # another process may have written since we read
        record = replace(self.record(), saved_at=now(), step=step, seconds=seconds, status=status)
        contents = {checkpoint_name(step): state}
        if best is not None:
            contents[WEIGHTS] = serialize_weights(best)
        steps = sorted({*self.checkpoints(), step})[:-_CHECKPOINTS_TO_KEEP]
        self._replace({**contents, CONFIG: serialize_record(record)}, [checkpoint_name(old) for old in steps])

    def weights(self) -> Weights | None:
        """Return the weights with the lowest validation loss; None if none have been saved."""
        if not self.has_weights() and not self._has(WEIGHTS):
            return None
        path = self._verified(WEIGHTS)
        arrays, facts = read_arrays(path)
        config = self.record().model
        # Compare sizes before anything of that size is built: config.json may be untrusted.
        if sum(array.size for array in arrays.values()) != config.parameters:
            raise ModelError(f"{path} does not have the shape in config.json", hint=DAMAGED_HINT)
        real = np.dtype(np.float32)
        check_arrays(path, arrays, {name: (real, shape) for name, shape in config.shapes.items()})
        score, step = facts.get("score"), facts.get("step")
        if type(step) is not int:
            raise ModelError(f"{path} does not name its step", hint=DAMAGED_HINT)
        return Weights(arrays, step, None if score is None else read_config(Score, score, f"{path}: score"))

    def require_weights(self) -> Weights:
        """Return the weights; raise ModelError if none have been saved."""
        weights = self.weights()
        if weights is None:
            raise ModelError(
                f"{self.path} has no weights yet: its training did not get that far",
                hint=f"go on with: rnncli train --resume {self.path.name}",
            )
        return weights

    def save_ngram(self, ngram: NgramModel, interpolation: Interpolation) -> None:
        """Save an n-gram and its interpolation weights, replacing an earlier one."""
        self._replace({NGRAM: serialize_ngram(ngram, interpolation)})

    def ngram(self) -> WeightedNgram | None:
        """Return the n-gram that is interpolated with the network; None if there is none."""
        if not self._has(NGRAM):
            return None
        return read_ngram(self.path / NGRAM, self.record().model.vocab_size)

    def line_hashes(self) -> LineHashes | None:
        """Return hashes of the training lines; None if there were too many lines to store."""
        if not self._has(LINES):
            return None
        path = self.path / LINES
        arrays, _ = read_arrays(path, files.MAX_JSON_BYTES)
        hashes = arrays.get("hashes", np.zeros(0, np.uint64))
        check_arrays(path, arrays, {"hashes": (np.dtype(np.uint64), (hashes.size,))})
        return LineHashes(hashes)

    def describe(self) -> ModelDescription:
        """Describe the model; raise ModelError if its files are damaged."""
        record, best = self.record(), self.weights()
        curve = tuple(
            CurvePoint(line["step"], line["score"]["nll_nats"] / line["score"]["tokens"])
            for line in self.metrics()
            if line.get("event") == "evaluated" and line["score"]["nll_nats"] is not None
        )
        return ModelDescription(
            path=str(self.path),
            config=record,
            tensors=record.model.shapes if best else {},
            best_step=None if best is None else best.step,
            valid=None if best is None else best.score,
            curve=curve,
        )

    def append_metrics(self, event: Event) -> None:
        """Append an event to metrics.jsonl."""
        append_event(self.path / METRICS, event)

    def metrics(self) -> Generator[dict[str, Any]]:
        """Yield the events in metrics.jsonl; incomplete lines are skipped."""
        check_bounds(self.path, METRICS, self.record)
        return read_events(self.path / METRICS, self.path)

    def write_card(self, planned: Planned, step: int, score: Score | None) -> None:
        """Write the model card (README.md)."""
        card = model_card(self.path.name, planned, step, score)
        self._replace({CARD: card.encode(errors="backslashreplace")})

    def checkpoint(self, step: int) -> Path:
        """Return the verified checkpoint of a step; raise ModelError if it is damaged."""
        return self._verified(checkpoint_name(step))

    def checkpoints(self) -> list[int]:
        """Return the steps of the checkpoints that the manifest names, ascending."""
        manifest = self._manifest()
        if (self.path / CHECKPOINTS).is_symlink():
            raise ModelError(f"{self.path / CHECKPOINTS} is a link", hint=DAMAGED_HINT)
        names = [name for name, entries in manifest.files.items() if None not in entries or self._has(name)]
        return sorted(int(found[1]) for name in names if (found := CHECKPOINT.fullmatch(name)))

    def mismatches(self) -> list[str]:
        """Return a sentence for each file that does not match; raise ModelError for a damaged manifest."""
        return list(Manifest.read(self.path).mismatches(self.path))

    def remove(self) -> None:
        """Remove the model; raise StorageError if that fails."""
        try:
            runtime.remove_tree(self.path)
            with suppress(OSError):  # it stays if it holds anything else
                self.path.parent.rmdir()
        except OSError as error:
            raise StorageError(
                f"cannot remove {self.path}: {error.strerror}", hint="check the permissions of that folder"
            ) from error

    def discard_after(self, step: int) -> None:
        """Discard checkpoints and events after `step`, and leftovers of interrupted writes."""
        for leftover in [*self.path.glob(f"{files.PARTIAL}*"), *self.path.glob(f"*/{files.PARTIAL}*")]:
            files.remove_file(leftover)
        # Up to the first later event: remarks have no step of their own.
        with closing(self.metrics()) as lines:  # Windows does not replace a file that is still open
            kept_lines = takewhile(lambda line: line.get("step", 0) <= step, lines)
            content = "".join(to_json(line) + "\n" for line in kept_lines).encode()
        later = [checkpoint_name(other) for other in self.checkpoints() if other > step]
        self._replace({METRICS: content} if (self.path / METRICS).exists() else {}, later)

    def _manifest(self) -> Manifest:
        if self._cache.manifest is None:
            self._cache.manifest = Manifest.read(self.path)
        return self._cache.manifest

    def _has(self, name: str) -> bool:
        """Return whether a file exists, verified; raise ModelError if it is required or does not match."""
        check_bounds(self.path, name, self.record)
        manifest = self._manifest()
        try:
            return manifest.check(self.path, name)
        except ModelError:
            # A training may have replaced the file and the manifest since we read the manifest.
            known = self._cache.record
            self._forget()
            if self._manifest() == manifest:
                raise
            if known is not None and self.record().created_at != known.created_at:
                raise ModelError(
                    f"{self.path} has been replaced by another model", hint="load the model again"
                ) from None
            return self._manifest().check(self.path, name)

    def _verified(self, name: str) -> Path:
        """Return the path of a verified file; raise ModelError if it does not match."""
        self._has(name)
        return self.path / name

    def _replace(self, contents: Mapping[str, bytes], removed: Sequence[str] = ()) -> None:
        """Write files in their order, then remove others, as storage/manifest.py describes."""
        manifest = Manifest.read(self.path)
        changes: dict[str, FileEntry | None] = {
            name: FileEntry.of(content) for name, content in contents.items()
        }
        changes |= dict.fromkeys(removed)
        if METRICS not in changes and (self.path / METRICS).exists():
            changes[METRICS] = FileEntry.of_file(self.path / METRICS, self.path)
        self._forget()
        manifest.permitting(changes).write(self.path)
        for name, content in contents.items():
            files.write_file(self.path / name, content)
        final = manifest.requiring(changes)
        for name in contents if removed else ():
            final.check(self.path, name)
        for name in removed:
            files.remove_file(self.path / name)
        final.write(self.path)

    def _forget(self) -> None:
        self._cache.manifest = self._cache.record = self._cache.tokenizer = None
