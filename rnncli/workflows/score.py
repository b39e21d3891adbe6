"""Score texts line by line: rows in the formats of other tools, the most surprising lines, minimal pairs."""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from heapq import heappush, heappushpop
from typing import NamedTuple

from rnncli.data.compression import open_source
from rnncli.data.config import ReadOptions
from rnncli.data.decoding import CharacterStream
from rnncli.data.sources import expand_sources, readable_name
from rnncli.data.tokenizers.base import Tokenizer
from rnncli.errors import CorpusError
from rnncli.evaluation import formats
from rnncli.evaluation.config import ScoreOptions
from rnncli.evaluation.formats import ScoreFormat, Units
from rnncli.evaluation.minimal_pairs import PairScore, PairSummary, parse_pairs
from rnncli.evaluation.rescoring import split_names
from rnncli.evaluation.scoring import LINES_SORTED
from rnncli.evaluation.surprisal import LineScorer, ScoredLine, require_character_tokens
from rnncli.storage.checkpoints import load_model
from rnncli.storage.model_dir import ModelDir
from rnncli.workflows.devices import pick_device
from rnncli.workflows.evaluate import language_model

# Formats whose lines begin with the name of an utterance.
_NAMED_LINES = ("kaldi", "nbest")


class ScoredRows(NamedTuple):
    """Some output rows (text with line ends) and the scored lines that they show."""

    rows: str
    lines: Sequence[ScoredLine] = ()


def line_scorer(model_dir: ModelDir, device: str, *, words: bool = False) -> LineScorer:
    """Load the model, interpolated with its n-gram if it has one.

    Args:
        model_dir: The model.
        device: "auto", "cpu", "cuda" or "mps".
        words: Whether words will be scored; raises ConfigError if the model has no word boundaries.
    """
    network = load_model(model_dir, pick_device(device))
    return LineScorer(language_model(model_dir, network), model_dir.tokenizer(), words=words)


def score_lines(
    model_dir: ModelDir, texts: Sequence[str], *, options: ScoreOptions, read: ReadOptions, device: str
) -> Iterator[ScoredRows]:
    """Score every line of some texts, and yield its rows as soon as it is scored.

    Lines that arrive together are scored together. The first rows may be a header and the last ones totals.

    Args:
        model_dir: The model.
        texts: Files, folders or patterns; "-" is stdin.
        options: The output format and what it shows.
        read: How the texts are decoded.
        device: "auto", "cpu", "cuda" or "mps".

    Raises:
        CorpusError: There are no lines, or a line of an n-best list has no name.
        ConfigError: The model cannot score such units.
    """
    tokenizer, unit = model_dir.tokenizer(), options.shown_unit
    if unit == "character":
        require_character_tokens(tokenizer)
    scorer = line_scorer(model_dir, device, words=unit == "word")
    sources = expand_sources(texts)
    form = _format(options, tokenizer, ", ".join(map(readable_name, sources)))
    yield ScoredRows(form.head())
    number = 0
    for source in sources:
        before = number
        for lines in _arriving_lines(source, read):
            names, given = [""] * len(lines), lines
            if options.format in _NAMED_LINES:
                names, given = split_names(lines, number - before, readable_name(source))
            scored = scorer.score(given)
            numbered = enumerate(zip(scored, names, strict=True), number + 1)
            yield ScoredRows("".join(form.line(at, line, name) for at, (line, name) in numbered), scored)
            number += len(lines)
    if not number:
        raise CorpusError("there are no lines to score", hint="give a text with at least one line")
    yield ScoredRows(form.tail())


def most_surprising_lines(
    model_dir: ModelDir, texts: Sequence[str], *, number: int, read: ReadOptions, device: str
) -> str:
    """Find the `number` lines with the most bits per character; returns a table, the most surprising first.

    Raises:
        CorpusError: There are no lines.
    """
    scorer = line_scorer(model_dir, device)
    found: list[tuple[float, int, str]] = []
    count = 0
    for source in expand_sources(texts):
        for lines in _arriving_lines(source, read):
            for line in scorer.score(lines):
                count += 1
                # The end of the line is scored too, and counts as a character.
                bits = line.nll_nats / math.log(2.0) / (len(line.text) + 1)
                entry = (bits, -count, line.text)
                if len(found) < number:
                    heappush(found, entry)
                else:
                    heappushpop(found, entry)
    if not count:
        raise CorpusError("there are no lines to score", hint="give a text with at least one line")
    rows = [
        f"{rank}\t{-place}\t{bits:.4f}\t{formats.escape_cell(text)}\n"
        for rank, (bits, place, text) in enumerate(sorted(found, reverse=True), 1)
    ]
    return "rank\tsentence_id\tbits_per_character\tsentence\n" + "".join(rows)


def score_pairs(
    model_dir: ModelDir, texts: Sequence[str], *, read: ReadOptions, device: str
) -> Iterator[str]:
    """Score minimal pairs; yields a JSON object per pair, and at the end one with the accuracy.

    Raises:
        CorpusError: There are no pairs, or a line is not a pair.
    """
    scorer = line_scorer(model_dir, device)
    preferred = list[str]()
    for source in expand_sources(texts):
        line_number = 1
        for lines in _arriving_lines(source, read):
            pairs = list(parse_pairs(lines, line_number, readable_name(source)))
            line_number += len(lines)
            if not pairs:
                continue
            nll = [line.nll_nats for line in scorer.score([text for pair in pairs for text in pair])]
            rows = []
            for good, bad in zip(nll[::2], nll[1::2], strict=True):
                score = PairScore.of(len(preferred) + 1, good, bad)
                preferred.append(score.preferred)
                rows.append(json.dumps(asdict(score)) + "\n")
            yield "".join(rows)
    yield json.dumps(asdict(PairSummary.of(preferred))) + "\n"


def _format(options: ScoreOptions, tokenizer: Tokenizer, name: str) -> ScoreFormat:
    by_unit: dict[str, Units | None] = {
        "token": lambda line: line.tokens,
        "word": lambda line: line.words,
        "character": lambda line: line.characters,
        "line": None,
    }
    units = by_unit[options.shown_unit]
    match options.format:
        case "tsv":
            return formats.TsvFormat(units, options.base or "2", options.column_names)
        case "jsonl":
            return formats.JsonlFormat(units)
        case "srilm":
            return formats.SrilmFormat(name)
        case "kenlm":
            ids = {tokenizer.id_to_token(token): token for token in range(tokenizer.vocab_size)}
            return formats.KenlmFormat(ids.__getitem__)
        case "kaldi":
            return formats.KaldiFormat()
        case "nbest":
            return formats.NBestFormat()
    assert units is not None
    if options.format == "minicons":
        return formats.MiniconsFormat(units)
    return formats.NeuralComplexityFormat(units)


def _arriving_lines(source: str, read: ReadOptions) -> Iterator[list[str]]:
    """The lines of a source without their ends, as many at a time as have arrived."""
    held = ""
    with open_source(source) as file:
        for text in CharacterStream(file, read, as_available=True):
            *lines, held = (held + text).split("\n")
            for first in range(0, len(lines), LINES_SORTED):  # a few lines are answered at once
                yield lines[first : first + LINES_SORTED]
    if held:
        yield [held]
