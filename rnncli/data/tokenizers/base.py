"""The tokenizer protocol, the character and byte tokenizers, and what is computed from any tokenizer.

char      one id per Unicode code point                "ab"      ->  a, b
byte      one id per byte of UTF-8                     "é"       ->  c3, a9
word      one id per word, <eos> at each line end      "a b\\n"   ->  a, b, <eos>     (word.py)
subword   one id per subword                           "the "    ->  the, ▁          (subword.py)

N tokens, V vocabulary size.
"""

import codecs
import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from rnncli.data.config import Level
from rnncli.errors import TokenizerError

Ids = npt.NDArray[np.unsignedinteger[Any]]
# How bytes that are not valid UTF-8 are decoded; the names are those of Python's error handlers.
InvalidBytes = Literal["replace", "surrogateescape"]

UNKNOWN = "<unk>"
# U+FFFD, which Unicode prescribes for what cannot be shown.
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class Tokenizer(Protocol):
    """Reversible tokenization: decode(encode(text)) == text unless an id is `unk_id`."""

    level: Level
    vocab_size: int
    unk_id: int | None

    def encode(self, text: str) -> Ids:
        """Return the ids (N,) of `text` in the smallest unsigned type that holds V ids."""

    def decode_stream(
        self, context: Iterable[int] = (), invalid_bytes: InvalidBytes = "replace"
    ) -> "DecodeStream":
        """Return a streaming decoder that continues after the ids of `context`.

        Args:
            context: Ids that come before; their text is not returned again.
            invalid_bytes: "replace" decodes bytes that are not valid UTF-8 as U+FFFD, "surrogateescape"
                as the lone surrogates of PEP 383.
        """

    def id_to_token(self, token: int) -> str:
        """Return one id in readable form; a byte that is only part of a character as <0xE4>."""

    def oov_tokens(self, text: str) -> list[str]:
        """Return the out-of-vocabulary tokens of `text`, each once, in order of appearance."""

    def to_bytes(self) -> bytes:
        """Return what is saved on disk; its SHA-256 is the fingerprint."""


class DecodeStream:
    """Takes ids one at a time and returns text as soon as its characters are complete."""

    def __init__(self, push: Callable[[int], str], finish: Callable[[], str] = str) -> None:
        self.push = push
        self.finish = finish


def decode(tokenizer: Tokenizer, ids: Iterable[int]) -> str:
    """Return the text of ids (N,); bytes that are not valid UTF-8 become U+FFFD."""
    stream = tokenizer.decode_stream()
    return "".join(stream.push(int(token)) for token in ids) + stream.finish()


def token_strings(tokenizer: Tokenizer, context: Iterable[int]) -> list[str]:
    """Return what each of the V tokens decodes to after `context`; incomplete characters as in PEP 383."""
    before, strings = list(context), list[str]()
    for token in range(tokenizer.vocab_size):
        stream = tokenizer.decode_stream(before, "surrogateescape")
        strings.append(stream.push(token) + stream.finish())
    return strings


def line_end(tokenizer: Tokenizer) -> int | None:
    """Return the id of a line end, a token of its own at every level; None if it is out of vocabulary."""
    last = int(tokenizer.encode("\n")[-1])
    return None if last == tokenizer.unk_id else last


def word_boundaries(tokenizer: Tokenizer) -> list[int]:
    """Return the tokens that begin with whitespace, before which a word ends; none at word level."""
    if tokenizer.level == "word":
        return []
    return [token for token in range(tokenizer.vocab_size) if decode(tokenizer, [token])[:1].isspace()]


def fingerprint(tokenizer: Tokenizer) -> str:
    """Return a hash that is equal for tokenizers that give equal ids, and for no others."""
    return hashlib.sha256(tokenizer.to_bytes()).hexdigest()


def smallest_dtype(count: int) -> np.dtype[Any]:
    """Return the smallest unsigned type for ids 0..count-1. NumPy's astype would wrap around silently."""
    return np.min_scalar_type(max(count - 1, 0))


