"""The only code that knows what models/NAME/ looks like.

models/NAME/
    manifest.json         size and SHA-256 of every other file
    config.json           what the model is, how it is trained, where its text is, how far it came
    tokenizer.json        or tokenizer.model
    model.safetensors     the best weights, with their score and hash in its metadata
    lines.safetensors     which lines the training text has, where they are not too many
    ngram.safetensors     the traditional model beside the network, where there is one
    corpus.tok/           the tokenized text, unless it came as a token store of its own
    metrics.jsonl         a line a report
    README.md             the model card
    checkpoints/step-N.safetensors    all that a resume needs; the newest two are kept
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rnncli import __version__, atomic
from rnncli.errors import CorpusError, ModelError, StorageError
from rnncli.model.config import ModelConfig
from rnncli.model.mixture import Mixture
from rnncli.model.ngram import Ngram
from rnncli.reports import Planned, Report, Score, to_json
from rnncli.storage.array_file import Array, check_arrays, packed, read_arrays
from rnncli.storage.card import model_card
from rnncli.storage.manifest import MANIFEST, Entry, Manifest
from rnncli.storage.ngram_file import packed_ngram, read_ngram
from rnncli.storage.record import FORMAT_VERSION, MODELS, Record, Status, checked_name, now, read_record
from rnncli.storage.safe_load import DAMAGED, read_config, read_file
from rnncli.text import known_lines
from rnncli.text.known_lines import KnownLines
from rnncli.text.store import TOKENIZERS, TokenStore, parsed_tokenizer, tokenizer_file
from rnncli.text.tokenizers import Tokenizer, fingerprint
from rnncli.training.config import TrainConfig

_CONFIG, _WEIGHTS, _METRICS, _CARD = "config.json", "model.safetensors", "metrics.jsonl", "README.md"
_NGRAM, _LINES = "ngram.safetensors", "lines.safetensors"
_CORPUS, _CHECKPOINTS = "corpus.tok", "checkpoints"
_KEPT_CHECKPOINTS, _FIRST_WITH_MANIFEST = 2, 4


_CHECKPOINT = re.compile(rf"{_CHECKPOINTS}/step-([0-9]{{1,15}})\.safetensors")


class Weights(NamedTuple):
    """Weights by name, the step they are of, and how good they were found to be then."""

    arrays: dict[str, Array]
    step: int
    score: Score | None


@dataclass(frozen=True)
class ModelDir:
    """One folder under models/; every method reads or writes whole files."""

    path: Path

    @classmethod
    @contextmanager
    def new(cls, name: str) -> Iterator["Draft"]:
        """A folder for a run, filled before its first step; raises StorageError when NAME is taken.

        It becomes models/NAME at the end of the block, whole, or not at all.
        """
        folder = cls.refuse_taken(checked_name(name))
        try:
            MODELS.mkdir(exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"cannot make {MODELS.resolve()}: {error.strerror}",
                hint="work in a folder that you may write to",
            ) from error
        try:
            with atomic.new_folder(folder) as partial:
                yield Draft(cls(folder), partial)
        finally:
            with suppress(OSError):  # it stays where there is anything in it
                MODELS.rmdir()

    @classmethod
    def refuse_taken(cls, name: str) -> Path:
        """The folder that NAME would get; raises ModelError where it exists already."""
        folder = MODELS / name
        if folder.exists():
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
                if (folder / _CONFIG).is_file() or (folder / MANIFEST).is_file():
                    return cls(folder)
        names = [folder.path.name for folder in cls.all()]
        near = get_close_matches(model, names, 1)
        known = f"did you mean {near[0]}?" if near else f"there are {', '.join(names) or 'no models yet'}"
        raise ModelError(f"there is no model {model}, neither in {MODELS}/ nor as a folder", hint=known)

    @classmethod
    def all(cls) -> list["ModelDir"]:
        """Every model under models/, by name; leftovers of interrupted writes are not models."""
        found = sorted(MODELS.glob(f"*/{_CONFIG}"))
        return [cls(file.parent) for file in found if not file.parent.name.startswith(atomic.PARTIAL)]

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
        manifest = Manifest.read(self.path)
        if manifest is not None:
            manifest.check(self.path, _CONFIG)
        record = read_record(self.path / _CONFIG)
        if manifest is None and record.format_version >= _FIRST_WITH_MANIFEST:
            raise ModelError(f"{self.path / MANIFEST} is missing", hint=DAMAGED)
        return record

    def update(self, **changes: Any) -> None:
        """Change fields of the record and the instant at which it was saved."""
        self._replace({_CONFIG: _packed(replace(self.record(), saved_at=now(), **changes))})

    def tokenizer(self) -> Tokenizer:
        """The model's own tokenizer; raises ModelError when it is another's."""
        name = next((name for name in TOKENIZERS if os.path.lexists(self.path / name)), TOKENIZERS[0])
        tokenizer = parsed_tokenizer(name, read_file(self._sound(name)))
        if fingerprint(tokenizer) != self.record().tokenizer_fingerprint:
            raise ModelError(f"{self.path} holds the tokenizer of another model", hint=DAMAGED)
        return tokenizer

    def corpus(self) -> TokenStore:
        """The text that the model was trained on; raises CorpusError when it is gone or changed."""
        record, manifest = self.record(), Manifest.read(self.path)
        for name in manifest.files if manifest else ():
            if name.startswith(f"{_CORPUS}/"):
                self._sound(name)
        paths = [Path(store) for store in record.stores] or [self.path / _CORPUS]
        store = TokenStore.joined([TokenStore.open(path) for path in paths])
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
        return (self.path / _WEIGHTS).is_file()

    def save_checkpoint(
        self, step: int, seconds: float, status: Status, run: bytes, best: Weights | None
    ) -> None:
        """All that a resume needs, the best weights where they are new, and how far the run came.

        All but the newest checkpoints go, once this one was read again and is what it should be.
        """
        record = replace(self.record(), saved_at=now(), step=step, seconds=seconds, status=status)
        contents = {_checkpoint(step): run}
        if best is not None:
            contents[_WEIGHTS] = _packed_weights(best)
        steps = sorted({*self.checkpoints(), step})[:-_KEPT_CHECKPOINTS]
        self._replace({**contents, _CONFIG: _packed(record)}, [_checkpoint(old) for old in steps])

    def weights(self) -> Weights | None:
        """The best weights with their step and score; None where nothing was saved yet. Raises ModelError."""
        if not self._has(_WEIGHTS):
            return None
        path = self.path / _WEIGHTS
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
        self._replace({_NGRAM: packed_ngram(ngram, mixture)})

    def ngram(self) -> tuple[Ngram, Mixture] | None:
        """The n-gram beside the network and their mixture; None where there is none. Raises ModelError."""
        if not self._has(_NGRAM):
            return None
        return read_ngram(self.path / _NGRAM, self.record().model.vocab_size)

    def known_lines(self) -> KnownLines | None:
        """The lines that the model has learned from; None where they were too many. Raises ModelError."""
        if not self._has(_LINES):
            return None
        path = self.path / _LINES
        arrays, _ = read_arrays(path)
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
        line = {"report": type(report).__name__.lower(), **asdict(report)}
        atomic.append_line(self.path / _METRICS, to_json(line))

    def metrics(self) -> list[dict[str, Any]]:
        """Every whole line of metrics.jsonl; a line torn by a crash is passed over."""
        path = self.path / _METRICS
        found = []
        for line in read_file(path).split(b"\n") if path.exists() else []:
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return [line for line in found if isinstance(line, dict)]

    def write_card(self, planned: Planned, weights: Weights) -> None:
        """README.md: what the model is, for a person who is handed the folder."""
        card = model_card(self.path.name, planned, weights.step, weights.score)
        self._replace({_CARD: card.encode()})

    def checkpoint(self, step: int) -> Path:
        """Raises ModelError where it is not what was written."""
        return self._sound(_checkpoint(step))

    def checkpoints(self) -> list[int]:
        """The steps of those that are there or should be, the newest last: never by file time."""
        manifest = Manifest.read(self.path)
        if manifest is None:
            names = [f"{_CHECKPOINTS}/{path.name}" for path in (self.path / _CHECKPOINTS).glob("*")]
        else:
            names = [
                name for name, entries in manifest.files.items() if None not in entries or self._has(name)
            ]
        return sorted(int(found[1]) for name in names if (found := _CHECKPOINT.fullmatch(name)))

    def wrong(self) -> list[str]:
        """What is not what was written, a sentence a file; raises ModelError where nobody knows."""
        manifest = Manifest.read(self.path)
        if manifest is None:
            raise ModelError(
                f"{self.path / MANIFEST} is missing: nothing says what was written",
                hint="models have it from format 4 on",
            )
        return list(manifest.wrong(self.path))

    def forget_after(self, step: int) -> None:
        """Make the folder that of a run which came to `step` and no further, without leftovers of writes."""
        for leftover in [*self.path.glob(f"{atomic.PARTIAL}*"), *self.path.glob(f"*/{atomic.PARTIAL}*")]:
            atomic.remove_file(leftover)
        lines = [to_json(line) for line in self.metrics() if line.get("step", 0) <= step]
        kept = "".join(line + "\n" for line in lines).encode()
        later = [_checkpoint(other) for other in self.checkpoints() if other > step]
        self._replace({_METRICS: kept} if (self.path / _METRICS).exists() else {}, later)

    def _has(self, name: str) -> bool:
        """Whether a file is there that need not be; raises ModelError where it must be and is not."""
        manifest = Manifest.read(self.path)
        return manifest.check(self.path, name) if manifest else os.path.lexists(self.path / name)

    def _sound(self, name: str) -> Path:
        """The path of a file that is what was written; raises ModelError."""
        manifest = Manifest.read(self.path)
        if manifest is not None:
            manifest.check(self.path, name)
        return self.path / name

    def _replace(self, contents: Mapping[str, bytes], gone: Sequence[str] = ()) -> None:
        """Write files in their order, then unlink others: storage/manifest.py. Raises StorageError."""
        manifest = Manifest.read(self.path) or Manifest.of(self.path)
        changes: dict[str, Entry | None] = {name: Entry.of(content) for name, content in contents.items()}
        changes |= dict.fromkeys(gone)
        if _METRICS not in changes and (self.path / _METRICS).exists():
            changes[_METRICS] = Entry.of(read_file(self.path / _METRICS))
        manifest.allowing(changes).write(self.path)
        for name, content in contents.items():
            atomic.write_file(self.path / name, content)
        settled = manifest.settled(changes)
        for name in contents if gone else ():
            settled.check(self.path, name)
        for name in gone:
            atomic.remove_file(self.path / name)
        settled.write(self.path)


@dataclass(frozen=True)
class Draft:
    """A run's folder before it is one: `model_dir` is what it becomes."""

    model_dir: ModelDir
    partial: Path

    def corpus_folder(self) -> Path:
        """An empty folder for the tokenized text."""
        folder = self.partial / _CORPUS
        folder.mkdir()
        return folder

    def describe(
        self,
        model: ModelConfig,
        training: TrainConfig,
        corpus: TokenStore,
        stores: Sequence[Path],
        ngram_order: int,
        run: bytes,
        best: Weights | None,
    ) -> None:
        """Write all but the corpus; `stores` are where that is, where it is not in the folder itself.

        `run` is the checkpoint before the first step, `best` the weights that it begins with, if any.
        """
        created_at = now()
        record = Record(
            name=self.model_dir.path.name,
            created_at=created_at,
            saved_at=created_at,
            status="training",
            model=model,
            training=training,
            corpus=corpus.name,
            corpus_sha256=corpus.origin.sha256,
            stores=tuple(str(store.resolve()) for store in stores),
            level=corpus.tokenizer.level,
            unit=corpus.origin.text.unit,
            tokenizer_fingerprint=fingerprint(corpus.tokenizer),
            ngram_order=ngram_order,
        )
        (self.partial / tokenizer_file(corpus.tokenizer)).write_bytes(corpus.tokenizer.to_bytes())
        (self.partial / _CONFIG).write_bytes(_packed(record))
        if corpus.train.tokens <= known_lines.MOST_TOKENS:
            lines = KnownLines.of(corpus.train.ids, corpus.train.line_end)
            if len(lines.numbers) <= known_lines.MOST_LINES:
                (self.partial / _LINES).write_bytes(packed({"numbers": lines.numbers}, {}))
        (self.partial / _CHECKPOINTS).mkdir()
        (self.partial / _checkpoint(0)).write_bytes(run)
        if best is not None:
            (self.partial / _WEIGHTS).write_bytes(_packed_weights(best))
        Manifest.of(self.partial).write(self.partial)


def _packed(record: Record) -> bytes:
    """As what this version writes, whatever it was read from."""
    current = replace(record, format_version=FORMAT_VERSION, rnncli_version=__version__)
    return json.dumps(asdict(current), indent=1).encode() + b"\n"


def _packed_weights(weights: Weights) -> bytes:
    score = None if weights.score is None else asdict(weights.score)
    return packed(weights.arrays, {"step": weights.step, "score": score})


def _checkpoint(step: int) -> str:
    return f"{_CHECKPOINTS}/step-{step}.safetensors"
