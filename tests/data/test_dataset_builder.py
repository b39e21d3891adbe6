"""A token dataset encodes its text, is the same for any number of processes, and is complete or absent."""

from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from rnncli.data.config import Level, SubwordKind, TextConfig
from rnncli.data.dataset import TokenDataset
from rnncli.data.dataset_builder import build_dataset
from rnncli.data.splits import SingleSplitter, Split, SplitBlock
from rnncli.data.text_units import count_text
from rnncli.data.tokenizers.base import CharTokenizer, decode, fingerprint
from rnncli.data.tokenizers.training import sample_evenly
from rnncli.data.tokenizers.word import WordTokenizer
from rnncli.errors import CorpusError
from tests.data.conftest import dataset_of, scanned

RHYME = "The kitten sat beside the door,\nthe rain came down — 雨 — the rain came more;\n" * 30
LEVELS: list[Level] = ["char", "byte", "word", "subword"]
Built = Callable[..., TokenDataset]


@pytest.fixture
def built(own_folder: Path) -> Built:
    numbers = iter(range(99))

    def make(text: str = RHYME, level: Level = "char", **settings: object) -> TokenDataset:
        config = TextConfig(level, **settings)  # type: ignore[arg-type]
        return dataset_of(text, config, own_folder / f"{next(numbers)}.tok")

    return make


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnncli.data.corpus.BLOCK_BYTES", 256)
    monkeypatch.setattr("rnncli.data.decoding.BLOCK_BYTES", 256)
    monkeypatch.setattr("rnncli.data.dataset_builder.BLOCKS_PER_WORKER", 1)


def text_of(dataset: TokenDataset, split: Split) -> str:
    return decode(dataset.tokenizer, split.ids[:])


def whole_text(dataset: TokenDataset) -> str:
    return "".join(text_of(dataset, split) for split in dataset.splits.values())


# -- what the splits hold


@pytest.mark.parametrize("level", LEVELS)
def test_the_ids_of_the_splits_are_those_of_their_text(
    built: Built, small_blocks: None, level: Level
) -> None:
    dataset = built(level=level, test_fraction=0.2)
    at = 0
    for split in dataset.splits.values():
        text = RHYME[at : at + split.counts.characters]
        at += split.counts.characters
        assert split.counts == count_text(text)
        assert split.line_starts is None
        np.testing.assert_array_equal(split.ids[:], dataset.tokenizer.encode(text))
    assert at == len(RHYME)
    assert dataset.test.tokens


@pytest.mark.parametrize("level", ["char", "byte", "subword"])
def test_the_splits_together_are_the_text(built: Built, level: Level) -> None:
    assert whole_text(built(level=level)) == RHYME


@pytest.mark.parametrize("level", ["word", "subword"])
@pytest.mark.parametrize(
    "settings", [{}, {"line_by_line": True, "split_method": "lines", "test_fraction": 0.1}], ids=str
)
def test_the_dataset_is_the_same_by_any_number_of_processes(
    own_folder: Path, small_blocks: None, level: Level, settings: dict[str, object]
) -> None:
    text = RHYME + "".join(f"word{number % 7} and odd{number}\n" for number in range(40)) + "no end"
    corpus = scanned(text, own_folder / "rhyme.txt")
    assert len(corpus.blocks) >= 6
    config = TextConfig(level, **settings)  # type: ignore[arg-type]
    found = []
    for workers in (1, 2, 3) if level == "word" else (1, 2):
        folder = own_folder / f"{workers}.tok"
        folder.mkdir()
        build_dataset(corpus, config, folder, workers=workers)
        found.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert {"tokens.bin", "dataset.json"} < found[0].keys()
    assert all(files == found[0] for files in found)


def test_lines_drawn_for_one_split_are_in_no_other(built: Built, small_blocks: None) -> None:
    text = "".join(f"line {number}\n" for number in range(500)) + "last"
    dataset = built(text, split_method="lines", test_fraction=0.1, valid_fraction=0.2)
    lines = [text_of(dataset, split).splitlines() for split in dataset.splits.values()]
    assert sorted(chain.from_iterable(lines)) == sorted(text.splitlines())
    assert [len(split) for split in lines[1:]] == [100, 50]
    for split in lines:
        numbers = [int(line.split()[1]) for line in split if line != "last"]
        assert numbers == sorted(numbers)


def test_a_validation_text_is_the_validation_split(own_folder: Path, small_blocks: None) -> None:
    held_out = "a lamp was lit — é\n" * 40 + "without an end"
    valid = scanned(held_out, own_folder / "held-out.txt")
    dataset = dataset_of(RHYME, TextConfig(), own_folder / "rhyme.tok", valid=valid)
    assert text_of(dataset, dataset.train) == RHYME
    assert text_of(dataset, dataset.valid) == held_out
    assert dataset.valid.oov_tokens == 0, "characters are those of both texts"
    assert len(dataset.origin.sources) == 2
    assert dataset.origin.valid_inputs == (str(own_folder / "held-out.txt"),)


