"""Text to ids and back at four levels, behind one Protocol. Shapes: N symbols, V vocabulary.

char      one id a Unicode code point     "ab"    ->  a, b
byte      one id a byte of UTF-8          "é"     ->  c3, a9
word      one id a word, <eos> a line     "a b\\n" ->  a, b, <eos>
subword   one id a learned piece          "the "  ->  the, ▁        (text/subword.py)
"""

import codecs
import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rnncli.errors import TokenizerError
from rnncli.text.config import Level

Ids = npt.NDArray[np.unsignedinteger[Any]]
Push = Callable[[int], str]

UNKNOWN = "<unk>"
END_OF_LINE = "<eos>"
# U+FFFD, what Unicode prescribes where a symbol cannot be shown.
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class Tokenizer(Protocol):
    """Reversible cutting of text: decode(encode(x)) == x wherever no id is `unknown_id`."""

    level: Level
    vocab_size: int
    unknown_id: int | None

    def encode(self, text: str) -> Ids:
        """text -> ids (N,) in the smallest unsigned type that holds V."""

    def decoder(self, context: Iterable[int] = ()) -> "Decoder":
        """A streaming decoder that goes on after the ids of `context`."""

    def symbol(self, token: int) -> str:
        """One id as people may read it; a lone byte of a longer character as <0xE4>."""

    def unseen(self, text: str) -> list[str]:
        """The symbols of `text` that have no id of their own, each once, in order."""

    def to_bytes(self) -> bytes:
        """What is kept on disk; its SHA-256 is the fingerprint."""


class Decoder:
    """Ids in one at a time, text out as soon as its characters are whole."""

    def __init__(self, push: Push, finish: Callable[[], str] = str) -> None:
        self.push = push
        self.finish = finish


def decode(tokenizer: Tokenizer, ids: Iterable[int]) -> str:
    """ids (N,) -> text; bytes that are not UTF-8 come out as U+FFFD."""
    decoder = tokenizer.decoder()
    return "".join(decoder.push(int(token)) for token in ids) + decoder.finish()


def fingerprint(tokenizer: Tokenizer) -> str:
    """Equal for tokenizers that give equal ids, and for no others."""
    return hashlib.sha256(tokenizer.to_bytes()).hexdigest()


def smallest_dtype(count: int) -> np.dtype[Any]:
    """The narrowest unsigned type for ids 0..count-1: numpy's astype would wrap without a word."""
    return np.min_scalar_type(max(count - 1, 0))


class CharTokenizer:
    """One id a Unicode code point, in code point order after <unk>."""

    level: Level = "char"
    unknown_id: int | None = 0

    def __init__(self, symbols: str) -> None:
        if not symbols or list(symbols) != sorted(set(symbols)):
            raise TokenizerError(
                "a character table is empty, unsorted or repeats a symbol", hint="learn the tokenizer again"
            )
        self.vocab_size = 1 + len(symbols)
        self._table: Ids = np.zeros(sys.maxunicode + 1, smallest_dtype(self.vocab_size))
        self._table[_code_points(symbols)] = np.arange(1, self.vocab_size)
        self._symbols = [REPLACEMENT, *symbols]

    @classmethod
    def learn(cls, text: str) -> "CharTokenizer":
        """The alphabet of the whole text: an inventory, as is usual in the field, not a statistic."""
        return cls("".join(sorted(set(text))))

    def encode(self, text: str) -> Ids:
        return self._table[_code_points(text)]

    def decoder(self, context: Iterable[int] = ()) -> Decoder:  # noqa: ARG002 - no id depends on another
        return Decoder(self._symbols.__getitem__)

    def symbol(self, token: int) -> str:
        return UNKNOWN if token == self.unknown_id else self._symbols[token]

    def unseen(self, text: str) -> list[str]:
        known = set(self._symbols[1:])
        return [symbol for symbol in dict.fromkeys(text) if symbol not in known]

    def to_bytes(self) -> bytes:
        return _to_json({"level": "char", "symbols": "".join(self._symbols[1:])})


class ByteTokenizer:
    """One id a byte of UTF-8: nothing is ever unknown."""

    level: Level = "byte"
    vocab_size = 256
    unknown_id: int | None = None

    def encode(self, text: str) -> Ids:
        return np.frombuffer(utf8(text), np.uint8)

    def decoder(self, context: Iterable[int] = ()) -> Decoder:
        return utf8_decoder(lambda token: bytes([token]), context)

    def symbol(self, token: int) -> str:
        return chr(token) if token < 128 else f"<0x{token:02X}>"

    def unseen(self, text: str) -> list[str]:  # noqa: ARG002 - every byte has an id
        return []

    def to_bytes(self) -> bytes:
        return _to_json({"level": "byte"})


