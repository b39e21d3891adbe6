"""Tokenizing texts: a token dataset, new or reused; a report; token ids as a stream."""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rnncli import files
from rnncli.data.compression import open_source
from rnncli.data.config import ReadOptions, TokenizeOptions
from rnncli.data.dataset import Origin, TokenDataset, is_token_dataset
from rnncli.data.decoding import BLOCK_BYTES, CharacterStream
from rnncli.data.sources import expand_sources
from rnncli.data.statistics import describe_corpus
from rnncli.data.tokenizers.base import Tokenizer, fingerprint
from rnncli.errors import StorageError, TokenizerError
from rnncli.events import CorpusReport
from rnncli.options import build
from rnncli.workflows.texts import Texts, find_tokenizer, scratch_folder, title

_log = logging.getLogger(__name__)
# Longer numbers are no token ids.
_MAX_ID_DIGITS = 20


@dataclass(frozen=True)
class TokenizeResult:
    """The result of tokenizing.

    Attributes:
        report: Statistics of the text, if they were requested.
        dataset: The token dataset, unless only the report was requested.
        path: Folder of the token dataset.
        reused: Whether it was there before, made from the same text with the same options.
    """

    report: CorpusReport | None = None
    dataset: TokenDataset | None = None
    path: Path | None = None
    reused: bool = False


def tokenize(
    texts: str | Path | Sequence[str | Path],
    output: str | Path | None = None,
    *,
    report: bool = False,
    **options: object,
) -> TokenizeResult:
    """Tokenize texts, as `rnncli tokenize` does.

    Args:
        texts: A text or several.
        output: Folder for the token dataset; by default the name of the text with the suffix .tok.
        report: Whether to describe the text. Without `output`, no dataset is made then.
        options: Options of `rnncli tokenize` by name, such as `level="word"`, or groups of them, such as
            `text=TextOptions(level="word")`.

    Raises:
        ConfigError: An option is unknown, out of range, or contradicts another.
        CorpusError: A text cannot be read or is too short.
        StorageError: The folder cannot be written, or holds something else.
    """
    given = [texts] if isinstance(texts, str | Path) else texts
    folder = None if output is None else Path(output)
    return tokenize_texts([*map(str, given)], folder, build(TokenizeOptions, options), report=report)


def tokenize_texts(
    paths: Sequence[str], output: Path | None, options: TokenizeOptions, *, report: bool
) -> TokenizeResult:
    """Tokenize texts; see `tokenize`."""
    target = output or Path(title(paths) + ".tok")
    if report and output is None:
        with TemporaryDirectory(prefix="rnncli-") as scratch:
            return TokenizeResult(_described(_survey(paths, options, scratch)))
    if os.path.exists(target):  # noqa: PTH110 - a name that is too long for a file does not exist
        with TemporaryDirectory(prefix="rnncli-") as scratch:
            texts = _survey(paths, options, scratch)
            dataset = _same_dataset(target, texts)
            described = _described(texts) if report else None
        _log.info("%s was made from the same text with the same options and is reused", target)
        return TokenizeResult(described, dataset, target, reused=True)
    with files.new_folder(target) as partial, scratch_folder(partial) as scratch:
        texts = _survey(paths, options, scratch)
        described = _described(texts) if report else None
        texts.build(texts.config(), partial)
    # Opened only now: Windows does not rename a folder while a file in it is memory-mapped.
    return TokenizeResult(described, TokenDataset.open(target), target)


def encode(paths: Sequence[str], tokenizer: str, read: ReadOptions) -> Iterator[bytes]:
    """Yield texts as token ids, one line per line of the text.

    Args:
        paths: The texts.
        tokenizer: A token dataset or a model that has the tokenizer.
        read: How to read the texts.
    """
    return _encoded(find_tokenizer(tokenizer), _characters(paths, read))


def decode(paths: Sequence[str], tokenizer: str, read: ReadOptions) -> Iterator[bytes]:
    """Yield the text of token ids; see `encode`. Raises TokenizerError for what is not a token id."""
    return _decoded(find_tokenizer(tokenizer), _characters(paths, read))


def _survey(paths: Sequence[str], options: TokenizeOptions, scratch: str) -> Texts:
    return Texts.survey(paths, options.read, options.text, Path(scratch))


def _described(texts: Texts) -> CorpusReport:
    return describe_corpus(texts.corpus, texts.config(), texts.valid, thorough=True)


def _same_dataset(target: Path, texts: Texts) -> TokenDataset:
    """Open the dataset at `target` if it is the one that would be made; otherwise raise StorageError."""
    if is_token_dataset(target):
        dataset = TokenDataset.open(target)
        expected = Origin.of(texts.corpus, texts.valid, texts.config())
        own_tokenizer = fingerprint(dataset.tokenizer)
        same_tokenizer = texts.tokenizer is None or fingerprint(texts.tokenizer) == own_tokenizer
        # The texts may be the same, and a different part of them the validation split.
        same_splits = texts.valid is None or texts.valid.characters == dataset.valid.counts.characters
        if dataset.origin.same_text(expected) and same_tokenizer and same_splits:
            return dataset
    raise StorageError(
        f"{target} exists already, made from another text or with other options",
        hint="remove it, or name another folder with -o",
    )


def _characters(paths: Sequence[str], read: ReadOptions) -> Iterator[str]:
    """Yield the characters of one text after another, with nothing between them."""
    for source in expand_sources(paths):
        with open_source(source) as file:
            yield from CharacterStream(file, read, as_available=True)


def _encoded(tokenizer: Tokenizer, blocks: Iterable[str]) -> Iterator[bytes]:
    """Encode whole lines at a time, so that the result does not depend on the blocks."""
    pending = ""
    for block in blocks:
        whole, end, rest = (pending + block).rpartition("\n")
        if end or len(rest) > BLOCK_BYTES:
            yield _ids_of_lines(tokenizer, whole + end if end else rest)
            rest = rest if end else ""
        pending = rest
    if pending:
        yield _ids_of_lines(tokenizer, pending)


def _ids_of_lines(tokenizer: Tokenizer, text: str) -> bytes:
    lines = text.split("\n")
    whole = [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    return "".join(" ".join(map(str, tokenizer.encode(line).tolist())) + "\n" for line in whole).encode()


def _decoded(tokenizer: Tokenizer, blocks: Iterable[str]) -> Iterator[bytes]:
    decoder, pending = tokenizer.decode_stream(), ""
    for block in blocks:
        text = pending + block
        *whole, pending = text.split(" ") if not block[-1].isspace() else [*text.split(), ""]
        ids = [_token_id(tokenizer, word) for part in whole for word in part.split()]
        yield "".join(map(decoder.push, ids)).encode()
    yield (
        "".join(decoder.push(_token_id(tokenizer, word)) for word in pending.split()) + decoder.finish()
    ).encode()


def _token_id(tokenizer: Tokenizer, word: str) -> int:
    is_number = word.isascii() and word.isdigit() and len(word) <= _MAX_ID_DIGITS
    if not (is_number and int(word) < tokenizer.vocab_size):
        raise TokenizerError(
            f"{word[:20]!r} is not a token id of this tokenizer",
            hint=f"token ids are whole numbers from 0 to {tokenizer.vocab_size - 1:,}",
        )
    return int(word)
