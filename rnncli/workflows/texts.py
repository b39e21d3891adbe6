"""Read texts and open token datasets, for tokenizing and for training."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from rnncli.data.config import Level, ReadOptions, TextConfig, TextOptions
from rnncli.data.corpus import Corpus
from rnncli.data.dataset import TokenDataset, is_token_dataset
from rnncli.data.dataset_builder import build_dataset, check_long_enough
from rnncli.data.sources import LIST_MARK, STDIN
from rnncli.data.statistics import LEVEL_SAMPLE_CHARACTERS, default_level, has_few_spaces
from rnncli.data.tokenizers.base import Tokenizer
from rnncli.data.tokenizers.serialization import load_tokenizer
from rnncli.errors import ConfigError
from rnncli.options import given_options
from rnncli.storage.model_dir import ModelDir

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Texts:
    """Texts that have been read once, with the options for tokenizing and splitting them.

    Attributes:
        corpus: The texts to train on.
        valid: Texts for the validation split, if any were named.
        tokenizer: An existing tokenizer, if one was named.
        level: The recommended tokenization level, or that of the tokenizer.
        options: How to tokenize and split them.
    """

    corpus: Corpus
    valid: Corpus | None
    tokenizer: Tokenizer | None
    level: Level
    options: TextOptions

    @classmethod
    def survey(cls, paths: Sequence[str], read: ReadOptions, options: TextOptions, scratch: Path) -> Self:
        """Read texts once.

        Args:
            paths: Files, folders, patterns, lists of them (@FILE), or - for stdin.
            read: How to read them.
            options: How they will be tokenized and split.
            scratch: Folder for copies of texts that cannot be read twice.

        Raises:
            CorpusError: A text cannot be read or is too short.
            ConfigError: The options contradict the tokenizer.
        """
        tokenizer = None if options.tokenizer is None else find_tokenizer(options.tokenizer)
        if tokenizer is not None:
            options.config(tokenizer.level)  # refused before the texts are read
        corpus = Corpus.scan(paths, read, scratch)
        valid = Corpus.scan(options.valid, read, scratch) if options.valid else None
        check_long_enough(corpus)
        level = (
            default_level(corpus.sample(LEVEL_SAMPLE_CHARACTERS)) if tokenizer is None else tokenizer.level
        )
        return cls(corpus, valid, tokenizer, level, options)

    def config(self, level: Level | None = None) -> TextConfig:
        """Return the configuration, with `level` or the recommended one where none was chosen."""
        return self.options.config(level or self.level)

    def build(self, config: TextConfig, folder: Path, earlier: Tokenizer | None = None) -> TokenDataset:
        """Tokenize the texts into the empty `folder`; logs a warning if the level does not suit them.

        A new tokenizer keeps the vocabulary of `earlier`.
        """
        splits_at_spaces = config.level == "word" and config.pattern is None
        if splits_at_spaces and has_few_spaces(self.corpus.sample(LEVEL_SAMPLE_CHARACTERS)):
            _log.warning(
                "%s has hardly any spaces, so that words between spaces are whole phrases; "
                "--level subword or --level char suits it better",
                self.corpus.name,
            )
        return build_dataset(
            self.corpus,
            config,
            folder,
            valid=self.valid,
            tokenizer=self.tokenizer,
            pretrained=earlier,
            workers=self.options.workers,
        )


def scratch_folder(folder: Path) -> TemporaryDirectory[str]:
    """Return a place for copies of texts that cannot be read twice, inside a folder that is being filled."""
    return TemporaryDirectory(dir=folder, prefix="scratch-")


def datasets_at(paths: Sequence[str]) -> list[Path]:
    """Return the folders of token datasets if `paths` are such; raises ConfigError for a mixture."""
    datasets = [Path(path) for path in paths if is_token_dataset(Path(path))]
    if datasets and len(datasets) < len(paths):
        raise ConfigError(
            f"{datasets[0]} is a token dataset, and not all of the others are",
            hint="tokenize the texts with --tokenizer, and name token datasets only",
        )
    return datasets


def open_datasets(paths: Sequence[Path], read: ReadOptions, options: TextOptions) -> TokenDataset:
    """Open token datasets as one; logs a warning if a text is no longer the one that was tokenized.

    Raises:
        ConfigError: An option is given that holds for texts only.
    """
    for given in given_options(read) + given_options(options):
        raise ConfigError(
            f"{paths[0]} is already tokenized, so {given.flag} has no effect",
            hint="leave it out, or train on the text itself",
        )
    datasets = [TokenDataset.open(path) for path in paths]
    for path, dataset in zip(paths, datasets, strict=True):
        warn_of_changes(dataset, str(path))
    return TokenDataset.joined(datasets)


def warn_of_changes(dataset: TokenDataset, where: str) -> None:
    """Log a warning if the text of a dataset is no longer the one that was tokenized."""
    changed = dataset.origin.changed()
    if changed is not None:
        _log.warning("%s has changed since %s was made; the earlier text is used", changed, where)


def title(paths: Sequence[str]) -> str:
    """Return a name for a model or a dataset of these texts: novel for novel.txt.gz."""
    first = paths[0]
    if first == STDIN:
        return "stdin"
    name = Path(os.path.abspath(first.removeprefix(LIST_MARK))).name  # noqa: PTH100 - follows no link
    return name.lstrip(".").split(".")[0] or "text"


def find_tokenizer(name: str) -> Tokenizer:
    """Return the tokenizer of a token dataset or a model; raises ModelError and TokenizerError."""
    if is_token_dataset(Path(name)):
        return load_tokenizer(Path(name))
    return ModelDir.find(name).tokenizer()