class WordTokenizer:
    """One id a word between white space; a line end is <eos>; words outside the table are <unk>."""

    level: Level = "word"

    def __init__(self, words: list[str]) -> None:
        if words[:2] != [UNKNOWN, END_OF_LINE] or len(set(words)) != len(words):
            raise TokenizerError(
                "a word table is damaged or repeats a word", hint="learn the tokenizer again"
            )
        self._words = words
        self.vocab_size = len(words)
        self.unknown_id: int | None = 0

    @classmethod
    def learn(cls, text: str, vocab_size: int | None) -> "WordTokenizer":
        """The `vocab_size` most frequent words, both marks included; ties in code point order.

        Without a size: at most 20,000, and words seen once become <unk>, so that <unk> has a
        probability learned from them, unless the text brings its own <unk>.
        """
        counts = Counter(match.group() for match in re.finditer(r"\S+", text))
        own_unknown = UNKNOWN in counts
        for mark in (UNKNOWN, END_OF_LINE):
            counts.pop(mark, None)
        least = 1 if vocab_size is not None or own_unknown else 2
        ranked = sorted((-count, word) for word, count in counts.items() if count >= least)
        return cls([UNKNOWN, END_OF_LINE] + [word for _, word in ranked[: (vocab_size or 20_000) - 2]])

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {word: index for index, word in enumerate(self._words)}

    def encode(self, text: str) -> Ids:
        ids = self._ids
        tokens = (ids.get(word, 0) for word in _words_and_ends(text))
        return np.fromiter(tokens, smallest_dtype(self.vocab_size))

    def decoder(self, context: Iterable[int] = ()) -> Decoder:
        last = END_OF_LINE

        def push(token: int) -> str:
            nonlocal last
            word, before = self._words[token], last
            last = word
            if word == END_OF_LINE:
                return "\n"
            return word if before == END_OF_LINE else " " + word

        for token in context:
            push(token)
        return Decoder(push)

    def symbol(self, token: int) -> str:
        return self._words[token]

    def unseen(self, text: str) -> list[str]:
        return [word for word in dict.fromkeys(_words_and_ends(text)) if word not in self._ids]

    def to_bytes(self) -> bytes:
        return _to_json({"level": "word", "words": self._words})


def natural_level(text: str) -> Level:
    """Word for a text that marks its unknown words, as Mikolov's Penn Treebank does; else char.

    A few marks are a text about such marks: at least one word in 500 must be one.
    """
    marks = len(re.findall(rf"(?<!\S){UNKNOWN}(?!\S)", text))
    return "word" if marks and 500 * marks >= len(text.split()) else "char"


def spaces_are_scarce(text: str) -> bool:
    """True where cutting at white space gives phrases or whole lines, as in Chinese, not words."""
    sample = text[:200_000]
    words = sample.split()
    return bool(words) and sum(map(len, words)) / len(words) > 15


def from_json(content: bytes) -> Tokenizer:
    """The inverse of to_bytes for char, byte and word; raises TokenizerError."""
    try:
        record = json.loads(content)
        level = record["level"]
        if level == "char" and isinstance(record["symbols"], str):
            return CharTokenizer(record["symbols"])
        if level == "word" and all(isinstance(word, str) for word in record["words"]):
            return WordTokenizer(record["words"])
        if level == "byte":
            return ByteTokenizer()
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TokenizerError(f"tokenizer.json is damaged: {error}", hint="learn it again") from error
    raise TokenizerError(f"tokenizer.json holds no tokenizer of level {level!r}", hint="learn it again")


def utf8(text: str) -> bytes:
    """UTF-8, or a TokenizerError for lone surrogates, which are not text."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TokenizerError(
            f"the text has a lone surrogate, U+{ord(text[error.start]):04X}, at character {error.start:,}",
            hint="it is half of a character; give whole characters",
        ) from error


def utf8_decoder(bytes_of: Callable[[int], bytes], context: Iterable[int]) -> Decoder:
    """Ids that stand for bytes: characters come out when their last byte has come in."""
    incremental = codecs.getincrementaldecoder("utf-8")("replace")
    for token in context:
        incremental.decode(bytes_of(token))
    return Decoder(
        lambda token: incremental.decode(bytes_of(token)),
        lambda: incremental.decode(b"", final=True),
    )


def _code_points(text: str) -> npt.NDArray[np.uint32]:
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def _words_and_ends(text: str) -> Iterator[str]:
    r"""Words, and <eos> for each \n; other line ends are white space like any other."""
    for match in re.finditer(r"\n|\S+", text):
        yield END_OF_LINE if match.group() == "\n" else match.group()


def _to_json(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode() + b"\n"
