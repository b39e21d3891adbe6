"""Subword pieces learned by sentencepiece, made lossless for every string. Shapes: N pieces.

sentencepiece writes a blank as ▁ (U+2581) and so cannot tell the two apart. Here a ▁ of the text
goes around the model as its three bytes, and decoding is by a table of each piece's bytes:

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
from rnncli.data.tokenizers.base import Decoder, Ids, LoneBytes, smallest_dtype, utf8, utf8_decoder
from rnncli.errors import TokenizerError

_BLANK = "\N{LOWER ONE EIGHTH BLOCK}"
# sentencepiece learns nothing from a line with one of its own marks, and takes NUL for an error.
_NEVER_LEARNED = f"{_BLANK}\N{LOWER FIVE EIGHTHS BLOCK}\0"
# sentencepiece learns from lines; longer ones are cut here instead of being skipped there.
_LONGEST_LINE_CHARACTERS = 1000
_LONGEST_LINE_BYTES = 4 * _LONGEST_LINE_CHARACTERS + 1
# sentencepiece takes more than linear time over a stretch, and some for each.
_LONGEST_STRETCH = 4096
_KNOWN_WORDS = 2**17
# The byte pieces and <unk>, which sentencepiece insists on and byte pieces never need.
_FIXED_PIECES = 257


class SubwordTokenizer:
    """BPE or unigram pieces with byte fallback: nothing is ever unknown."""

    level: Level = "subword"
    unknown_id: int | None = None

    def __init__(self, model: bytes) -> None:
        self._model = model
        self._processor = sentencepiece.SentencePieceProcessor()
        try:
            self._processor.LoadFromSerializedProto(model)
            self.vocab_size = int(self._processor.GetPieceSize())
            self._bytes = [self._bytes_of_piece(piece) for piece in range(self.vocab_size)]
        except (RuntimeError, OSError, ValueError) as error:  # ValueError: a piece that is not UTF-8
            raise TokenizerError("tokenizer.model is damaged", hint="learn the tokenizer again") from error
        byte_ids = [self._processor.PieceToId(f"<0x{byte:02X}>") for byte in range(256)]
        if not all(self._processor.IsByte(piece) for piece in byte_ids):
            raise TokenizerError("tokenizer.model has no byte pieces", hint="learn the tokenizer with rnncli")
        self._blank_ids = [byte_ids[byte] for byte in utf8(_BLANK)]
        self._known_words: dict[str, list[int]] = {}

    def __reduce__(self) -> tuple[type["SubwordTokenizer"], tuple[bytes]]:
        return type(self), (self._model,)

    @classmethod
    def learn(cls, text: str, vocab_size: int | None, kind: SubwordKind) -> "SubwordTokenizer":
        """Pieces that never cross a line end; blanks, tabs and case are kept as they are.

        Without a size, `natural_size`. A text that cannot fill the size gets the pieces that it has.
        Raises TokenizerError when the size leaves no room beside the 256 bytes.
        """
        alphabet = len(set(text))
        size = vocab_size or natural_size(len(text), alphabet)
        if size < _FIXED_PIECES + 8:
            raise TokenizerError(
                f"vocab-size is {size}, and subword keeps {_FIXED_PIECES} pieces for bytes",
                hint=f"use --vocab-size {_FIXED_PIECES + 255} or more, or --level byte",
            )
        model = io.BytesIO()
        # Where the size cannot hold the alphabet, its rarest characters are left to the bytes.
        room = (size - _FIXED_PIECES) // 2
        left_out = _all_but_most_frequent(text, room) if alphabet > room else ""
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=_lines_to_learn_from(text, left_out),
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
                max_sentence_length=_LONGEST_LINE_BYTES,
                unk_id=0,
                bos_id=-1,
                eos_id=-1,
                pad_id=-1,
                num_threads=1,  # the pieces must not depend on the machine
                minloglevel=2,
            )
        except (RuntimeError, OSError) as error:
            raise TokenizerError(
                f"sentencepiece cannot learn {size} pieces from this text: {error}",
                hint="try another --vocab-size, or --level char",
            ) from error
        return cls(model.getvalue())

    def encode(self, text: str) -> Ids:
        utf8(text)  # refuses lone surrogates, which sentencepiece would replace
        dtype = smallest_dtype(self.vocab_size)
        if _is_prose(text):
            return np.fromiter(self._encode_words(text), dtype)
        parts = [
            self._blank_ids if stretch == _BLANK else self._processor.EncodeAsNumpy(stretch)
            for stretch in _stretches(text)
        ]
        return np.concatenate(parts or [[]]).astype(dtype)

    def _encode_words(self, text: str) -> Iterable[int]:
        """No piece crosses a blank, so that a word is cut the same way wherever it stands: looked up."""
        marked = text.replace(" ", "\0 ").replace("\n", "\0\n\0")
        while " \0 " in marked:  # a run of blanks goes with the word after it
            marked = marked.replace(" \0 ", "  ")
        words = marked.split("\0")
        if max(map(len, words)) > _LONGEST_STRETCH:
            words = [part for word in words for part in _stretches(word)]
        known = self._known_words
        new = list(set(words).difference(known))
        known.update(zip(new, self._processor.EncodeAsIds(new), strict=True))
        ids = chain.from_iterable([known[word] for word in words])
        if len(known) > _KNOWN_WORDS:
            known.clear()
        return ids

    def decoder(self, context: Iterable[int] = (), lone_bytes: LoneBytes = "replace") -> Decoder:
        return utf8_decoder(self._bytes.__getitem__, context, lone_bytes)

    def symbol(self, token: int) -> str:
        try:
            return self._bytes[token].decode("utf-8")
        except UnicodeDecodeError:
            return str(self._processor.IdToPiece(token))

    def unseen(self, text: str) -> list[str]:  # noqa: ARG002 - every byte has an id
        return []

    def to_bytes(self) -> bytes:
        return self._model

    def _bytes_of_piece(self, piece: int) -> bytes:
        if self._processor.IsUnknown(piece):
            return b""
        name = str(self._processor.IdToPiece(piece))
        if self._processor.IsByte(piece):
            return bytes([int(name[3:-1], 16)])
        return utf8(name.replace(_BLANK, " "))


def natural_size(characters: int, alphabet: int) -> int:
    """One piece for about every 400 characters, between 512 and 8,192, and room for the alphabet."""
    return max(min(max(characters // 400, 512), 8192), _FIXED_PIECES + 2 * alphabet)


def _is_prose(text: str) -> bool:
    """True where words stand between blanks, so that most will be met again."""
    return 16 * text.count(" ") > len(text) and "\0" not in text and _BLANK not in text


def _stretches(text: str) -> Iterator[str]:
    """Stretches that end with a line, else before a blank, none too long for sentencepiece; each ▁ alone."""
    for part in re.split(f"({_BLANK})", text) if _BLANK in text else [text]:
        start = 0
        while len(part) - start > _LONGEST_STRETCH:
            limit = start + _LONGEST_STRETCH
            stop = part.rfind("\n", start, limit) + 1 or _before_blanks(part, start, limit) or limit
            yield part[start:stop]
            start = stop
        if start < len(part):
            yield part[start:]


def _before_blanks(text: str, start: int, stop: int) -> int:
    """Where the last run of blanks in start..stop begins; 0 where there is none but at the start."""
    blank = text.rfind(" ", start, stop)
    begin = len(text[start : blank + 1].rstrip(" "))
    return start + begin if blank >= 0 and begin else 0


def _lines_to_learn_from(text: str, left_out: str) -> Iterator[str]:
    for line in re.split(f"[\n{re.escape(_NEVER_LEARNED + left_out)}]", text):
        for start in range(0, len(line), _LONGEST_LINE_CHARACTERS):
            yield line[start : start + _LONGEST_LINE_CHARACTERS]


def _all_but_most_frequent(text: str, symbols: int) -> str:
    return "".join(symbol for symbol, _ in Counter(text).most_common()[symbols:])
