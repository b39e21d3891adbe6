"""A model folder: found, read, and its files replaced so that it is whole at every instant.

What is in it is drawn in storage/layout.py; all that is here needs no torch.
"""

import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np

from rnncli import files, runtime, strict
from rnncli.data.dataset import LINES as STARTS
from rnncli.data.dataset import MOST_TOKENIZER_BYTES, RECORD, TOKENIZERS, TOKENS, TokenStore, parsed_tokenizer
from rnncli.data.known_lines import KnownLines
from rnncli.data.tokenizers.base import Tokenizer, fingerprint
from rnncli.errors import CorpusError, ModelError, StorageError
from rnncli.events import Planned, Report, to_json
from rnncli.ngram.interpolation import Mixture
from rnncli.ngram.kneser_ney import Ngram
from rnncli.results import Score
from rnncli.storage.array_file import check_arrays, read_arrays
from rnncli.storage.bounds import FIXED, check_bounds
from rnncli.storage.card import model_card
from rnncli.storage.layout import (
    CARD,
    CHECKPOINT,
    CHECKPOINTS,
    CONFIG,
    CORPUS,
    LINES,
    METRICS,
    NGRAM,
    WEIGHTS,
    Weights,
    checkpoint_name,
    packed_record,
    packed_weights,
)
from rnncli.storage.lock import refuse_held
from rnncli.storage.manifest import MANIFEST, Entry, Manifest
from rnncli.storage.metrics_log import append_report, read_reports
from rnncli.storage.ngram_file import packed_ngram, read_ngram
from rnncli.storage.record import MODELS, Record, Status, now, read_record
from rnncli.storage.safe_load import DAMAGED, open_file, read_config, read_file

_KEPT_CHECKPOINTS = 2
_OF_CORPUS = frozenset(f"{CORPUS}/{name}" for name in (RECORD, TOKENS, STARTS, *TOKENIZERS))


