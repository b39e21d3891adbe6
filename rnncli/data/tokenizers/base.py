"""Text to ids and back at four levels, behind one Protocol. Shapes: N symbols, V vocabulary.

char      one id a Unicode code point     "ab"    ->  a, b
byte      one id a byte of UTF-8          "é"     ->  c3, a9
word      one id a word, <eos> a line     "a b\\n" ->  a, b, <eos>
subword   one id a learned piece          "the "  ->  the, ▁        (data/tokenizers/subword.py)
"""

import codecs
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from itertools import chain, pairwise
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from rnncli.data.config import Level, TextConfig
from rnncli.data.counting import code_points
from rnncli.errors import ConfigError, TokenizerError
from rnncli.strict import is_of

Ids = npt.NDArray[np.unsignedinteger[Any]]
Push = Callable[[int], str]
# What becomes of bytes that are no UTF-8, by Python's names.
LoneBytes = Literal["replace", "surrogateescape"]

UNKNOWN = "<unk>"
END_OF_LINE = "<eos>"
DEFAULT_WORDS = 20_000
# U+FFFD, what Unicode prescribes where a symbol cannot be shown.
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class Tokenizer(Protocol):
    """Reversible cutting of text: decode(encode(x)) == x wherever no id is `unknown_id`."""

    level: Level
    vocab_size: int
    unknown_id: int | None

    def encode(self, text: str) -> Ids:
        """text -> ids (N,) in the smallest unsigned type that holds V."""

    def decoder(self, context: Iterable[int] = (), lone_bytes: LoneBytes = "replace") -> "Decoder":
        """A streaming decoder that goes on after the ids of `context`.

        Bytes that are no UTF-8 come out as U+FFFD, or, by "surrogateescape", as what stands for each in
        PEP 383.
        """

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


def spelled(tokenizer: Tokenizer, context: Iterable[int]) -> list[str]:
    """What each token (V) writes after the ids of `context`; bytes that are no character as in PEP 383."""
    before, spellings = list(context), list[str]()
    for token in range(tokenizer.vocab_size):
        decoder = tokenizer.decoder(before, "surrogateescape")
        spellings.append(decoder.push(token) + decoder.finish())
    return spellings


def line_end(tokenizer: Tokenizer) -> int | None:
    """The id of every line end, a token of its own at all levels; None where the model knows no lines."""
    last = int(tokenizer.encode("\n")[-1])
    return None if last == tokenizer.unknown_id else last


def word_boundaries(tokenizer: Tokenizer) -> list[int]:
    """The tokens before which a word is over: those that begin with white space; words need none."""
    if tokenizer.level == "word":
        return []
    return [token for token in range(tokenizer.vocab_size) if decode(tokenizer, [token])[:1].isspace()]


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
        self._table[code_points(symbols)] = np.arange(1, self.vocab_size)
        # ASCII in a small alphabet, the quick way: bytes to bytes.
        self._ascii = self._table[:256].tobytes() if self._table.itemsize == 1 else b""
        self.symbols = symbols
        self._shown = [REPLACEMENT, *symbols]

    @classmethod
    def of(cls, text: str) -> "CharTokenizer":
        """For the characters of `text`, each once however often it stands there."""
        return cls("".join(sorted(set(text))))

    def encode(self, text: str) -> Ids:
        if self._ascii and text.isascii():
            return np.frombuffer(text.encode("ascii").translate(self._ascii), np.uint8)
        return self._table[code_points(text)]

    def decoder(self, context: Iterable[int] = (), lone_bytes: LoneBytes = "replace") -> Decoder:  # noqa: ARG002 - no id depends on another
        return Decoder(self._shown.__getitem__)

    def symbol(self, token: int) -> str:
        return UNKNOWN if token == self.unknown_id else self._shown[token]

    def unseen(self, text: str) -> list[str]:
        known = set(self.symbols)
        return [symbol for symbol in dict.fromkeys(text) if symbol not in known]

    def to_bytes(self) -> bytes:
        return _to_json({"level": "char", "symbols": self.symbols})


class ByteTokenizer:
    """One id a byte of UTF-8: nothing is ever unknown."""

    level: Level = "byte"
    vocab_size = 256
    unknown_id: int | None = None

    def encode(self, text: str) -> Ids:
        return np.frombuffer(utf8(text), np.uint8)

    def decoder(self, context: Iterable[int] = (), lone_bytes: LoneBytes = "replace") -> Decoder:
        return utf8_decoder(lambda token: bytes([token]), context, lone_bytes)

    def symbol(self, token: int) -> str:
        return chr(token) if token < 128 else f"<0x{token:02X}>"

    def unseen(self, text: str) -> list[str]:  # noqa: ARG002 - every byte has an id
        return []

    def to_bytes(self) -> bytes:
        return _to_json({"level": "byte"})


