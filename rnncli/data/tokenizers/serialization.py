"""Tokenizers on disk: tokenizer.json for characters, bytes and words, tokenizer.model for subwords."""

import json
import os
import stat
from pathlib import Path

from rnncli.data.config import TextConfig
from rnncli.data.tokenizers.base import ByteTokenizer, CharTokenizer, Tokenizer
from rnncli.data.tokenizers.subword import SubwordTokenizer
from rnncli.data.tokenizers.word import WordTokenizer
from rnncli.errors import ConfigError, CorpusError, TokenizerError
from rnncli.files import has_type

SUBWORD_FILE, JSON_FILE = "tokenizer.model", "tokenizer.json"
# A folder may hold either file; the first one that exists is the tokenizer.
TOKENIZER_FILES = (SUBWORD_FILE, JSON_FILE)
# A word tokenizer with a million words fits.
MAX_TOKENIZER_BYTES = 2**26


def tokenizer_file(tokenizer: Tokenizer) -> str:
    """Return the name of the file that holds such a tokenizer."""
    return SUBWORD_FILE if tokenizer.level == "subword" else JSON_FILE


def load_tokenizer(folder: Path) -> Tokenizer:
    """Load the tokenizer of a token dataset or a model.

    Raises:
        CorpusError: The folder has no readable tokenizer file.
        TokenizerError: The file is damaged.
    """
    name = next((name for name in TOKENIZER_FILES if os.path.lexists(folder / name)), JSON_FILE)
    try:
        return parse_tokenizer(name, read_plain_file(folder / name, MAX_TOKENIZER_BYTES))
    except (OSError, ValueError) as error:
        raise CorpusError(f"{folder} has no tokenizer: {error}", hint="tokenize the text again") from error


def parse_tokenizer(name: str, content: bytes) -> Tokenizer:
    """Make the tokenizer from the content of the file with that name; raises TokenizerError."""
    return SubwordTokenizer(content) if name == SUBWORD_FILE else from_json(content)


def from_json(content: bytes) -> Tokenizer:
    """Undo `to_bytes` of a character, byte or word tokenizer; raises TokenizerError."""
    try:
        record = json.loads(content)
        level = record["level"]
        if level == "char" and has_type(record["characters"], str):
            return CharTokenizer(record["characters"])
        if level == "word" and has_type(record["words"], tuple[str, ...]):
            return WordTokenizer(record["words"], _checked_pattern(record["pattern"]))
        if level == "byte":
            return ByteTokenizer()
    except (ValueError, KeyError, TypeError, RecursionError, ConfigError) as error:
        raise TokenizerError(
            f"tokenizer.json is damaged: {error}", hint="train the tokenizer again"
        ) from error
    raise TokenizerError(
        f"tokenizer.json holds no tokenizer of level {level!r}", hint="train the tokenizer again"
    )


def read_plain_file(path: Path, max_bytes: int) -> bytes:
    """Read a regular file of limited size.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is not a regular file, or it is larger than `max_bytes`.
    """
    check_plain_file(path)
    if path.stat().st_size > max_bytes:
        raise ValueError(f"{path} is larger than {max_bytes:,} bytes")
    return path.read_bytes()


def check_plain_file(path: Path) -> None:
    """Refuse anything but a regular file: opening a FIFO would block.

    Raises:
        OSError: The file does not exist.
        ValueError: It is not a regular file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f"{path} is not a plain file")


def _checked_pattern(pattern: str | None) -> str | None:
    """Raise ConfigError for a pattern that the options would refuse."""
    return TextConfig(level="word", pattern=pattern).pattern
