"""`rnncli train --from NAME`: what a run takes over from the model that it begins with."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from rnncli.data.tokenizers.base import Tokenizer, WordTokenizer
from rnncli.data.tokenizers.matching import NEW, matched
from rnncli.errors import ConfigError, ModelError
from rnncli.nn.config import ModelConfig
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.record import Record
from rnncli.storage.runs import load_best
from rnncli.training.fine_tuning import transferred
from rnncli.training.hyperparameters import fine_tuning_rate
from rnncli.training.step import Best

_log = logging.getLogger(__name__)
# The rest of its shape comes with its weights.
_FREE = {"vocab_size", "dropout"}
_OF_A_TOKENIZER = ("level", "vocab_size", "subword_kind", "pattern", "tokenizer")


@dataclass(frozen=True)
class Ancestor:
    """A trained model whose weights another begins with."""

    path: Path
    record: Record
    best: Best
    tokenizer: Tokenizer

    @classmethod
    def find(cls, name: str) -> Self:
        """By name or path; raises ModelError."""
        folder = ModelDir.find(name)
        best = load_best(folder)
        if best is None:
            raise ModelError(f"{folder.path} has no weights yet", hint="finish its training first")
        return cls(folder.path, folder.record(), best, folder.tokenizer())

    def wishes(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The options of a run, with the model's shape; raises ConfigError where they disagree."""
        shape = {key: value for key, value in asdict(self.record.model).items() if key not in _FREE}
        for name in (*shape, *_OF_A_TOKENIZER):
            if given.get(name) is not None:
                raise ConfigError(
                    f"--{name.replace('_', '-')} is settled by --from {self.record.name}",
                    hint="leave it out, or train anew",
                )
        chosen = {key: value for key, value in given.items() if value is not None}
        return {"learning_rate": fine_tuning_rate(self.record.model), **chosen, **shape}

    def text_settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """How a text is cut for it: at its level, and lines as samples where it knows them so."""
        cutting: dict[str, Any] = {"tokenizer": str(self.path)}
        if self.grows:
            pattern = self.tokenizer.pattern if isinstance(self.tokenizer, WordTokenizer) else None
            cutting = {"level": self.tokenizer.level, "pattern": pattern}
        unit = given.get("unit") or self.record.unit
        return {**given, "unit": unit, **cutting}

    @property
    def grows(self) -> bool:
        """Whether new text may bring new symbols; bytes and pieces are enough for any."""
        return self.tokenizer.level in ("char", "word")

    def weights(self, tokenizer: Tokenizer, model: ModelConfig, seed: int) -> dict[str, Tensor]:
        """Weights for a model with the symbols of `tokenizer`; logs how many of them are known."""
        matches = matched(tokenizer, self.tokenizer)
        new = int((matches == NEW).sum())
        _log.info(
            "begins with %s, step %s: %s of its %s symbols are here, %s are new",
            self.record.name,
            f"{self.best.step:,}",
            f"{len(matches) - new:,}",
            f"{self.tokenizer.vocab_size:,}",
            f"{new:,}",
        )
        return transferred(self.best.weights, matches, model, seed)
