"""The texts a person names, as token stores: what tokenize and train share."""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self, TypeVar

from rnncli.data.config import Level, ReadConfig, TextConfig
from rnncli.data.corpus import Corpus
from rnncli.data.dataset import TokenStore, is_store, load_tokenizer
from rnncli.data.dataset_builder import build, refuse_short
from rnncli.data.levels import GLIMPSE_CHARACTERS, natural_level, spaces_are_scarce
from rnncli.data.sources import LIST_MARK, STDIN
from rnncli.data.tokenizers.base import Tokenizer
from rnncli.errors import ConfigError

_log = logging.getLogger(__name__)
_OF_A_NEW_TOKENIZER = ("level", "vocab_size", "subword_kind", "pattern")
# Settings of a text that a token store has settled already.
SETTLED_BY_A_STORE = (
    *(entry.name for kind in (TextConfig, ReadConfig) for entry in fields(kind)),
    *("valid", "tokenizer", "workers"),
)

Config = TypeVar("Config", ReadConfig, TextConfig)


@dataclass(frozen=True)
class Texts:
    """Texts that have been read once, and what was said of how to cut them."""

    corpus: Corpus
    valid: Corpus | None
    tokenizer: Tokenizer | None
    natural: Level
    settings: Mapping[str, Any]

    @classmethod
    def survey(cls, given: Sequence[str], settings: Mapping[str, Any], scratch: Path) -> Self:
        """Read them; `scratch` holds what cannot be read twice. Raises CorpusError and ConfigError."""
        reading = _config(ReadConfig, settings)
        tokenizer = _tokenizer(settings)
        held_out = settings.get("valid")
        if held_out and settings.get("valid_fraction") is not None:
            raise ConfigError("both --valid and --valid-fraction are given", hint="give one of them")
        text_config("char" if tokenizer is None else tokenizer.level, settings)  # before the reading
        corpus = Corpus.survey(given, reading, scratch)
        valid = Corpus.survey(held_out, reading, scratch) if held_out else None
        refuse_short(corpus)
        natural = natural_level(corpus.sample(GLIMPSE_CHARACTERS)) if tokenizer is None else tokenizer.level
        texts = cls(corpus, valid, tokenizer, natural, settings)
        texts.config()
        return texts

    def config(self, level: Level | None = None) -> TextConfig:
        """The settings, with `level` or the natural one where none was given."""
        return text_config(level or self.natural, self.settings)

    def build(self, config: TextConfig, folder: Path, earlier: Tokenizer | None = None) -> TokenStore:
        """A store in the empty `folder`; logs a warning if the level does not suit the text.

        A new tokenizer keeps the symbols of `earlier`.
        """
        plain_words = config.level == "word" and config.pattern is None
        if plain_words and spaces_are_scarce(self.corpus.sample(GLIMPSE_CHARACTERS)):
            _log.warning(
                "%s has hardly any spaces, so that words between spaces are whole phrases; "
                "--level subword or --level char suits it better",
                self.corpus.name,
            )
        return build(
            self.corpus,
            config,
            folder,
            valid=self.valid,
            tokenizer=self.tokenizer,
            earlier=earlier,
            workers=self.settings.get("workers"),
        )


def text_config(level: Level, given: Mapping[str, Any]) -> TextConfig:
    """Settings by name, `level` where none is given; raises ConfigError for one that would do nothing."""
    config = _config(TextConfig, {"level": level, **_named(given)})
    for field, needed, value in (
        ("subword_kind", "level", "subword"),
        ("pattern", "level", "word"),
        ("split_seed", "split", "lines"),
    ):
        if given.get(field) is not None and getattr(config, needed) != value:
            raise ConfigError(
                f"{field.replace('_', '-')} has no meaning without --{needed} {value}",
                hint=f"leave it out, or add --{needed} {value}",
            )
    return config


def read_config(given: Mapping[str, Any]) -> ReadConfig:
    """Settings by name; raises ConfigError."""
    return _config(ReadConfig, given)


def scratch(folder: Path) -> TemporaryDirectory[str]:
    """A place for copies of what cannot be read twice, inside a folder that is being filled."""
    return TemporaryDirectory(dir=folder, prefix="scratch-")


def stores_at(paths: Sequence[str]) -> list[Path]:
    """The token stores, where that is what was named; raises ConfigError where texts are among them."""
    stores = [Path(path) for path in paths if is_store(Path(path))]
    if stores and len(stores) < len(paths):
        raise ConfigError(
            f"{stores[0]} is a token store, and not all of the others are",
            hint="tokenize the texts with --tokenizer, and name stores alone",
        )
    return stores


def open_stores(paths: Sequence[Path]) -> TokenStore:
    """Token stores as one; logs a warning if a text is no longer the one that was tokenized."""
    stores = [TokenStore.open(path) for path in paths]
    for path, store in zip(paths, stores, strict=True):
        warn_of_changes(store, str(path))
    return TokenStore.joined(stores)


def warn_of_changes(store: TokenStore, where: str) -> None:
    """Log a warning if the text of a store is no longer the one that was tokenized."""
    changed = store.origin.changed()
    if changed is not None:
        _log.warning("%s is not what it was when %s was made; the text of then is used", changed, where)


def title(given: Sequence[str]) -> str:
    """What to call a model or a store of these texts: novel for novel.txt.gz."""
    first = given[0]
    if first == STDIN:
        return "stdin"
    name = Path(os.path.abspath(first.removeprefix(LIST_MARK))).name  # noqa: PTH100 - follows no link
    return name.lstrip(".").split(".")[0] or "text"


def named_tokenizer(name: str) -> Tokenizer:
    """That of a token store or of a model; raises ModelError and TokenizerError."""
    if is_store(Path(name)):
        return load_tokenizer(Path(name))
    from rnncli.storage.model_dir import ModelDir  # only here: it brings torch

    return ModelDir.find(name).tokenizer()


def _tokenizer(settings: Mapping[str, Any]) -> Tokenizer | None:
    if settings.get("tokenizer") is None:
        return None
    for name in _OF_A_NEW_TOKENIZER:
        if settings.get(name) is not None:
            raise ConfigError(
                f"both --tokenizer and --{name.replace('_', '-')} are given",
                hint="a tokenizer that exists has its level and its symbols; leave the other out",
            )
    return named_tokenizer(settings["tokenizer"])


def _config(kind: type[Config], given: Mapping[str, Any]) -> Config:
    names = {entry.name for entry in fields(kind)}
    return kind(**{name: value for name, value in given.items() if name in names and value is not None})


def _named(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}
