"""Subword tokenizer: sentencepiece, made lossless for every string.

sentencepiece replaces a space by ▁ (U+2581) and so cannot distinguish the two. Here a ▁ of the text bypasses
the model as its three bytes, and ids are decoded with a table of the bytes of each subword:

    "a ▁\\n"  ->  a, ▁, <0xE2>, <0x96>, <0x81>, <0x0A>  ->  "a ▁\\n"
"""

import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
import sentencepiece

from rnncli.data.config import Level, SubwordKind
from rnncli.data.tokenizers.base import (
    DecodeStream,
    Ids,
    InvalidBytes,
    smallest_dtype,
    utf8,
    utf8_decode_stream,
)
from rnncli.errors import OptionError, TokenizerError

_SPACE_MARK = "\N{LOWER ONE EIGHTH BLOCK}"
# sentencepiece ignores a line that contains one of its own marks, and a NUL is an error.
_NEVER_TRAINED_ON = f"{_SPACE_MARK}\N{LOWER FIVE EIGHTHS BLOCK}\0"
# sentencepiece trains on lines and skips long ones: they are divided here.
_MAX_LINE_CHARACTERS = 1000
_MAX_LINE_BYTES = 4 * _MAX_LINE_CHARACTERS + 1
# sentencepiece takes more than linear time for a segment, and a constant time for each.
MAX_SEGMENT = 4096
MAX_CACHED_WORDS = 2**17
# The 256 bytes, and <unk>, which sentencepiece requires and bytes make unnecessary.
_FIXED_TOKENS = 257


class SubwordTokenizer:
    """BPE or unigram subwords with byte fallback: nothing is out of vocabulary."""

    level: Level = "subword"
    unk_id: int | None = None

    def __init__(self, model: bytes) -> None:
        self._model = model
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(model)
            self.vocab_size = int(self._processor.GetPieceSize())
            self._bytes = [self._token_bytes(token) for token in range(self.vocab_size)]
        except (RuntimeError, OSError, ValueError) as error:  # ValueError: a subword that is not UTF-8
            raise TokenizerError("tokenizer.model is damaged", hint="train the tokenizer again") from error
        byte_ids = [self._processor.PieceToId(f"<0x{byte:02X}>") for byte in range(256)]
        if not all(self._processor.IsByte(token) for token in byte_ids):
            raise TokenizerError("tokenizer.model has no byte tokens", hint="train the tokenizer with rnncli")
        self._space_mark_ids = [byte_ids[byte] for byte in utf8(_SPACE_MARK)]
        self._cached_words: dict[str, list[int]] = {}

    def __reduce__(self) -> tuple[type["SubwordTokenizer"], tuple[bytes]]:
        return type(self), (self._model,)

    @classmethod
    def train(cls, text: str, vocab_size: int | None, kind: SubwordKind) -> "SubwordTokenizer":
        """Train subwords that never cross a line end; spaces, tabs and case are preserved.

        Args:
            text: The text to train on.
            vocab_size: The maximum vocabulary size, 256 bytes included; None for `default_vocab_size`.
            kind: "bpe" (Sennrich, Haddow and Birch 2016) or "unigram" (Kudo 2018).

        Raises:
            TokenizerError: The vocabulary is too small to hold more than bytes, or sentencepiece fails.
        """
        alphabet = len(set(text))
        size = vocab_size or default_vocab_size(len(text), alphabet)
        if size < _FIXED_TOKENS + 8:
            raise OptionError(
                f"vocab size is {size}, and {_FIXED_TOKENS} of them are reserved for bytes",
                hint=f"use --vocab-size {_FIXED_TOKENS + 255} or more, or --level byte",
            )
        model = io.BytesIO()
        # If the alphabet does not fit, its rarest characters are encoded as bytes.
        max_characters = (size - _FIXED_TOKENS) // 2
        left_out = _all_but_most_frequent(text, max_characters) if alphabet > max_characters else ""
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=_training_lines(text, left_out),
                model_writer=model,
                model_type=kind,
                vocab_size=size,
                hard_vocab_limit=False,
                character_coverage=1.0,
                byte_fallback=True,
                normalization_rule_name="identity",
                remove_extra_whitespaces=False,
                add_dummy_prefix=False,
                allow_whitespace_only_pieces=True,
                max_sentence_length=_MAX_LINE_BYTES,
                unk_id=0,
                bos_id=-1,
                eos_id=-1,
                pad_id=-1,
                num_threads=1,  # the subwords must not depend on the machine
                minloglevel=2,
            )
        except (RuntimeError, OSError) as error:
            raise TokenizerError(
                f"sentencepiece cannot train {size} subwords on this text: {error}",
                hint="try another --vocab-size, or --level char",
            ) from error
        return cls(model.getvalue())

    def encode(self, text: str) -> Ids:
        utf8(text)  # refuses lone surrogates, which sentencepiece would replace
        dtype = smallest_dtype(self.vocab_size)
        if _has_many_spaces(text):
            return np.fromiter(self._encode_words(text), dtype)
        parts = [
            self._space_mark_ids if segment == _SPACE_MARK else self._processor.EncodeAsNumpy(segment)
            for segment in _segments(text)
        ]
        return np.concatenate(parts or [[]]).astype(dtype)

    def _encode_words(self, text: str) -> Iterable[int]:
        """Tokenize word by word with a cache: no subword crosses a space, so context makes no difference."""
        marked = text.replace(" ", "\0 ").replace("\n", "\0\n\0")
        while " \0 " in marked:  # several spaces belong to the word after them
            marked = marked.replace(" \0 ", "  ")
        words = marked.split("\0")
        if max(map(len, words)) > MAX_SEGMENT:
            words = [segment for word in words for segment in _segments(word)]
        cached = self._cached_words
        new = list(set(words).difference(cached))
        cached.update(zip(new, self._processor.EncodeAsIds(new), strict=True))
        ids = chain.from_iterable([cached[word] for word in words])
        if len(cached) > MAX_CACHED_WORDS:
            cached.clear()
        return ids

    def decode_stream(
        self, context: Iterable[int] = (), invalid_bytes: InvalidBytes = "replace"
    ) -> DecodeStream:
        return utf8_decode_stream(self._bytes.__getitem__, context, invalid_bytes)

    def id_to_token(self, token: int) -> str:
        try:
            return self._bytes[token].decode("utf-8")
        except UnicodeDecodeError:
            return str(self._processor.IdToPiece(token))

    def oov_tokens(self, text: str) -> list[str]:  # noqa: ARG002 - every byte has an id
        return []

    def to_bytes(self) -> bytes:
        return self._model

    def _token_bytes(self, token: int) -> bytes:
        if self._processor.IsUnknown(token):
            return b""
        name = str(self._processor.IdToPiece(token))
        if self._processor.IsByte(token):
            return bytes([int(name[3:-1], 16)])
        return utf8(name.replace(_SPACE_MARK, " "))