def test_words_of_a_validation_text_are_not_in_the_vocabulary(own_folder: Path) -> None:
    valid = scanned("the kitten and a stranger\n", own_folder / "held-out.txt")
    dataset = dataset_of(RHYME, TextConfig("word", vocab_size=99), own_folder / "a.tok", valid=valid)
    assert dataset.tokenizer.oov_tokens("the kitten stranger") == ["stranger"]
    assert dataset.valid.oov_tokens == 3


def test_words_are_taken_from_the_training_split_alone(built: Built) -> None:
    dataset = built("seen " * 18 + "new new ", "word", vocab_size=100)
    assert dataset.train.counts.words == 18
    assert dataset.tokenizer.oov_tokens("seen new") == ["new"]
    assert dataset.valid.ids[:].tolist() == [0, 0]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_subwords_are_trained_from_the_training_split_alone(built: Built, kind: SubwordKind) -> None:
    training = (RHYME * 2)[:4500]
    dataset = built(training + "雪" * 500, "subword", subword_kind=kind)
    assert dataset.train.counts.characters == len(training)
    assert dataset.valid.tokens == dataset.valid.counts.bytes  # no subword for it: three bytes each


def test_the_alphabet_is_that_of_the_whole_text(built: Built) -> None:
    dataset = built("a" * 90 + "b" * 10)
    assert dataset.tokenizer.oov_tokens("ab") == []
    assert dataset.valid.oov_tokens == 0


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("character", ["a", "月"])
def test_a_text_of_one_character_is_tokenized(built: Built, level: Level, character: str) -> None:
    text = f"{character} " * 200 if level == "word" else character * 400
    dataset = built(text, level)
    assert dataset.train.tokens
    assert dataset.valid.tokens
    if level != "word":
        assert whole_text(dataset) == text


def test_seventy_thousand_characters_come_back_from_disk(built: Built) -> None:
    characters = "".join(map(chr, range(0x10000, 0x10000 + 70_000)))
    dataset = built(characters)
    assert dataset.train.ids[:5].dtype.itemsize == 4
    assert whole_text(dataset) == characters


def test_a_hundred_thousand_words_come_back_from_disk(built: Built) -> None:
    text = "".join(f"w{number} w{number}\n" for number in range(100_000))
    dataset = built(text, "word", vocab_size=100_002, valid_fraction=0.00001)
    assert dataset.train.ids[:1].dtype.itemsize == 4
    assert dataset.train.oov_tokens == 0
    assert text_of(dataset, dataset.train) == text[: dataset.train.counts.characters]


def test_unknown_words_are_counted_in_both_parts(built: Built) -> None:
    dataset = built("the cat the cat the <unk> the cat the cat the cat the dog\n", "word")
    assert (dataset.train.oov_tokens, dataset.valid.oov_tokens) == (1, 1)
    assert built(level="byte").train.oov_tokens == 0


@pytest.mark.parametrize("text", ["d" * 40, " " * 40, "word" + " " * 40])
def test_a_text_without_words_for_both_splits_is_refused(built: Built, text: str) -> None:
    with pytest.raises(CorpusError, match="too few words"):
        built(text, "word")


def test_a_text_of_one_line_has_too_few_for_both_parts(built: Built) -> None:
    for settings in ({"line_by_line": True}, {"split_method": "lines"}):
        with pytest.raises(CorpusError, match="too few lines"):
            built("one line and no more", **settings)


@pytest.mark.parametrize("length", [0, 1, 9])
@pytest.mark.parametrize("level", LEVELS)
def test_a_text_too_short_for_a_model_is_refused_with_its_size(
    built: Built, level: Level, length: int
) -> None:
    with pytest.raises(CorpusError, match=rf"0\.txt has {length} characters"):
        built("a b c d e f"[:length], level)


@pytest.mark.parametrize(
    ("level", "space"),
    [("word", " "), ("word", "  "), ("word", "\t"), ("word", "\u3000"), ("subword", " "), ("subword", "  ")],
)
def test_a_line_longer_than_a_block_has_the_ids_of_its_text(
    built: Built, small_blocks: None, level: Level, space: str
) -> None:
    text = space.join(["rain", "lamp", "turn"] * 200)
    dataset = built(text, level, vocab_size=300)
    for split in (dataset.train, dataset.valid):
        at = 0 if split is dataset.train else dataset.train.counts.characters
        expected = dataset.tokenizer.encode(text[at : at + split.counts.characters])
        assert split.ids[:].tolist() == expected.tolist()
    assert {dataset.tokenizer.id_to_token(token) for token in range(2, 5)} == {
        "lamp",
        "rain",
        "turn",
    } or level != "word"


