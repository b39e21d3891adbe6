"""What a text is like: its symbols, words and lines, and the level that suits it."""

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from rnncli.data.config import Level, TextConfig
from rnncli.data.corpus import Corpus, Passage
from rnncli.data.levels import natural_level, readings_by_characters, spaces_are_scarce
from rnncli.data.splits import Parts, choose_split
from rnncli.data.tokenizers.base import DEFAULT_WORDS, words_of_lines
from rnncli.data.tokenizers.subword import SubwordTokenizer, natural_size
from rnncli.errors import TokenizerError
from rnncli.events import CorpusReport, LevelSize, SymbolCount

# Looked at before a training, which waits for it, and where a person asked for the report.
_QUICK_CHARACTERS, _THOROUGH_CHARACTERS = 2_000_000, 64_000_000
_SHOWN_SYMBOLS = 20
_GROWTH_POINTS = 12
# Pieces for the comparison of levels are learned from no more than this.
_PIECES_FROM_CHARACTERS = 500_000
# What a laptop reads in five minutes or so.
_CHARACTERS_READ_IN_MINUTES = 15_000_000
# CJK ideographs: the blocks of the Basic Multilingual Plane, their compatibility forms, planes 2 and 3.
_HAN = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
_SHORT_LINE_CHARACTERS = 60


def describe(corpus: Corpus, config: TextConfig, valid: Corpus | None, thorough: bool) -> CorpusReport:
    """Look at `corpus` for a second; or thoroughly, at what it is at every level and at which suits it.

    Before a training, which is when a second must do, its plan chooses the level, with the time in hand.
    """
    most = _THOROUGH_CHARACTERS if thorough else _QUICK_CHARACTERS
    parts = _sample(corpus, config, valid, most)
    sample = parts.train + parts.valid + parts.test
    words = list(chain.from_iterable(words_of_lines(sample, config.pattern)))
    scarce = spaces_are_scarce(sample)
    level, vocab_size, why = _recommended_level(corpus, sample) if thorough else (None, None, [])
    whole = corpus.characters + (valid.characters if valid else 0)
    order = np.lexsort((corpus.symbols, -corpus.histogram))
    return CorpusReport(
        name=corpus.name,
        encoding=corpus.encoding,
        disk_bytes=sum(source.bytes for source in corpus.sources),
        bytes=corpus.bytes,
        characters=corpus.characters,
        lines=corpus.lines,
        distinct_symbols=len(corpus.symbols),
        han_characters=_han_characters(corpus),
        frequent=_symbols(corpus, order[:_SHOWN_SYMBOLS]),
        rare=_symbols(corpus, order[::-1][:_SHOWN_SYMBOLS]),
        sample_characters=len(sample),
        growth_unit="character" if scarce else "word",
        growth=_growth(sample if scarce else words),
        duplicate_lines=_duplicates(_lines(sample)),
        valid_lines_in_train=_overlap(corpus, config, valid) if thorough or whole <= most else None,
        levels=_levels(corpus, sample, words) if thorough else (),
        level=level,
        vocab_size=vocab_size,
        reasons=(*why, *_advice_on_lines(corpus, sample)),
    )


def _sample(corpus: Corpus, config: TextConfig, valid: Corpus | None, most_characters: int) -> Parts:
    """Whole blocks, evenly spread, divided as the training will divide them."""
    split = choose_split(corpus, config, valid is not None)
    found = [split.parts(p.block, p.read()) for p in _evenly(corpus, most_characters)]
    parts = Parts(*map("".join, zip(*found, strict=True)))
    if valid is not None:
        held_out = "".join(passage.read() for passage in _evenly(valid, most_characters))
        parts = parts._replace(valid=held_out)
    return parts


