"""A model directory while it is created: filled under a temporary name, then renamed or removed."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rnncli import files
from rnncli.data import line_hashes
from rnncli.data.dataset import TokenDataset
from rnncli.data.line_hashes import LineHashes
from rnncli.data.tokenizers.base import fingerprint
from rnncli.data.tokenizers.serialization import tokenizer_file
from rnncli.errors import StorageError
from rnncli.nn.config import ModelConfig
from rnncli.storage.layout import (
    CHECKPOINTS,
    CONFIG,
    CORPUS,
    LINES,
    WEIGHTS,
    Weights,
    checkpoint_name,
    serialize_record,
    serialize_weights,
)
from rnncli.storage.manifest import Manifest
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.record import MODELS, ModelRecord, checked_name, now
from rnncli.storage.safetensors_file import serialize_arrays
from rnncli.training.config import TrainConfig


@dataclass(frozen=True)
class Draft:
    """A model directory while it is created; `model_dir` is what it becomes."""

    model_dir: ModelDir
    partial: Path

    def corpus_folder(self) -> Path:
        """Create an empty folder for the token dataset."""
        folder = self.partial / CORPUS
        folder.mkdir()
        return folder

    def describe(
        self,
        model: ModelConfig,
        training: TrainConfig,
        corpus: TokenDataset,
        *,
        datasets: Sequence[Path],
        ngram_order: int,
        state: bytes,
        best: Weights | None,
    ) -> None:
        """Write all files but the token dataset.

        Args:
            model: Configuration of the model.
            training: Configuration of the training.
            corpus: The token dataset.
            datasets: Folders of the dataset, if they lie outside the model directory.
            ngram_order: Order of the n-gram to fit at the end (0: none).
            state: The checkpoint before the first step.
            best: Weights that the training starts from, if any.
        """
        created_at = now()
        record = ModelRecord(
            name=self.model_dir.path.name,
            created_at=created_at,
            saved_at=created_at,
            status="training",
            model=model,
            training=training,
            corpus=corpus.name,
            corpus_sha256=corpus.origin.sha256,
            datasets=tuple(dataset.resolve().as_posix() for dataset in datasets),
            level=corpus.tokenizer.level,
            line_by_line=corpus.origin.text.line_by_line,
            tokenizer_fingerprint=fingerprint(corpus.tokenizer),
            ngram_order=ngram_order,
        )
        (self.partial / tokenizer_file(corpus.tokenizer)).write_bytes(corpus.tokenizer.to_bytes())
        (self.partial / CONFIG).write_bytes(serialize_record(record))
        if corpus.train.tokens <= line_hashes.MAX_TOKENS:
            lines = LineHashes.of(corpus.train.ids, corpus.train.line_end)
            if len(lines.hashes) <= line_hashes.MAX_LINES:
                (self.partial / LINES).write_bytes(serialize_arrays({"hashes": lines.hashes}, {}))
        (self.partial / CHECKPOINTS).mkdir()
        (self.partial / checkpoint_name(0)).write_bytes(state)
        if best is not None:
            (self.partial / WEIGHTS).write_bytes(serialize_weights(best))
        Manifest.of(self.partial).write(self.partial)


@contextmanager
def new_model(name: str) -> Iterator["Draft"]:
    """Yield a draft that becomes models/NAME at the end of the block, completely or not at all.

    Raises:
        ModelError: NAME is taken.
        StorageError: The folder cannot be written.
    """
    folder = ModelDir.check_name_is_free(checked_name(name))
    try:
        MODELS.mkdir(exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot create {MODELS.resolve()}: {error.strerror}",
            hint="work in a folder that you may write to",
        ) from error
    try:
        with files.new_folder(folder) as partial:
            yield Draft(ModelDir(folder), partial)
    finally:
        with suppress(OSError):  # it stays if there is anything in it
            MODELS.rmdir()