# -- trained and given tokenizers


def test_the_rarest_words_are_dropped_if_there_are_too_many(
    built: Built, small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnncli.data.tokenizers.training.MAX_WORD_TYPES", 40)
    text = "".join(f"the rain rare{number}\n" for number in range(400))
    dataset = built(text, "word", vocab_size=1000)
    assert dataset.tokenizer.vocab_size <= 42
    assert [dataset.tokenizer.id_to_token(token) for token in (2, 3)] == ["rain", "the"]


def test_a_sample_has_the_same_share_of_every_block_to_the_end(own_folder: Path, small_blocks: None) -> None:
    text = "".join(f"line {number:04}\n" for number in range(1000))
    corpus = scanned(text, own_folder / "numbers.txt")
    blocks = [SplitBlock(block, SingleSplitter("train")) for block in corpus.readable_blocks()]
    sample = list(sample_evenly(blocks, corpus.characters, 2500))
    assert len(sample) == len(corpus.blocks) > 30
    assert all(sample)
    assert 1000 < sum(map(len, sample)) <= 2500
    assert all(split in blocks[index].block.read() for index, split in enumerate(sample))
    assert "".join(sample_evenly(blocks, corpus.characters, len(text))) == text


def test_a_sample_has_nothing_of_the_validation_split(own_folder: Path) -> None:
    corpus = scanned(RHYME, own_folder / "rhyme.txt")
    blocks = [SplitBlock(block, SingleSplitter("valid")) for block in corpus.readable_blocks()]
    assert "".join(sample_evenly(blocks, corpus.characters, 10**6)) == ""


def test_a_given_tokenizer_is_used_as_it_is(own_folder: Path) -> None:
    tokenizer = CharTokenizer("\n abcdefghijklmnopqrstuvwxyz")
    dataset = dataset_of(RHYME, TextConfig(), own_folder / "rhyme.tok", tokenizer=tokenizer)
    assert fingerprint(dataset.tokenizer) == fingerprint(tokenizer)
    oov = sum(character not in "\n abcdefghijklmnopqrstuvwxyz" for character in RHYME)
    assert dataset.train.oov_tokens + dataset.valid.oov_tokens == oov > 0


# -- lines as samples


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
@pytest.mark.parametrize("split_method", ["end", "lines"])
def test_lines_begin_where_they_say_and_all_are_whole(
    built: Built, small_blocks: None, level: Level, end: str, split_method: str
) -> None:
    lines = [f"the line {number} of é" for number in range(120)] + ["", "the line"]
    text = "\n".join(lines) + end
    dataset = built(
        text, level, line_by_line=True, split_method=split_method, test_fraction=0.1, **WHOLE.get(level, {})
    )
    found = []
    for split in dataset.splits.values():
        assert split.line_starts is not None
        starts = split.line_starts.astype(int).tolist()
        assert starts[0] == 0
        bounds = zip(starts, [*starts[1:], split.tokens], strict=True)
        found += [decode(dataset.tokenizer, split.ids[begin:stop]) for begin, stop in bounds]
    whole = text if text.endswith("\n") else text + "\n"
    assert sorted(found) == sorted(whole.splitlines(keepends=True))
    assert found == whole.splitlines(keepends=True) or split_method == "lines"
    assert sum(split.counts.characters for split in dataset.splits.values()) == len(whole)
    assert sum(split.counts.bytes for split in dataset.splits.values()) == len(whole.encode())


WHOLE: dict[str, dict[str, object]] = {"word": {"pattern": r"\w", "vocab_size": 100}}


def test_a_line_end_in_no_text_is_in_the_alphabet_of_lines(own_folder: Path) -> None:
    valid = scanned("held out", own_folder / "held-out.txt")
    dataset = dataset_of("one line alone", TextConfig(line_by_line=True), own_folder / "a.tok", valid=valid)
    assert text_of(dataset, dataset.train) == "one line alone\n"
    assert text_of(dataset, dataset.valid) == "held out\n"


def test_an_unknown_character_ends_no_line(own_folder: Path) -> None:
    tokenizer = CharTokenizer(" abcdefgh")
    text = "abc?def gh\n" * 20
    try:
        dataset = dataset_of(text, TextConfig(line_by_line=True), own_folder / "a.tok", tokenizer=tokenizer)
    except CorpusError:
        return  # a clear refusal is as good
    assert (
        sum(len(split.line_starts) for split in dataset.splits.values() if split.line_starts is not None)
        == 20
    )


def test_a_word_tokenizer_of_its_own_pattern_is_saved_with_the_dataset(built: Built) -> None:
    tokenizer = built(RHYME, "word", pattern=r"\w+").tokenizer
    assert isinstance(tokenizer, WordTokenizer)
    assert tokenizer.pattern == r"\w+"
