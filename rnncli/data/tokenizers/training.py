"""Training a tokenizer on the training split of a corpus."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from rnncli.data.config import TextConfig
from rnncli.data.corpus import Corpus
from rnncli.data.parallel import ordered_map
from rnncli.data.splits import SplitBlock
from rnncli.data.tokenizers.base import ByteTokenizer, CharTokenizer, Tokenizer
from rnncli.data.tokenizers.subword import SubwordTokenizer
from rnncli.data.tokenizers.word import WordTokenizer, words_of_lines

# The training time of sentencepiece grows with the text: a longer text is sampled evenly.
_SUBWORD_SAMPLE_CHARACTERS = 4_000_000
# With more distinct words than this the rarest are dropped: memory stays bounded, frequent words exact.
MAX_WORD_TYPES = 4_000_000


def train_tokenizer(
    corpus: Corpus, valid: Corpus | None, blocks: Sequence[SplitBlock], config: TextConfig, *, workers: int
) -> Tokenizer:
    """Train the tokenizer that `config` describes.

    Words and subwords come from the training split alone, so that the validation split stays unseen. The
    characters are those of the whole text: an inventory, as is usual in the field, not a statistic.

    Args:
        corpus: The text.
        valid: The validation split, if it is another text.
        blocks: The blocks of `corpus` and how they are divided.
        config: Level, vocabulary size and the like.
        workers: Number of processes; the tokenizer does not depend on it.

    Raises:
        CorpusError: A file has changed.
        TokenizerError: The text or the options allow no tokenizer.
    """
    match config.level:
        case "char":
            line_end = "\n" if config.line_by_line else ""
            return CharTokenizer.train(corpus.alphabet + (valid.alphabet if valid else "") + line_end)
        case "byte":
            return ByteTokenizer()
        case "word":
            counts: Counter[str] = Counter()
            for found in ordered_map(_CountWords(config.pattern), blocks, workers):
                counts.update(found)
                _drop_rarest(counts)
            return WordTokenizer.train(counts, config.vocab_size, config.pattern)
        case "subword":
            sample = "".join(sample_evenly(blocks, corpus.characters, _SUBWORD_SAMPLE_CHARACTERS))
            return SubwordTokenizer.train(sample, config.vocab_size, config.subword_kind)


def sample_evenly(blocks: Sequence[SplitBlock], characters: int, max_characters: int) -> Iterator[str]:
    """Yield a passage of the training split from every block, the same fraction of each.

    Args:
        blocks: All blocks of a corpus.
        characters: The size of the corpus.
        max_characters: The size of the sample, if the corpus is larger.
    """
    fraction = min(1.0, max_characters / max(characters, 1))
    for block in blocks:
        text = block.read().train
        length = int(len(text) * fraction)
        start = (len(text) - length) // 2
        if start:
            start = text.find("\n", start, start + length) + 1 or start  # begin with a line if possible
        yield text[start : start + length]


@dataclass(frozen=True)
class _CountWords:
    """Counts the words in the training split of a block."""

    pattern: str | None

    def __call__(self, block: SplitBlock) -> Counter[str]:
        return Counter(chain.from_iterable(words_of_lines(block.read().train, self.pattern)))


def _drop_rarest(counts: Counter[str]) -> None:
    threshold = 1
    while len(counts) > MAX_WORD_TYPES:
        for word in [word for word, number in counts.items() if number <= threshold]:
            del counts[word]
        threshold += 1