def default_vocab_size(characters: int, alphabet: int) -> int:
    """Return one subword per 400 characters, between 512 and 8,192, and at least twice the alphabet."""
    return max(min(max(characters // 400, 512), 8192), _FIXED_TOKENS + 2 * alphabet)


def _has_many_spaces(text: str) -> bool:
    """Return whether words are separated by spaces, so that most words recur."""
    return 16 * text.count(" ") > len(text) and "\0" not in text and _SPACE_MARK not in text


def _segments(text: str) -> Iterator[str]:
    """Yield segments that end with a line, else before a space; each ▁ is a segment of its own."""
    for part in re.split(f"({_SPACE_MARK})", text) if _SPACE_MARK in text else [text]:
        start = 0
        while len(part) - start > MAX_SEGMENT:
            limit = start + MAX_SEGMENT
            stop = part.rfind("\n", start, limit) + 1 or _last_spaces(part, start, limit) or limit
            yield part[start:stop]
            start = stop
        if start < len(part):
            yield part[start:]


def _last_spaces(text: str, start: int, stop: int) -> int:
    """Return where the last run of spaces in start..stop begins; 0 if there is none but at the start."""
    space = text.rfind(" ", start, stop)
    begin = len(text[start : space + 1].rstrip(" "))
    return start + begin if space >= 0 and begin else 0


def _training_lines(text: str, left_out: str) -> Iterator[str]:
    for line in re.split(f"[\n{re.escape(_NEVER_TRAINED_ON + left_out)}]", text):
        for start in range(0, len(line), _MAX_LINE_CHARACTERS):
            yield line[start : start + _MAX_LINE_CHARACTERS]


def _all_but_most_frequent(text: str, number: int) -> str:
    return "".join(character for character, _ in Counter(text).most_common()[number:])
