"""What a model folder says of itself: its record, its name, its instants."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from rnncli import __version__
from rnncli.data.config import Unit
from rnncli.errors import ConfigError, ModelError
from rnncli.nn.config import ModelConfig
from rnncli.storage.safe_load import parse_json, read_config, read_file
from rnncli.strict import LARGEST_BYTES
from rnncli.training.config import TrainConfig

FORMAT_VERSION = 1
MODELS = Path("models")
# Names of devices on Windows, with any extension.
_RESERVED = re.compile(r"(con|prn|aux|nul|(com|lpt)[0-9\u00b9\u00b2\u00b3])(\.|$)", re.IGNORECASE)

Status = Literal["training", "interrupted", "finished"]


@dataclass(frozen=True)
class Record:
    """What config.json holds. Instants are UTC; `stores` are folders elsewhere, none of them: corpus.tok.

    `ngram_order` is that of the n-gram which the end of the training puts beside the network; 0: none.
    """

    name: str
    created_at: str
    saved_at: str
    status: Status
    model: ModelConfig
    training: TrainConfig
    corpus: str
    corpus_sha256: str
    stores: tuple[str, ...]
    level: str
    unit: Unit
    tokenizer_fingerprint: str
    ngram_order: int = 0
    step: int = 0
    seconds: float = 0.0
    format_version: int = FORMAT_VERSION
    rnncli_version: str = __version__
    torch_version: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "stores", tuple(self.stores))  # a list, in JSON


def read_record(path: Path) -> Record:
    """A record from config.json, checked field by field; raises ModelError."""
    content = parse_json(read_file(path, LARGEST_BYTES), path)
    version = content.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:
        raise ModelError(
            f"{path} has format {version!r}; this rnncli, {__version__}, reads {FORMAT_VERSION}",
            hint="use the rnncli that made it, or a newer one",
        )
    for field, kind in (("model", ModelConfig), ("training", TrainConfig)):
        content[field] = read_config(kind, content.get(field), f"{path}: {field}")
    return read_config(Record, content, str(path))


def now() -> str:
    """This instant, UTC, to the microsecond: sorts as text."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def checked_name(name: str) -> str:
    """Return the name if it can be that of a folder under models/ on any system; raises ConfigError."""
    if not re.fullmatch(r"\w[\w.-]{0,99}", name):
        raise ConfigError(
            f"{name!r} cannot be the name of a model", hint="use up to 100 letters, digits, '.', '-' and '_'"
        )
    if _RESERVED.match(name) or name.endswith("."):
        raise ConfigError(
            f"{name!r} cannot be the name of a model: Windows reserves it",
            hint=f"choose another name, for example {_unreserved(name)}",
        )
    return name


def free_name(title: str) -> str:
    """A name after a text's title that is not taken yet: novel, novel-2, novel-3."""
    stem = _unreserved(re.sub(r"[^\w-]+", "-", title).strip("-_")[:80] or "model")
    name, number = stem, 1
    while (MODELS / name).exists():
        number += 1
        name = f"{stem}-{number}"
    return name


def _unreserved(name: str) -> str:
    """A name like this one that Windows does not reserve."""
    stem, dot, extension = name.rstrip(".").partition(".")
    return f"{stem}-model{dot}{extension}" if _RESERVED.match(stem) else stem + dot + extension
