"""config.json of a model directory, and the names that models may have."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from rnncli import __version__
from rnncli.errors import ConfigError, ModelError
from rnncli.files import MAX_JSON_BYTES
from rnncli.nn.config import ModelConfig
from rnncli.storage.untrusted import parse_json, read_config, read_file
from rnncli.training.config import TrainConfig

FORMAT_VERSION = 1
MODELS = Path("models")
# Device names of Windows, which are reserved with any extension.
_RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9\u00b9\u00b2\u00b3])(\.|$)", re.IGNORECASE)

Status = Literal["training", "interrupted", "finished"]


@dataclass(frozen=True)
class ModelRecord:
    """The content of config.json. Times are UTC.

    `datasets` are the folders of token datasets that lie elsewhere; if there are none, the dataset is in
    corpus.tok. `ngram_order` is the order of the n-gram that is fitted at the end of the training (0: none).
    """

    name: str
    created_at: str
    saved_at: str
    status: Status
    model: ModelConfig
    training: TrainConfig
    corpus: str
    corpus_sha256: str
    datasets: tuple[str, ...]
    level: str
    line_by_line: bool
    tokenizer_fingerprint: str
    ngram_order: int = 0
    step: int = 0
    seconds: float = 0.0
    format_version: int = FORMAT_VERSION
    rnncli_version: str = __version__
    torch_version: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "datasets", tuple(self.datasets))  # a list in JSON


def read_record(path: Path) -> ModelRecord:
    """Read config.json and check every field; raise ModelError."""
    content = parse_json(read_file(path, MAX_JSON_BYTES), path)
    version = content.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        raise ModelError(
            f"{path} has format {version!r}; this rnncli, {__version__}, reads {FORMAT_VERSION}",
            hint="use the rnncli that wrote it, or a newer one",
        )
    for field, kind in (("model", ModelConfig), ("training", TrainConfig)):
        content[field] = read_config(kind, content.get(field), f"{path}: {field}")
    return read_config(ModelRecord, content, str(path))


def now() -> str:
    """Return the current time in UTC, to the microsecond, as text that sorts by time."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def checked_name(name: str) -> str:
    """Return the name if it can name a folder under models/ on any system; raise ConfigError otherwise."""
    if not re.fullmatch(r"\w[\w.-]{0,99}", name):
        raise ConfigError(
            f"{name!r} is not a valid model name", hint="use up to 100 letters, digits, '.', '-' and '_'"
        )
    if _RESERVED.match(name) or name.endswith("."):
        raise ConfigError(
            f"{name!r} is not a valid model name: Windows reserves it",
            hint=f"choose another name, for example {_unreserved(name)}",
        )
    return name


def free_name(title: str) -> str:
    """Return a model name made of `title` that is not taken yet: novel, novel-2, novel-3."""
    stem = _unreserved(re.sub(r"[^\w-]+", "-", title).strip("-_")[:80] or "model")
    name, number = stem, 1
    while (MODELS / name).exists():
        number += 1
        name = f"{stem}-{number}"
    return name


def _unreserved(name: str) -> str:
    """Return a similar name that Windows does not reserve."""
    stem, dot, extension = name.rstrip(".").partition(".")
    return f"{stem}-model{dot}{extension}" if _RESERVED.match(stem) else stem + dot + extension
