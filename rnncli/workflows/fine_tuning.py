"""Fine-tuning: what a new run takes from a pretrained model."""

import logging
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Self

from torch import Tensor

from rnncli.data.config import TextOptions
from rnncli.data.tokenizers.base import Tokenizer
from rnncli.data.tokenizers.matching import NEW, match_tokens
from rnncli.data.tokenizers.word import WordTokenizer
from rnncli.errors import ConfigError, ModelError
from rnncli.nn.config import ModelConfig, ModelOptions
from rnncli.options import given_options
from rnncli.storage.checkpoints import load_best
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.record import ModelRecord
from rnncli.training.config import TrainingOptions
from rnncli.training.fine_tuning import transfer_weights
from rnncli.training.hyperparameters import fine_tuning_lr
from rnncli.training.state import BestWeights

_log = logging.getLogger(__name__)
# Model options that a fine-tuned model may choose; the others come with the pretrained weights.
_FREE_OPTIONS = ("dropout", "ngram")
_TOKENIZER_OPTIONS = ("level", "vocab_size", "subword_kind", "pattern", "tokenizer")


@dataclass(frozen=True)
class PretrainedModel:
    """A trained model whose weights a new run starts from."""

    path: Path
    record: ModelRecord
    best: BestWeights
    tokenizer: Tokenizer

    @classmethod
    def find(cls, name: str) -> Self:
        """Load a model by name or path; raises ModelError."""
        model_dir = ModelDir.find(name)
        best = load_best(model_dir)
        if best is None:
            raise ModelError(f"{model_dir.path} has no weights yet", hint="finish its training first")
        return cls(model_dir.path, model_dir.record(), best, model_dir.tokenizer())

    def model_options(self, given: ModelOptions) -> ModelOptions:
        """Return the options with the sizes of this model; raises ConfigError if any of them is given."""
        for option in given_options(given):
            if option.name not in _FREE_OPTIONS:
                raise self._fixed_option(option.name)
        own = {field.name for field in fields(ModelConfig)} - {"vocab_size", *_FREE_OPTIONS}
        return replace(given, **{name: getattr(self.record.model, name) for name in own})

    def text_options(self, given: TextOptions) -> TextOptions:
        """Return the options with the tokenizer, or the level, of this model.

        Raises:
            ConfigError: An option contradicts that.
        """
        for name in _TOKENIZER_OPTIONS:
            if getattr(given, name) is not None:
                raise self._fixed_option(name)
        by_line = self.record.line_by_line if given.line_by_line is None else given.line_by_line
        if not self.extends_vocabulary:
            return replace(given, line_by_line=by_line, tokenizer=str(self.path))
        pattern = self.tokenizer.pattern if isinstance(self.tokenizer, WordTokenizer) else None
        return replace(given, line_by_line=by_line, level=self.tokenizer.level, pattern=pattern)

    def training_options(self, given: TrainingOptions) -> TrainingOptions:
        """Return the options, with a learning rate for weights that are trained already."""
        return replace(given, learning_rate=given.learning_rate or fine_tuning_lr(self.record.model))

    @property
    def extends_vocabulary(self) -> bool:
        """Whether a new text may add tokens; bytes and subwords can represent any text."""
        return self.tokenizer.level in ("char", "word")

    def weights(self, tokenizer: Tokenizer, model: ModelConfig, seed: int) -> dict[str, Tensor]:
        """Return weights for the vocabulary of `tokenizer`; logs how many of its tokens are known."""
        matches = match_tokens(tokenizer, self.tokenizer)
        new = int((matches == NEW).sum())
        _log.info(
            "starting from %s, step %s: %s of its %s tokens are in this text, %s are new",
            self.record.name,
            f"{self.best.step:,}",
            f"{len(matches) - new:,}",
            f"{self.tokenizer.vocab_size:,}",
            f"{new:,}",
        )
        return transfer_weights(self.best.weights, matches, model, seed)

    def _fixed_option(self, name: str) -> ConfigError:
        return ConfigError(
            f"--{name.replace('_', '-')} is settled by --from {self.record.name}",
            hint="leave it out, or train a new model",
        )