class WordTokenizer:
    """One id a word; a line end is <eos>; words outside the table are <unk>.

    Words stand between white space, which is lost but for line ends. Or a word is what `pattern`
    matches in a line, or what lies between two matches: then nothing is lost.
    """

    level: Level = "word"

    def __init__(self, words: list[str], pattern: str | None = None) -> None:
        if words[:2] != [UNKNOWN, END_OF_LINE] or len(set(words)) != len(words):
            raise TokenizerError(
                "a word table is damaged or repeats a word", hint="learn the tokenizer again"
            )
        self.words = words
        self.pattern = pattern
        self.vocab_size = len(words)
        self.unknown_id: int | None = 0

    @classmethod
    def learn(
        cls, counts: Mapping[str, int], vocab_size: int | None, pattern: str | None = None
    ) -> "WordTokenizer":
        """The `vocab_size` most frequent of the counted words, both marks included; ties by code point.

        Without a size: at most 20,000, and words seen once become <unk>, so that <unk> has a
        probability learned from them, unless the text brings its own <unk>.
        """
        least = 1 if vocab_size is not None or UNKNOWN in counts else 2
        ranked = sorted(
            (-count, word)
            for word, count in counts.items()
            if count >= least and word not in (UNKNOWN, END_OF_LINE)
        )
        chosen = [word for _, word in ranked[: (vocab_size or DEFAULT_WORDS) - 2]]
        return cls([UNKNOWN, END_OF_LINE, *chosen], pattern)

    @cached_property
    def _ids(self) -> dict[str, int]:
        ids = {word: index for index, word in enumerate(self.words)}
        if self.pattern is not None:
            del ids[END_OF_LINE]  # written in the text, it is no line end: nothing may be lost
        return ids

    def encode(self, text: str) -> Ids:
        find, end = self._ids.get, self.words.index(END_OF_LINE)
        ids: list[int] = []
        for number, words in enumerate(words_of_lines(text, self.pattern)):
            if number:
                ids.append(end)
            ids.extend([find(word, 0) for word in words])
        return np.array(ids, smallest_dtype(self.vocab_size))

    def decoder(self, context: Iterable[int] = (), lone_bytes: LoneBytes = "replace") -> Decoder:  # noqa: ARG002 - all are text
        between = " " if self.pattern is None else ""
        last = END_OF_LINE

        def push(token: int) -> str:
            nonlocal last
            word, before = self.words[token], last
            last = word
            if word == END_OF_LINE:
                return "\n"
            return word if before == END_OF_LINE else between + word

        for token in context:
            push(token)
        return Decoder(push)

    def symbol(self, token: int) -> str:
        return self.words[token]

    def unseen(self, text: str) -> list[str]:
        words = chain.from_iterable(words_of_lines(text, self.pattern))
        return [word for word in dict.fromkeys(words) if word not in self._ids]

    def to_bytes(self) -> bytes:
        return _to_json({"level": "word", "pattern": self.pattern, "words": self.words})


def words_of_lines(text: str, pattern: str | None) -> Iterator[list[str]]:
    """The words of each line, as WordTokenizer cuts them."""
    if pattern is None:
        return map(str.split, text.split("\n"))
    return (_matched(line, re.compile(pattern)) for line in text.split("\n"))


def _matched(line: str, pattern: re.Pattern[str]) -> list[str]:
    """Every match and everything between two matches, in order."""
    cuts = [cut for match in pattern.finditer(line) for cut in match.span()]
    return [line[start:stop] for start, stop in pairwise([0, *cuts, len(line)]) if start < stop]


def from_json(content: bytes) -> Tokenizer:
    """The inverse of to_bytes for char, byte and word; raises TokenizerError."""
    try:
        record = json.loads(content)
        level = record["level"]
        if level == "char" and is_of(record["symbols"], str):
            return CharTokenizer(record["symbols"])
        if level == "word" and is_of(record["words"], tuple[str, ...]):
            return WordTokenizer(record["words"], _checked_pattern(record["pattern"]))
        if level == "byte":
            return ByteTokenizer()
    except (ValueError, KeyError, TypeError, RecursionError, ConfigError) as error:
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


def utf8_decoder(bytes_of: Callable[[int], bytes], context: Iterable[int], lone_bytes: LoneBytes) -> Decoder:
    """Ids that stand for bytes: characters come out when their last byte has come in."""
    incremental = codecs.getincrementaldecoder("utf-8")(lone_bytes)
    for token in context:
        incremental.decode(bytes_of(token))
    return Decoder(
        lambda token: incremental.decode(bytes_of(token)),
        lambda: incremental.decode(b"", final=True),
    )


def _checked_pattern(pattern: str | None) -> str | None:
    return TextConfig(level="word", pattern=pattern).pattern  # refuses what is no pattern


def _to_json(record: dict[str, Any]) -> bytes:
    return json.dumps(record).encode() + b"\n"
