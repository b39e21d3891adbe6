"""Statistics of a corpus: its characters, words and lines, and the recommended tokenization level.

C distinct code points.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import chain

import numpy as np
import numpy.typing as npt

from rnncli.data.config import Level, TextConfig
from rnncli.data.corpus import Corpus, ReadableBlock
from rnncli.data.splits import SplitBlock, SplitTexts, make_splitter
from rnncli.data.tokenizers.base import UNKNOWN
from rnncli.data.tokenizers.subword import SubwordTokenizer, default_vocab_size
from rnncli.data.tokenizers.word import DEFAULT_MAX_WORDS, words_of_lines
from rnncli.errors import TokenizerError
from rnncli.events import CharacterCount, CorpusReport, LevelSize

# Sample sizes of the report before training, which should not wait for it, and of a thorough report.
QUICK_CHARACTERS, THOROUGH_CHARACTERS = 2_000_000, 64_000_000
_SHOWN_CHARACTERS = 20
_GROWTH_POINTS = 12
# Subwords for the comparison of levels are trained on no more than this.
_SUBWORD_SAMPLE_CHARACTERS = 500_000
# About what a laptop trains on in five minutes.
CHARACTERS_READ_IN_MINUTES = 15_000_000
# CJK ideographs: the blocks of the Basic Multilingual Plane, their compatibility forms, planes 2 and 3.
_HAN = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
_SHORT_LINE_CHARACTERS = 60

# Enough to choose a level from, and quick to read.
LEVEL_SAMPLE_CHARACTERS = 400_000
# Thai, Lao, Burmese, Khmer, kana, Han.
_WRITTEN_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
# Mean characters between spaces that exceed the length of words, in those scripts and in any script.
_LONG_UNSPACED, _LONG_SPACED = 6, 15
# With fewer epochs than this, a long text in an alphabetic script is modeled better from subwords than from
# characters (docs/recipes.md). This does not hold for a text of three quarters of a million characters.
_MIN_CHARACTER_EPOCHS, _LONG_TEXT, _MAX_ALPHABET = 10, 1_000_000, 2_000


def describe_corpus(corpus: Corpus, config: TextConfig, valid: Corpus | None, thorough: bool) -> CorpusReport:
    """Describe a corpus.

    Args:
        corpus: The text.
        config: How it is tokenized and divided.
        valid: The validation split, if it is another text.
        thorough: Compare all tokenization levels and recommend one. Otherwise the report takes about a
            second; before training, the planner chooses the level by the time budget.
    """
    max_characters = THOROUGH_CHARACTERS if thorough else QUICK_CHARACTERS
    splits = _sample_splits(corpus, config, valid, max_characters)
    sample = splits.train + splits.valid + splits.test
    words = list(chain.from_iterable(words_of_lines(sample, config.pattern)))
    unspaced = has_few_spaces(sample)
    level, vocab_size, reasons = _recommend_level(corpus, sample) if thorough else (None, None, [])
    total = corpus.characters + (valid.characters if valid else 0)
    seek_overlap = thorough or total <= max_characters
    order = np.lexsort((corpus.code_points, -corpus.histogram))
    return CorpusReport(
        name=corpus.name,
        encoding=corpus.encoding,
        disk_bytes=sum(source.bytes for source in corpus.sources),
        bytes=corpus.bytes,
        characters=corpus.characters,
        lines=corpus.lines,
        distinct_characters=len(corpus.code_points),
        han_characters=_han_characters(corpus),
        frequent=_character_counts(corpus, order[:_SHOWN_CHARACTERS]),
        rare=_character_counts(corpus, order[::-1][:_SHOWN_CHARACTERS]),
        sample_characters=len(sample),
        growth_unit="character" if unspaced else "word",
        growth=_vocabulary_growth(sample if unspaced else words),
        duplicate_lines=_duplicate_fraction(_nonempty_lines(sample)),
        valid_lines_in_train=_overlap_fraction(corpus, config, valid) if seek_overlap else None,
        levels=_level_sizes(corpus, sample, words) if thorough else (),
        level=level,
        vocab_size=vocab_size,
        reasons=(*reasons, *_line_by_line_advice(corpus, sample)),
    )


def default_level(sample: str) -> Level:
    """Return word for a text with `<unk>` marks, such as Mikolov's Penn Treebank; else char.

    At least one word in 500 must be such a mark: a text about these marks has fewer.
    """
    marks = len(re.findall(rf"(?<!\S){UNKNOWN}(?!\S)", sample))
    return "word" if marks and 500 * marks >= len(sample.split()) else "char"


def character_epochs_needed(characters: int, alphabet: int) -> int:
    """Return how many epochs the time budget must cover for characters to be better than subwords.

    Args:
        characters: The size of the text.
        alphabet: The number of distinct characters.
    """
    return _MIN_CHARACTER_EPOCHS if characters >= _LONG_TEXT and alphabet < _MAX_ALPHABET else 1


def has_few_spaces(sample: str) -> bool:
    """Return whether whitespace separates phrases or lines instead of words, as in Chinese."""
    words = sample.split()
    characters = sum(map(len, words))
    mostly_unspaced = 2 * len(_WRITTEN_WITHOUT_SPACES.findall(sample)) > characters
    return bool(words) and characters / len(words) > (_LONG_UNSPACED if mostly_unspaced else _LONG_SPACED)


def _sample_splits(
    corpus: Corpus, config: TextConfig, valid: Corpus | None, max_characters: int
) -> SplitTexts:
    """Read evenly spaced blocks and divide them as training will."""
    splitter = make_splitter(corpus, config, separate_valid=valid is not None)
    found = [SplitBlock(block, splitter).read() for block in _evenly_spaced(corpus, max_characters)]
    splits = SplitTexts(*map("".join, zip(*found, strict=True)))
    if valid is not None:
        valid_text = "".join(block.read() for block in _evenly_spaced(valid, max_characters))
        splits = splits._replace(valid=valid_text)
    return splits


def _evenly_spaced(corpus: Corpus, characters: int) -> list[ReadableBlock]:
    blocks = list(corpus.readable_blocks())
    wanted = min(len(blocks), max(1, len(blocks) * characters // max(corpus.characters, 1)))
    # Counted from the last block, which holds the validation split.
    return [blocks[len(blocks) - 1 - index * len(blocks) // wanted] for index in range(wanted)][::-1]


def _character_counts(corpus: Corpus, order: npt.NDArray[np.intp]) -> tuple[CharacterCount, ...]:
    chosen = zip(corpus.code_points[order].tolist(), corpus.histogram[order].tolist(), strict=True)
    return tuple(
        CharacterCount(chr(point), count, f"U+{point:04X}", unicodedata.name(chr(point), "unnamed"))
        for point, count in chosen
    )


def _han_characters(corpus: Corpus) -> int:
    inside = [(corpus.code_points >= first) & (corpus.code_points <= last) for first, last in _HAN]
    return int(corpus.histogram[np.logical_or.reduce(inside)].sum())


def _vocabulary_growth(units: Sequence[str]) -> tuple[tuple[int, int], ...]:
    """Return pairs (units read, distinct units among them); the units read double from pair to pair."""
    first_seen: dict[str, int] = {}
    for position, unit in enumerate(units):
        first_seen.setdefault(unit, position)
    positions = np.fromiter(first_seen.values(), np.int64, len(first_seen))
    points = [len(units) >> shift for shift in range(_GROWTH_POINTS) if len(units) >> shift]
    return tuple((point, int(np.count_nonzero(positions < point))) for point in reversed(points))


def _nonempty_lines(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.strip()]


def _duplicate_fraction(lines: Sequence[str]) -> float | None:
    return 1 - len(set(lines)) / len(lines) if lines else None


def _overlap_fraction(corpus: Corpus, config: TextConfig, valid: Corpus | None) -> float | None:
    """Return the fraction of validation lines that occur anywhere in the training split.

    The whole training split is searched: a sample would miss most occurrences.
    """
    splitter = make_splitter(corpus, config, separate_valid=valid is not None)

    def split_texts() -> Iterator[SplitTexts]:
        return (SplitBlock(block, splitter).read() for block in corpus.readable_blocks())

    if valid is None:
        valid_texts = (texts.valid for texts in split_texts())
    else:
        valid_texts = (block.read() for block in valid.readable_blocks())
    valid_lines = [line for text in valid_texts for line in _nonempty_lines(text)]
    wanted = set(valid_lines)
    found = {line for texts in split_texts() for line in wanted.intersection(_nonempty_lines(texts.train))}
    return sum(line in found for line in valid_lines) / len(valid_lines) if valid_lines else None


def _level_sizes(corpus: Corpus, sample: str, words: Sequence[str]) -> tuple[LevelSize, ...]:
    """Return the exact sizes at char and byte level; word and subword are scaled up from the sample."""
    scale = corpus.characters / max(len(sample), 1)
    word_tokens = round((len(words) + sample.count("\n")) * scale)
    return (
        _level_size(corpus, "char", 1 + len(corpus.code_points), corpus.characters),
        _level_size(corpus, "byte", 256, corpus.bytes),
        _level_size(corpus, "word", min(len(set(words)) + 2, DEFAULT_MAX_WORDS), word_tokens),
        *_subword_level(corpus, sample[:_SUBWORD_SAMPLE_CHARACTERS]),
    )


def _subword_level(corpus: Corpus, sample: str) -> list[LevelSize]:
    vocab_size = default_vocab_size(corpus.characters, len(set(sample)))
    try:
        tokenizer = SubwordTokenizer.train(sample, vocab_size, "bpe")
    except TokenizerError:  # a text of nothing but line ends has no subwords
        return []
    tokens = round(len(tokenizer.encode(sample)) * corpus.characters / len(sample))
    return [_level_size(corpus, "subword", tokenizer.vocab_size, tokens)]


def _level_size(corpus: Corpus, level: Level, vocab_size: int, tokens: int) -> LevelSize:
    return LevelSize(level, vocab_size, tokens, corpus.characters / max(tokens, 1))


def _line_by_line_advice(corpus: Corpus, sample: str) -> list[str]:
    mean_line = corpus.characters / max(corpus.lines, 1)
    all_differ = _duplicate_fraction(_nonempty_lines(sample)) == 0.0
    if corpus.lines >= 1000 and mean_line <= _SHORT_LINE_CHARACTERS and all_differ:
        return ["the lines are short and all different: if each is a text of its own, add --line-by-line"]
    return []


def _recommend_level(corpus: Corpus, sample: str) -> tuple[Level, int | None, list[str]]:
    """Return the level for a few minutes on a laptop, its vocabulary size (subword only), and the reasons."""
    if default_level(sample) == "word":
        return "word", None, ["the text already marks its out-of-vocabulary words"]
    epochs = character_epochs_needed(corpus.characters, len(corpus.code_points))
    if epochs * corpus.characters > CHARACTERS_READ_IN_MINUTES:
        vocab_size = default_vocab_size(corpus.characters, len(set(sample[:_SUBWORD_SAMPLE_CHARACTERS])))
        return "subword", vocab_size, ["a few minutes cover too few epochs of characters"]
    why = "words are not separated by spaces" if has_few_spaces(sample) else "nothing is out of vocabulary"
    return "char", None, [f"a few minutes cover more than one epoch, and {why}"]