@dataclass(frozen=True)
class ModelDir:
    """One folder under models/; every method reads or writes whole files."""

    path: Path

    @classmethod
    def refuse_taken(cls, name: str) -> Path:
        """The folder that NAME would get; raises ModelError where it is, StorageError while it is made."""
        folder = MODELS / name
        if folder.exists():
            refuse_held(folder)
            raise ModelError(
                f"{folder} exists already", hint=f"use another --name, or --resume {name} to go on with it"
            )
        return folder

    @classmethod
    def find(cls, model: str | None) -> "ModelDir":
        """By name under models/, by path, or the newest finished one; raises ModelError."""
        if model is None:
            return cls._newest()
        for folder in (MODELS / model, Path(model)):
            with suppress(OSError, ValueError):  # not even a possible name of a file
                if (folder / CONFIG).is_file() or (folder / MANIFEST).is_file():
                    return cls(folder)
        names = [folder.path.name for folder in cls.all()]
        near = get_close_matches(model, names, 1)
        known = f"did you mean {near[0]}?" if near else f"there are {', '.join(names) or 'no models yet'}"
        raise ModelError(f"there is no model {model}, neither in {MODELS}/ nor as a folder", hint=known)

    @classmethod
    def all(cls) -> list["ModelDir"]:
        """Every model under models/, by name; leftovers of interrupted writes are not models."""
        found = sorted(MODELS.glob(f"*/{CONFIG}"))
        return [cls(file.parent) for file in found if not file.parent.name.startswith(files.PARTIAL)]

    @classmethod
    def _newest(cls) -> "ModelDir":
        usable = []
        for folder in cls.all():
            try:
                record = folder.record()
            except ModelError:
                continue  # a damaged folder says so when it is named; it must not stand in the others' way
            if record.status != "training" and folder.has_weights():
                usable.append((record.saved_at, folder.path.name, folder))
        if not usable:
            raise ModelError(
                f"there is no finished model in {MODELS.resolve()}",
                hint="make one with: rnncli train YOUR-TEXT",
            )
        return max(usable, key=lambda entry: entry[:2])[2]

    def record(self) -> Record:
        """What config.json says, checked field by field; raises ModelError."""
        return read_record(self._sound(CONFIG))

    def update(self, **changes: Any) -> None:
        """Change fields of the record and the instant at which it was saved."""
        self._replace({CONFIG: packed_record(replace(self.record(), saved_at=now(), **changes))})

    def tokenizer(self) -> Tokenizer:
        """The model's own tokenizer; raises ModelError when it is another's."""
        name = next((name for name in TOKENIZERS if os.path.lexists(self.path / name)), TOKENIZERS[0])
        tokenizer = parsed_tokenizer(name, read_file(self._sound(name), MOST_TOKENIZER_BYTES))
        record = self.record()
        if (fingerprint(tokenizer), tokenizer.vocab_size) != (
            record.tokenizer_fingerprint,
            record.model.vocab_size,
        ):
            raise ModelError(f"{self.path} holds the tokenizer of another model", hint=DAMAGED)
        return tokenizer

    def corpus(self) -> TokenStore:
        """The text that the model was trained on; raises CorpusError when it is gone or changed."""
        record, known = self.record(), Manifest.read(self.path).files
        own = [] if record.stores else [name for name in known if name in _OF_CORPUS]
        arrays = [name for name in own if name not in FIXED]
        for name in own:
            if os.path.lexists(self.path / name):
                with open_file(self.path / name, self.path):
                    pass  # it is a plain file
            if name not in arrays:
                self._sound(name)
        paths = [Path(store) for store in record.stores] or [self.path / CORPUS]
        store = TokenStore.joined([TokenStore.open(path) for path in paths])
        for name in arrays:  # as long as they should be, and not hashed before that is known
            self._sound(name)
        if (
            fingerprint(store.tokenizer) != record.tokenizer_fingerprint
            or store.origin.sha256 != record.corpus_sha256
        ):
            raise CorpusError(
                f"{' and '.join(map(str, paths))} changed since {record.name} was trained on it",
                hint="tokenize the same text again, or train anew",
            )
        return store

    def has_weights(self) -> bool:
        return (self.path / WEIGHTS).is_file()

    def save_checkpoint(
        self, step: int, seconds: float, status: Status, run: bytes, best: Weights | None
    ) -> None:
        """All that a resume needs, the best weights where they are new, and how far the run came.

        All but the newest checkpoints go, once this one was read again and is what it should be.
        """
        record = replace(self.record(), saved_at=now(), step=step, seconds=seconds, status=status)
        contents = {checkpoint_name(step): run}
        if best is not None:
            contents[WEIGHTS] = packed_weights(best)
        steps = sorted({*self.checkpoints(), step})[:-_KEPT_CHECKPOINTS]
        self._replace({**contents, CONFIG: packed_record(record)}, [checkpoint_name(old) for old in steps])

    def weights(self) -> Weights | None:
        """The best weights with their step and score; None where nothing was saved yet. Raises ModelError."""
        if not self.has_weights() and not self._has(WEIGHTS):
            return None
        path = self._sound(WEIGHTS)
        arrays, facts = read_arrays(path)
        config = self.record().model
        # Counted before anything of that size is built: the record may be a stranger's.
        if sum(array.size for array in arrays.values()) != config.parameters:
            raise ModelError(f"{path} is not of the shape that config.json names", hint=DAMAGED)
        real = np.dtype(np.float32)
        check_arrays(path, arrays, {name: (real, shape) for name, shape in config.shapes.items()})
        score, step = facts.get("score"), facts.get("step")
        if type(step) is not int:
            raise ModelError(f"{path} does not say its step", hint=DAMAGED)
        return Weights(arrays, step, None if score is None else read_config(Score, score, f"{path}: score"))

    def needed_weights(self) -> Weights:
        """The same; raises ModelError where there are none."""
        weights = self.weights()
        if weights is None:
            raise ModelError(
                f"{self.path} has no weights yet: its training did not get that far",
                hint=f"go on with: rnncli train --resume {self.path.name}",
            )
        return weights

    def save_ngram(self, ngram: Ngram, mixture: Mixture) -> None:
        """Put an n-gram beside the network, in place of the one before."""
        self._replace({NGRAM: packed_ngram(ngram, mixture)})

    def ngram(self) -> tuple[Ngram, Mixture] | None:
        """The n-gram beside the network and their mixture; None where there is none. Raises ModelError."""
        if not self._has(NGRAM):
            return None
        return read_ngram(self.path / NGRAM, self.record().model.vocab_size)

    def known_lines(self) -> KnownLines | None:
        """The lines that the model has learned from; None where they were too many. Raises ModelError."""
        if not self._has(LINES):
            return None
        path = self.path / LINES
        arrays, _ = read_arrays(path, strict.LARGEST_BYTES)
        numbers = arrays.get("numbers", np.zeros(0, np.uint64))
        check_arrays(path, arrays, {"numbers": (np.dtype(np.uint64), (numbers.size,))})
        return KnownLines(numbers)

    def describe(self) -> dict[str, Any]:
        """All that the folder says of the model, as plain values; raises ModelError."""
        record, best = self.record(), self.weights()
        return {
            "path": str(self.path),
            **asdict(record),
            "architecture": record.model.architecture,
            "parameters": record.model.parameters,
            "tensors": {name: list(shape) for name, shape in record.model.shapes.items()} if best else {},
            "best_step": None if best is None else best.step,
            "valid": None if best is None or best.score is None else best.score.record(),
            "curve": [
                {
                    "step": line["step"],
                    "valid_nats_per_token": line["score"]["nats"] / line["score"]["tokens"],
                }
                for line in self.metrics()
                if line.get("report") == "evaluated" and line["score"]["nats"] is not None
            ],
        }

    def append_metrics(self, report: Report) -> None:
        """One report as a line of metrics.jsonl."""
        append_report(self.path / METRICS, report)

    def metrics(self) -> Generator[dict[str, Any]]:
        """Every report in metrics.jsonl; a line torn by a crash, or of another kind, is passed over."""
        check_bounds(self.path, METRICS, self.record)
        return read_reports(self.path / METRICS, self.path)

    def write_card(self, planned: Planned, step: int, score: Score | None) -> None:
        """README.md: what the model of `step` is, for a person who is handed the folder."""
        card = model_card(self.path.name, planned, step, score)
        self._replace({CARD: card.encode(errors="backslashreplace")})

    def checkpoint(self, step: int) -> Path:
        """Raises ModelError where it is not what was written."""
        return self._sound(checkpoint_name(step))

    def checkpoints(self) -> list[int]:
        """The steps of those that are there or should be, the newest last: never by file time."""
        manifest = Manifest.read(self.path)
        if (self.path / CHECKPOINTS).is_symlink():
            raise ModelError(f"{self.path / CHECKPOINTS} is a link", hint=DAMAGED)
        names = [name for name, entries in manifest.files.items() if None not in entries or self._has(name)]
        return sorted(int(found[1]) for name in names if (found := CHECKPOINT.fullmatch(name)))

    def wrong(self) -> list[str]:
        """What is not what was written, a sentence a file; raises ModelError without a sound manifest."""
        return list(Manifest.read(self.path).wrong(self.path))

    def remove(self) -> None:
        """All of it; raises StorageError."""
        try:
            runtime.remove_tree(self.path)
            with suppress(OSError):  # it stays where there is anything else in it
                self.path.parent.rmdir()
        except OSError as error:
            raise StorageError(
                f"cannot remove {self.path}: {error.strerror}", hint="check the permissions of that folder"
            ) from error

    def forget_after(self, step: int) -> None:
        """Make the folder that of a run which came to `step` and no further, without leftovers of writes."""
        for leftover in [*self.path.glob(f"{files.PARTIAL}*"), *self.path.glob(f"*/{files.PARTIAL}*")]:
            files.remove_file(leftover)
        # In their order: what was noted after the step has no step of its own.
        with closing(self.metrics()) as lines:  # Windows does not replace a file that is still open
            kept = takewhile(lambda line: line.get("step", 0) <= step, lines)
            content = "".join(to_json(line) + "\n" for line in kept).encode()
        later = [checkpoint_name(other) for other in self.checkpoints() if other > step]
        self._replace({METRICS: content} if (self.path / METRICS).exists() else {}, later)

    def _has(self, name: str) -> bool:
        """Whether a file is there, as it was written; raises ModelError where it must be and is not."""
        check_bounds(self.path, name, self.record)
        return Manifest.read(self.path).check(self.path, name)

    def _sound(self, name: str) -> Path:
        """The path of a file that is what was written; raises ModelError."""
        self._has(name)
        return self.path / name

    def _replace(self, contents: Mapping[str, bytes], gone: Sequence[str] = ()) -> None:
        """Write files in their order, then unlink others: storage/manifest.py. Raises StorageError."""
        manifest = Manifest.read(self.path)
        changes: dict[str, Entry | None] = {name: Entry.of(content) for name, content in contents.items()}
        changes |= dict.fromkeys(gone)
        if METRICS not in changes and (self.path / METRICS).exists():
            changes[METRICS] = Entry.of_file(self.path / METRICS, self.path)
        manifest.allowing(changes).write(self.path)
        for name, content in contents.items():
            files.write_file(self.path / name, content)
        settled = manifest.settled(changes)
        for name in contents if gone else ():
            settled.check(self.path, name)
        for name in gone:
            files.remove_file(self.path / name)
        settled.write(self.path)
