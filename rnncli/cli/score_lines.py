"""The work of `rnncli score`: lines as they come, scored in batches, written in their order."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappush, heappushpop
from pathlib import Path

import torch

from rnncli import files
from rnncli.cli.writing import write
from rnncli.console.surprisal_page import surprisal_page
from rnncli.data.config import ReadConfig
from rnncli.data.decoding import opened
from rnncli.data.reading import CharacterStream
from rnncli.data.sources import expand, readable_name
from rnncli.data.tokenizers.base import Tokenizer
from rnncli.errors import ConfigError, CorpusError
from rnncli.evaluation import formats
from rnncli.evaluation.formats import Format, Units
from rnncli.evaluation.nbest import named_lines
from rnncli.evaluation.scoring import LINES_SORTED
from rnncli.evaluation.surprisal import LineScorer, ScoredLine, refuse_no_characters
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.runs import load_model

# What each format can show, its own way first.
_UNITS = {
    "tsv": ("token", "word", "character", "line"),
    "jsonl": ("token", "word", "character", "line"),
    "minicons": ("token", "word", "character"),
    "neural-complexity": ("word", "token", "character"),
    "srilm": ("token",),
    "kenlm": ("token",),
    "kaldi": ("line",),
    "nbest": ("line",),
}
_NAMED_LINES = ("kaldi", "nbest")
_COLUMNS = ", ".join(formats.COLUMNS)


@dataclass(frozen=True)
class Wanted:
    """The format, and what else was named; raises ConfigError where it does not fit together."""

    format: str
    unit: str | None = None
    base: str | None = None
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        possible = _UNITS[self.format]
        if self.unit is not None and self.unit not in possible:
            raise ConfigError(
                f"the format {self.format} has no unit {self.unit}", hint=f"it has {', '.join(possible)}"
            )
        if self.base is not None and self.format != "tsv":
            raise ConfigError(f"the format {self.format} has a base of its own", hint="leave out --base")
        strange = [name for name in self.columns if name not in formats.COLUMNS]
        if strange:
            raise ConfigError(f"there is no column {strange[0]!r}", hint=f"there are {_COLUMNS}")
        if self.columns and (self.format != "tsv" or self.unit == "line"):
            raise ConfigError(
                "columns are chosen for tables of units alone", hint="--columns goes with --format tsv"
            )

    @property
    def shown(self) -> str:
        """The unit, where none was named the format's own."""
        return self.unit or _UNITS[self.format][0]


def stream(
    folder: ModelDir,
    device: torch.device,
    given: Sequence[str],
    reading: ReadConfig,
    wanted: Wanted,
    html: Path | None,
) -> None:
    """Write every line of the texts to stdout as soon as it is scored, and in the end the page.

    Raises CorpusError where there is nothing to score, StorageError where the page cannot be written.
    """
    tokenizer = folder.tokenizer()
    if wanted.shown == "character":
        refuse_no_characters(tokenizer)
    if html is not None:
        files.refuse_no_folder(html)
    scorer = LineScorer(load_model(folder, device), tokenizer, folder.ngram(), words=wanted.shown == "word")
    sources = expand(given)
    shape = _format(wanted, tokenizer, ", ".join(map(readable_name, sources)))
    write(shape.head())
    number, kept = 0, list[ScoredLine]()
    for source in sources:
        before = number
        for lines in batches(source, reading):
            names, texts = (
                named_lines(lines, number - before, readable_name(source))
                if wanted.format in _NAMED_LINES
                else ([], lines)
            )
            scored = scorer.score(texts)
            kept += scored if html is not None else []
            rows = (
                shape.line(number + at, line, names[at - 1] if names else "")
                for at, line in enumerate(scored, 1)
            )
            write("".join(rows))
            number += len(lines)
    if not number:
        raise CorpusError("there are no lines to score", hint="give a text with at least one line")
    write(shape.tail())
    if html is not None:
        title = f"{', '.join(map(readable_name, sources))} under {folder.path.name}"
        files.write_file(html, surprisal_page(title, kept))


def most_surprising(
    folder: ModelDir, device: torch.device, given: Sequence[str], reading: ReadConfig, number: int
) -> None:
    """The `number` lines of the texts with the most bits per character to stdout, the oddest first."""
    scorer = LineScorer(load_model(folder, device), folder.tokenizer(), folder.ngram())
    found: list[tuple[float, int, str]] = []
    count = 0
    for source in expand(given):
        for lines in batches(source, reading):
            for line in scorer.score(lines):
                count += 1
                # The end of the line is scored too, and counts as a character.
                bits = line.nats / math.log(2.0) / (len(line.text) + 1)
                entry = (bits, -count, line.text)
                if len(found) < number:
                    heappush(found, entry)
                else:
                    heappushpop(found, entry)
    if not count:
        raise CorpusError("there are no lines to score", hint="give a text with at least one line")
    write("rank\tsentence_id\tbits_per_character\tsentence\n")
    for rank, (bits, place, text) in enumerate(sorted(found, reverse=True), 1):
        write(f"{rank}\t{-place}\t{bits:.4f}\t{formats.cell(text)}\n")


def _format(wanted: Wanted, tokenizer: Tokenizer, name: str) -> Format:
    chosen: dict[str, Units | None] = {
        "token": lambda line: line.tokens,
        "word": lambda line: line.words,
        "character": lambda line: line.characters,
        "line": None,
    }
    units = chosen[wanted.shown]
    if wanted.format == "tsv":
        return formats.Tsv(units, wanted.base or "2", wanted.columns)
    if wanted.format == "jsonl":
        return formats.Jsonl(units)
    if wanted.format == "srilm":
        return formats.Srilm(name)
    if wanted.format == "kenlm":
        ids = {tokenizer.symbol(token): token for token in range(tokenizer.vocab_size)}
        return formats.Kenlm(ids.__getitem__)
    if wanted.format in _NAMED_LINES:
        return formats.Kaldi() if wanted.format == "kaldi" else formats.NBest()
    assert units is not None
    return formats.Minicons(units) if wanted.format == "minicons" else formats.NeuralComplexity(units)


def batches(source: str, reading: ReadConfig) -> Iterator[list[str]]:
    """The lines of a source without their ends, as many at a time as have come; the last may have none."""
    held = ""
    with opened(source) as file:
        for text in CharacterStream(file, reading, as_it_comes=True):
            *lines, held = (held + text).split("\n")
            for first in range(0, len(lines), LINES_SORTED):  # fewer are answered at once
                yield lines[first : first + LINES_SORTED]
    if held:
        yield [held]
