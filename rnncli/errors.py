"""Every error that rnncli foresees. Anything else is a bug and keeps its traceback.

RnncliError                  what went wrong and where, and a hint: what to do next
├── CorpusError              a text cannot be read, is too small, has changed or is gone
├── TokenizerError           a tokenizer cannot be learned, loaded or applied
├── ConfigError              a setting is unknown, or contradicts another
│   └── OptionError          an option is unknown, or its value is out of range
├── TrainingError            training cannot start or go on
├── MissingPackageError      an optional package is not installed
├── GenerationError          a prompt or a sampling setting makes no sense
└── StorageError             a file cannot be read or written
    └── ModelError           a model folder is missing, damaged, foreign or too new
"""


class RnncliError(Exception):
    """An error for a person to read: `str(error)` says what and where, `hint` what to do next."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint

    def __reduce__(self) -> tuple[type["RnncliError"], tuple[str, str]]:
        return type(self), (str(self), self.hint)  # on its way from another process


class CorpusError(RnncliError):
    """A text cannot be read, is too small, has changed or is gone."""


class TokenizerError(RnncliError):
    """A tokenizer cannot be learned, loaded or applied."""


class ConfigError(RnncliError):
    """A setting is unknown, or contradicts another."""


class OptionError(ConfigError):
    """An option is unknown, or its value is out of range."""


class TrainingError(RnncliError):
    """Training cannot start or go on."""


class MissingPackageError(RnncliError):
    """An optional package is not installed."""


class GenerationError(RnncliError):
    """A prompt or a sampling setting makes no sense."""


class StorageError(RnncliError):
    """A file cannot be read or written."""


class ModelError(StorageError):
    """A model folder is missing, damaged, foreign or too new."""