def code_points(text: str) -> npt.NDArray[np.uint32]:
    """Return the code points of `text`, one per character."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


class CharTokenizer:
    """One id per Unicode code point, in code point order after `<unk>`."""

    level: Level = "char"
    unk_id: int | None = 0

    def __init__(self, characters: str) -> None:
        if not characters or list(characters) != sorted(set(characters)):
            raise TokenizerError(
                "the character list is empty, unsorted or repeats a character",
                hint="train the tokenizer again",
            )
        self.vocab_size = 1 + len(characters)
        self._table: Ids = np.zeros(sys.maxunicode + 1, smallest_dtype(self.vocab_size))
        self._table[code_points(characters)] = np.arange(1, self.vocab_size)
        # A faster path for ASCII and a small vocabulary: translate bytes to bytes.
        self._ascii = self._table[:256].tobytes() if self._table.itemsize == 1 else b""
        self.characters = characters
        self._decoded = [REPLACEMENT, *characters]

    @classmethod
    def train(cls, text: str) -> "CharTokenizer":
        """Make a tokenizer of the distinct characters of `text`."""
        return cls("".join(sorted(set(text))))

    def encode(self, text: str) -> Ids:
        if self._ascii and text.isascii():
            return np.frombuffer(text.encode("ascii").translate(self._ascii), np.uint8)
        return self._table[code_points(text)]

    def decode_stream(
        self,
        context: Iterable[int] = (),  # noqa: ARG002 - no id depends on another
        invalid_bytes: InvalidBytes = "replace",  # noqa: ARG002 - every id is a whole character
    ) -> DecodeStream:
        return DecodeStream(self._decoded.__getitem__)

    def id_to_token(self, token: int) -> str:
        return UNKNOWN if token == self.unk_id else self._decoded[token]

    def oov_tokens(self, text: str) -> list[str]:
        known = set(self.characters)
        return [character for character in dict.fromkeys(text) if character not in known]

    def to_bytes(self) -> bytes:
        return to_json_bytes({"level": "char", "characters": self.characters})


class ByteTokenizer:
    """One id per byte of UTF-8; nothing is out of vocabulary."""

    level: Level = "byte"
    vocab_size = 256
    unk_id: int | None = None

    def encode(self, text: str) -> Ids:
        return np.frombuffer(utf8(text), np.uint8)

    def decode_stream(
        self, context: Iterable[int] = (), invalid_bytes: InvalidBytes = "replace"
    ) -> DecodeStream:
        return utf8_decode_stream(lambda token: bytes([token]), context, invalid_bytes)

    def id_to_token(self, token: int) -> str:
        return chr(token) if token < 128 else f"<0x{token:02X}>"

    def oov_tokens(self, text: str) -> list[str]:  # noqa: ARG002 - every byte has an id
        return []

    def to_bytes(self) -> bytes:
        return to_json_bytes({"level": "byte"})


def utf8(text: str) -> bytes:
    """Encode `text` in UTF-8; raises TokenizerError for lone surrogates, which are not text."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TokenizerError(
            f"the text has a lone surrogate, U+{ord(text[error.start]):04X}, at character {error.start:,}",
            hint="a lone surrogate is half of a character; use whole characters",
        ) from error


def utf8_decode_stream(
    bytes_of: Callable[[int], bytes], context: Iterable[int], invalid_bytes: InvalidBytes
) -> DecodeStream:
    """Decode ids that stand for bytes: a character is returned with its last byte."""
    decoder = codecs.getincrementaldecoder("utf-8")(invalid_bytes)
    for token in context:
        decoder.decode(bytes_of(token))
    return DecodeStream(
        lambda token: decoder.decode(bytes_of(token)),
        lambda: decoder.decode(b"", final=True),
    )


def to_json_bytes(record: Mapping[str, str | list[str] | None]) -> bytes:
    """Return the content of tokenizer.json. The fingerprint depends on every byte of it."""
    return json.dumps(record).encode() + b"\n"
