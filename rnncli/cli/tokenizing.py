"""The work of `rnncli tokenize`: a store, made or found made already; a report; ids as a stream."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer

from rnncli import files
from rnncli.cli import corpora, writing
from rnncli.console import corpus_view
from rnncli.data import statistics as reporting
from rnncli.data.config import ReadConfig
from rnncli.data.dataset import TokenStore, is_store
from rnncli.data.decoding import opened
from rnncli.data.origin import Origin
from rnncli.data.reading import BLOCK_BYTES, CharacterStream
from rnncli.data.sources import expand
from rnncli.data.tokenizers.base import Tokenizer, fingerprint
from rnncli.errors import StorageError, TokenizerError
from rnncli.events import CorpusReport

_log = logging.getLogger(__name__)
_LONGEST_ID = 20
_OF_STREAMS = {"corpus", "encode", "decode", "tokenizer", "encoding", "errors", "newlines", "config", "quiet"}


def tokenize(
    given: Sequence[str], output: Path | None, settings: Mapping[str, Any], report: bool
) -> tuple[CorpusReport | None, dict[str, Any] | None]:
    """A report where it was asked for, and what the store is, unless only the report was."""
    target = output or Path(corpora.title(given) + ".tok")
    if report and output is None:
        with TemporaryDirectory(prefix="rnncli-") as scratch:
            return _describe(corpora.Texts.survey(given, settings, Path(scratch))), None
    if os.path.exists(target):  # noqa: PTH110 - a name too long for a file is none, and said below
        with TemporaryDirectory(prefix="rnncli-") as scratch:
            texts = corpora.Texts.survey(given, settings, Path(scratch))
            store = _made_before(target, texts)
            _log.info("%s was made from the same text with the same settings; it is used as it is", target)
            return _describe(texts) if report else None, corpus_view.store_record(store, target, reused=True)
    with files.new_folder(target) as partial, corpora.scratch(partial) as scratch:
        texts = corpora.Texts.survey(given, settings, Path(scratch))
        described = _describe(texts) if report else None
        texts.build(texts.config(), partial)
    store = TokenStore.open(target)  # only now: Windows renames no folder while a file in it is memory-mapped
    return described, corpus_view.store_record(store, target, reused=False)


def stream(given: Sequence[str], settings: Mapping[str, Any]) -> None:
    """Texts to ids or ids to texts, on stdout as they come; a text's lines become lines of ids."""
    if settings["tokenizer"] is None:
        raise typer.BadParameter("say which tokenizer, by store or model", param_hint="--tokenizer")
    tokenizer = corpora.named_tokenizer(settings["tokenizer"])
    reading = corpora.read_config(settings)
    convert = _ids_of if settings["encode"] else _text_of
    for data in convert(tokenizer, _characters(given, reading)):
        writing.write_bytes(data)


def refuse_beside_streaming(context: typer.Context) -> None:
    """Raises a usage error for options that --encode and --decode would pass over."""
    if context.params["encode"] and context.params["decode"]:
        raise typer.BadParameter("give --encode or --decode, not both", param_hint="--encode")
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        given = source is not None and source.name in ("COMMANDLINE", "DEFAULT_MAP")
        if given and parameter.name not in _OF_STREAMS:
            raise typer.BadParameter("has no meaning with --encode or --decode", param_hint=parameter.opts[0])


def _describe(texts: corpora.Texts) -> CorpusReport:
    return reporting.describe(texts.corpus, texts.config(), texts.valid, thorough=True)


def _made_before(target: Path, texts: corpora.Texts) -> TokenStore:
    """The store at `target`, where it is what would be made; raises StorageError."""
    if is_store(target):
        store = TokenStore.open(target)
        wanted = Origin.of(texts.corpus, texts.valid, texts.config())
        same_tokenizer = texts.tokenizer is None or fingerprint(texts.tokenizer) == fingerprint(
            store.tokenizer
        )
        # The texts may be the same, and more or fewer of them held out.
        same_parts = texts.valid is None or texts.valid.characters == store.valid.counts.characters
        if store.origin.same_text(wanted) and same_tokenizer and same_parts:
            return store
    raise StorageError(
        f"{target} exists already, made from another text or with other settings",
        hint="remove it, or name another folder with -o",
    )


def _characters(given: Sequence[str], reading: ReadConfig) -> Iterator[str]:
    """Of one source after another, with nothing between them."""
    for source in expand(given):
        with opened(source) as file:
            yield from CharacterStream(file, reading, as_it_comes=True)


def _ids_of(tokenizer: Tokenizer, texts: Iterator[str]) -> Iterator[bytes]:
    """Whole lines at a time, so that blocks do not show."""
    held = ""
    for text in texts:
        whole, end, rest = (held + text).rpartition("\n")
        if end or len(rest) > BLOCK_BYTES:
            yield _ids_line(tokenizer, whole + end if end else rest)
            rest = rest if end else ""
        held = rest
    if held:
        yield _ids_line(tokenizer, held)


def _ids_line(tokenizer: Tokenizer, text: str) -> bytes:
    lines = text.split("\n")
    whole = [line + "\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
    return "".join(" ".join(map(str, tokenizer.encode(line).tolist())) + "\n" for line in whole).encode()


def _text_of(tokenizer: Tokenizer, texts: Iterator[str]) -> Iterator[bytes]:
    decoder, held = tokenizer.decoder(), ""
    for text in texts:
        *numbers, held = (held + text).split(" ") if not text[-1].isspace() else [*(held + text).split(), ""]
        yield "".join(decoder.push(_id(tokenizer, n)) for part in numbers for n in part.split()).encode()
    yield ("".join(decoder.push(_id(tokenizer, n)) for n in held.split()) + decoder.finish()).encode()


def _id(tokenizer: Tokenizer, number: str) -> int:
    known = number.isascii() and number.isdigit() and len(number) <= _LONGEST_ID
    if not (known and int(number) < tokenizer.vocab_size):
        raise TokenizerError(
            f"{number[:20]!r} is no id of this tokenizer",
            hint=f"they go from 0 to {tokenizer.vocab_size - 1:,}",
        )
    return int(number)