def _evenly(corpus: Corpus, characters: int) -> list[Passage]:
    passages = list(corpus.passages())
    wanted = min(len(passages), max(1, len(passages) * characters // max(corpus.characters, 1)))
    # The last block is among them: that is where the held-out part lies.
    return [passages[len(passages) - 1 - index * len(passages) // wanted] for index in range(wanted)][::-1]


def _symbols(corpus: Corpus, order: npt.NDArray[np.intp]) -> tuple[SymbolCount, ...]:
    chosen = zip(corpus.symbols[order].tolist(), corpus.histogram[order].tolist(), strict=True)
    return tuple(
        SymbolCount(chr(point), count, f"U+{point:04X}", unicodedata.name(chr(point), "unnamed"))
        for point, count in chosen
    )


def _han_characters(corpus: Corpus) -> int:
    inside = [(corpus.symbols >= first) & (corpus.symbols <= last) for first, last in _HAN]
    return int(corpus.histogram[np.logical_or.reduce(inside)].sum())


def _growth(units: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """How many are read, doubled from point to point, and how many different ones among them."""
    first_seen: dict[str, int] = {}
    for position, unit in enumerate(units):
        first_seen.setdefault(unit, position)
    places = np.fromiter(first_seen.values(), np.int64, len(first_seen))
    points = [len(units) >> shift for shift in range(_GROWTH_POINTS) if len(units) >> shift]
    return tuple((point, int(np.count_nonzero(places < point))) for point in reversed(points))


def _lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


def _duplicates(lines: Sequence[str]) -> float | None:
    return 1 - len(set(lines)) / len(lines) if lines else None


def _overlap(corpus: Corpus, config: TextConfig, valid: Corpus | None) -> float | None:
    """Every held-out line, sought in the whole training part: a sample would miss most of them."""
    split = choose_split(corpus, config, valid is not None)

    def parts() -> Iterator[Parts]:
        return (split.parts(passage.block, passage.read()) for passage in corpus.passages())

    texts = (part.valid for part in parts()) if valid is None else (p.read() for p in valid.passages())
    held_out = [line for text in texts for line in _lines(text)]
    wanted = set(held_out)
    found = {line for part in parts() for line in wanted.intersection(_lines(part.train))}
    return sum(line in found for line in held_out) / len(held_out) if held_out else None


def _levels(corpus: Corpus, sample: str, words: Sequence[str]) -> tuple[LevelSize, ...]:
    """Char and byte exactly; word and subword from the sample, scaled to the whole text."""
    scale = corpus.characters / max(len(sample), 1)
    word_tokens = round((len(words) + sample.count("\n")) * scale)
    return (
        _level_size(corpus, "char", 1 + len(corpus.symbols), corpus.characters),
        _level_size(corpus, "byte", 256, corpus.bytes),
        _level_size(corpus, "word", min(len(set(words)) + 2, DEFAULT_WORDS), word_tokens),
        *_subword_level(corpus, sample[:_PIECES_FROM_CHARACTERS]),
    )


def _subword_level(corpus: Corpus, sample: str) -> list[LevelSize]:
    try:
        pieces = SubwordTokenizer.learn(sample, natural_size(corpus.characters, len(set(sample))), "bpe")
    except TokenizerError:  # a text of line ends alone has no pieces
        return []
    tokens = round(len(pieces.encode(sample)) * corpus.characters / len(sample))
    return [_level_size(corpus, "subword", pieces.vocab_size, tokens)]


def _level_size(corpus: Corpus, level: Level, vocab_size: int, tokens: int) -> LevelSize:
    return LevelSize(level, vocab_size, tokens, corpus.characters / max(tokens, 1))


def _advice_on_lines(corpus: Corpus, sample: str) -> list[str]:
    mean_line = corpus.characters / max(corpus.lines, 1)
    if corpus.lines >= 1000 and mean_line <= _SHORT_LINE_CHARACTERS and _duplicates(_lines(sample)) == 0.0:
        return ["all lines differ and are short: if each stands for itself, add --unit line"]
    return []


def _recommended_level(corpus: Corpus, sample: str) -> tuple[Level, int | None, list[str]]:
    """For some minutes of a laptop: the level, how many pieces it should have, and why."""
    if natural_level(sample) == "word":
        return "word", None, ["the text marks its unknown words itself"]
    readings = readings_by_characters(corpus.characters, len(corpus.symbols))
    if readings * corpus.characters > _CHARACTERS_READ_IN_MINUTES:
        size = natural_size(corpus.characters, len(set(sample[:_PIECES_FROM_CHARACTERS])))
        why = "pieces make it shorter: a few minutes do not read its characters often enough"
        return "subword", size, [why]
    why = "words are not set apart by spaces" if spaces_are_scarce(sample) else "nothing is unknown"
    return "char", None, [f"a few minutes read every character more than once, and {why}"]
