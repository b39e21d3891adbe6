"""rnncli: train, evaluate and use recurrent language models, from the command line and from Python.

import rnncli

result = rnncli.train("novel.txt", name="novel", time="5m")
model = rnncli.load("novel")
for text in model.generate("The ", number=3, length=60, temperature=0.7):
    print(text.text)

Importing rnncli imports neither torch nor numpy: names are imported when they are used.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rnncli.data.config import ReadOptions, TextConfig, TextOptions, TokenizeOptions
    from rnncli.errors import (
        ConfigError,
        CorpusError,
        GenerationError,
        MissingPackageError,
        ModelError,
        OptionError,
        RnncliError,
        StorageError,
        TokenizerError,
        TrainingError,
    )
    from rnncli.evaluation.config import CacheOptions, DynamicOptions, EvaluationOptions
    from rnncli.evaluation.surprisal import ScoredLine, ScoredUnit
    from rnncli.events import CorpusReport, Evaluated, Event, Planned, Remark, Sampled, Saved, Stepped
    from rnncli.generation.config import (
        CompletionOptions,
        GenerationOptions,
        SamplingOptions,
        StoppingOptions,
    )
    from rnncli.metrics import Score
    from rnncli.nn.config import ModelConfig, ModelOptions
    from rnncli.results import (
        ChunkedScoring,
        Completions,
        DynamicScore,
        Evaluation,
        GeneratedText,
        LossGroup,
        ModelScore,
        PairedDifference,
    )
    from rnncli.training.config import BudgetOptions, TrainConfig, TrainingOptions, TrainOptions
    from rnncli.workflows.model import Model
    from rnncli.workflows.resume import resume
    from rnncli.workflows.tokenize import TokenizeResult, tokenize
    from rnncli.workflows.train import train
    from rnncli.workflows.training_session import TrainResult

__version__ = "0.1.0"

# Where each public name is defined.
_MODULES = {
    "rnncli.data.config": (
        "ReadOptions",
        "TextConfig",
        "TextOptions",
        "TokenizeOptions",
    ),
    "rnncli.errors": (
        "ConfigError",
        "CorpusError",
        "GenerationError",
        "MissingPackageError",
        "ModelError",
        "OptionError",
        "RnncliError",
        "StorageError",
        "TokenizerError",
        "TrainingError",
    ),
    "rnncli.evaluation.config": (
        "CacheOptions",
        "DynamicOptions",
        "EvaluationOptions",
    ),
    "rnncli.evaluation.surprisal": (
        "ScoredLine",
        "ScoredUnit",
    ),
    "rnncli.events": (
        "CorpusReport",
        "Evaluated",
        "Event",
        "Planned",
        "Remark",
        "Sampled",
        "Saved",
        "Stepped",
    ),
    "rnncli.generation.config": (
        "CompletionOptions",
        "GenerationOptions",
        "SamplingOptions",
        "StoppingOptions",
    ),
    "rnncli.nn.config": (
        "ModelConfig",
        "ModelOptions",
    ),
    "rnncli.results": (
        "ChunkedScoring",
        "Completions",
        "DynamicScore",
        "Evaluation",
        "GeneratedText",
        "LossGroup",
        "ModelScore",
        "PairedDifference",
        "Score",
    ),
    "rnncli.training.config": (
        "BudgetOptions",
        "TrainConfig",
        "TrainingOptions",
        "TrainOptions",
    ),
    "rnncli.workflows.model": ("Model",),
    "rnncli.workflows.resume": ("resume",),
    "rnncli.workflows.tokenize": (
        "TokenizeResult",
        "tokenize",
    ),
    "rnncli.workflows.train": ("train",),
    "rnncli.workflows.training_session": ("TrainResult",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "BudgetOptions",
    "CacheOptions",
    "ChunkedScoring",
    "CompletionOptions",
    "Completions",
    "ConfigError",
    "CorpusError",
    "CorpusReport",
    "DynamicOptions",
    "DynamicScore",
    "Evaluated",
    "Evaluation",
    "EvaluationOptions",
    "Event",
    "GeneratedText",
    "GenerationError",
    "GenerationOptions",
    "LossGroup",
    "MissingPackageError",
    "Model",
    "ModelConfig",
    "ModelError",
    "ModelOptions",
    "ModelScore",
    "OptionError",
    "PairedDifference",
    "Planned",
    "ReadOptions",
    "Remark",
    "RnncliError",
    "Sampled",
    "SamplingOptions",
    "Saved",
    "Score",
    "ScoredLine",
    "ScoredUnit",
    "Stepped",
    "StoppingOptions",
    "StorageError",
    "TextConfig",
    "TextOptions",
    "TokenizeOptions",
    "TokenizeResult",
    "TokenizerError",
    "TrainConfig",
    "TrainOptions",
    "TrainResult",
    "TrainingError",
    "TrainingOptions",
    "__version__",
    "load",
    "resume",
    "tokenize",
    "train",
]


def load(model: str | os.PathLike[str] | None = None, *, device: str = "auto") -> "Model":
    """Open a trained model. Its weights are read when they are needed.

    Args:
        model: A name under models/, or a folder; without it, the newest finished model.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        ModelError: There is no such model, or it is corrupted.
    """
    from rnncli.storage.model_dir import ModelDir
    from rnncli.workflows.model import Model

    return Model(ModelDir.find(None if model is None else os.fspath(model)), device)


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'rnncli' has no attribute {name!r}")
    value = getattr(import_module(_MODULE_OF[name]), name)
    globals()[name] = value  # the next access does not come here
    return value


def __dir__() -> list[str]:
    return __all__
