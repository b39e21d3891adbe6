"""A run's folder before it is one: filled aside, whole in its place or nowhere."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from rnncli import files
from rnncli.data import known_lines
from rnncli.data.dataset import TokenStore, tokenizer_file
from rnncli.data.known_lines import KnownLines
from rnncli.data.tokenizers.base import fingerprint
from rnncli.errors import StorageError
from rnncli.nn.config import ModelConfig
from rnncli.storage.array_file import packed
from rnncli.storage.layout import (
    CHECKPOINTS,
    CONFIG,
    CORPUS,
    LINES,
    WEIGHTS,
    Weights,
    checkpoint_name,
    packed_record,
    packed_weights,
)
from rnncli.storage.manifest import Manifest
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.record import MODELS, Record, checked_name, now
from rnncli.training.config import TrainConfig


@dataclass(frozen=True)
class Draft:
    """A run's folder before it is one: `model_dir` is what it becomes."""

    model_dir: ModelDir
    partial: Path

    def corpus_folder(self) -> Path:
        """An empty folder for the tokenized text."""
        folder = self.partial / CORPUS
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
            stores=tuple(store.resolve().as_posix() for store in stores),
            level=corpus.tokenizer.level,
            unit=corpus.origin.text.unit,
            tokenizer_fingerprint=fingerprint(corpus.tokenizer),
            ngram_order=ngram_order,
        )
        (self.partial / tokenizer_file(corpus.tokenizer)).write_bytes(corpus.tokenizer.to_bytes())
        (self.partial / CONFIG).write_bytes(packed_record(record))
        if corpus.train.tokens <= known_lines.MOST_TOKENS:
            lines = KnownLines.of(corpus.train.ids, corpus.train.line_end)
            if len(lines.numbers) <= known_lines.MOST_LINES:
                (self.partial / LINES).write_bytes(packed({"numbers": lines.numbers}, {}))
        (self.partial / CHECKPOINTS).mkdir()
        (self.partial / checkpoint_name(0)).write_bytes(run)
        if best is not None:
            (self.partial / WEIGHTS).write_bytes(packed_weights(best))
        Manifest.of(self.partial).write(self.partial)


@contextmanager
def new_model(name: str) -> Iterator["Draft"]:
    """A folder for a run, filled before its first step; raises StorageError when NAME is taken.

    It becomes models/NAME at the end of the block, whole, or not at all.
    """
    folder = ModelDir.refuse_taken(checked_name(name))
    try:
        MODELS.mkdir(exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot make {MODELS.resolve()}: {error.strerror}",
            hint="work in a folder that you may write to",
        ) from error
    try:
        with files.new_folder(folder) as partial:
            yield Draft(ModelDir(folder), partial)
    finally:
        with suppress(OSError):  # it stays where there is anything in it
            MODELS.rmdir()
