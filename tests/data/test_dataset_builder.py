"""A store is the text cut into ids, the same by any number of processes, or it is nothing."""

from collections.abc import Callable
from itertools import chain
from pathlib import Path

import numpy as np
import pytest

from rnncli.data.config import Level, SubwordKind, TextConfig
from rnncli.data.counting import count
from rnncli.data.dataset import TokenStore
from rnncli.data.dataset_builder import Task, build, even_sample
from rnncli.data.split import Part
from rnncli.data.splits import EverythingIn
from rnncli.data.tokenizers.base import CharTokenizer, WordTokenizer, decode, fingerprint
from rnncli.errors import CorpusError
from tests.data.conftest import store_of, surveyed

RHYME = "The kitten sat beside the door,\nthe rain came down — 雨 — the rain came more;\n" * 30
LEVELS: list[Level] = ["char", "byte", "word", "subword"]
Built = Callable[..., TokenStore]


@pytest.fixture
def built(own_folder: Path) -> Built:
    numbers = iter(range(99))

    def make(text: str = RHYME, level: Level = "char", **settings: object) -> TokenStore:
        config = TextConfig(level, **settings)  # type: ignore[arg-type]
        return store_of(text, config, own_folder / f"{next(numbers)}.tok")

    return make


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnncli.data.corpus.BLOCK_BYTES", 256)
    monkeypatch.setattr("rnncli.data.reading.BLOCK_BYTES", 256)
    monkeypatch.setattr("rnncli.data.dataset_builder._BLOCKS_A_WORKER", 1)


def text_of(store: TokenStore, part: Part) -> str:
    return decode(store.tokenizer, part.ids[:])


def whole_text(store: TokenStore) -> str:
    return "".join(text_of(store, part) for part in store.parts.values())


# -- what the parts hold


@pytest.mark.parametrize("level", LEVELS)
def test_the_ids_of_the_parts_are_those_of_their_text(built: Built, small_blocks: None, level: Level) -> None:
    store = built(level=level, test_fraction=0.2)
    at = 0
    for part in store.parts.values():
        text = RHYME[at : at + part.counts.characters]
        at += part.counts.characters
        assert part.counts == count(text)
        assert part.line_starts is None
        np.testing.assert_array_equal(part.ids[:], store.tokenizer.encode(text))
    assert at == len(RHYME)
    assert store.test.tokens


@pytest.mark.parametrize("level", ["char", "byte", "subword"])
def test_the_parts_together_are_the_text(built: Built, level: Level) -> None:
    assert whole_text(built(level=level)) == RHYME


@pytest.mark.parametrize("level", ["word", "subword"])
@pytest.mark.parametrize("settings", [{}, {"unit": "line", "split": "lines", "test_fraction": 0.1}], ids=str)
def test_the_store_is_the_same_by_any_number_of_processes(
    own_folder: Path, small_blocks: None, level: Level, settings: dict[str, object]
) -> None:
    text = RHYME + "".join(f"word{number % 7} and odd{number}\n" for number in range(40)) + "no end"
    corpus = surveyed(text, own_folder / "rhyme.txt")
    assert len(corpus.blocks) >= 6
    config = TextConfig(level, **settings)  # type: ignore[arg-type]
    found = []
    for workers in (1, 2, 3) if level == "word" else (1, 2):
        folder = own_folder / f"{workers}.tok"
        folder.mkdir()
        build(corpus, config, folder, workers=workers)
        found.append({path.name: path.read_bytes() for path in folder.iterdir()})
    assert {"tokens.bin", "store.json"} < found[0].keys()
    assert all(files == found[0] for files in found)


def test_lines_drawn_for_one_part_are_in_no_other(built: Built, small_blocks: None) -> None:
    text = "".join(f"line {number}\n" for number in range(500)) + "last"
    store = built(text, split="lines", test_fraction=0.1, valid_fraction=0.2)
    lines = [text_of(store, part).splitlines() for part in store.parts.values()]
    assert sorted(chain.from_iterable(lines)) == sorted(text.splitlines())
    assert [len(part) for part in lines[1:]] == [100, 50]
    for part in lines:
        numbers = [int(line.split()[1]) for line in part if line != "last"]
        assert numbers == sorted(numbers)


def test_a_text_of_its_own_is_held_out_whole(own_folder: Path, small_blocks: None) -> None:
    held_out = "a lamp was lit — é\n" * 40 + "without an end"
    valid = surveyed(held_out, own_folder / "held-out.txt")
    store = store_of(RHYME, TextConfig(), own_folder / "rhyme.tok", valid=valid)
    assert text_of(store, store.train) == RHYME
    assert text_of(store, store.valid) == held_out
    assert store.valid.oov_tokens == 0, "characters are those of both texts"
    assert len(store.origin.sources) == 2
    assert store.origin.valid_given == (str(own_folder / "held-out.txt"),)


def test_words_of_a_held_out_text_are_not_learned(own_folder: Path) -> None:
    valid = surveyed("the kitten and a stranger\n", own_folder / "held-out.txt")
    store = store_of(RHYME, TextConfig("word", vocab_size=99), own_folder / "a.tok", valid=valid)
    assert store.tokenizer.unseen("the kitten stranger") == ["stranger"]
    assert store.valid.oov_tokens == 3


def test_words_are_learned_from_the_training_part_alone(built: Built) -> None:
    store = built("seen " * 18 + "new new ", "word", vocab_size=100)
    assert store.train.counts.words == 18
    assert store.tokenizer.unseen("seen new") == ["new"]
    assert store.valid.ids[:].tolist() == [0, 0]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_pieces_are_learned_from_the_training_part_alone(built: Built, kind: SubwordKind) -> None:
    training = (RHYME * 2)[:4500]
    store = built(training + "雪" * 500, "subword", subword_kind=kind)
    assert store.train.counts.characters == len(training)
    assert store.valid.tokens == store.valid.counts.bytes  # no piece for it: three bytes each


def test_the_alphabet_is_that_of_the_whole_text(built: Built) -> None:
    store = built("a" * 90 + "b" * 10)
    assert store.tokenizer.unseen("ab") == []
    assert store.valid.oov_tokens == 0


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("symbol", ["a", "月"])
def test_a_text_of_one_symbol_is_cut(built: Built, level: Level, symbol: str) -> None:
    text = f"{symbol} " * 200 if level == "word" else symbol * 400
    store = built(text, level)
    assert store.train.tokens
    assert store.valid.tokens
    if level != "word":
        assert whole_text(store) == text


def test_seventy_thousand_symbols_come_back_from_disk(built: Built) -> None:
    symbols = "".join(map(chr, range(0x10000, 0x10000 + 70_000)))
    store = built(symbols)
    assert store.train.ids[:5].dtype.itemsize == 4
    assert whole_text(store) == symbols


def test_a_hundred_thousand_words_come_back_from_disk(built: Built) -> None:
    text = "".join(f"w{number} w{number}\n" for number in range(100_000))
    store = built(text, "word", vocab_size=100_002, valid_fraction=0.00001)
    assert store.train.ids[:1].dtype.itemsize == 4
    assert store.train.oov_tokens == 0
    assert text_of(store, store.train) == text[: store.train.counts.characters]


def test_unknown_words_are_counted_in_both_parts(built: Built) -> None:
    store = built("the cat the cat the <unk> the cat the cat the cat the dog\n", "word")
    assert (store.train.oov_tokens, store.valid.oov_tokens) == (1, 1)
    assert built(level="byte").train.oov_tokens == 0


@pytest.mark.parametrize("text", ["d" * 40, " " * 40, "word" + " " * 40])
def test_a_text_without_words_for_both_parts_is_refused(built: Built, text: str) -> None:
    with pytest.raises(CorpusError, match="too few words"):
        built(text, "word")


def test_a_text_of_one_line_has_too_few_for_both_parts(built: Built) -> None:
    for settings in ({"unit": "line"}, {"split": "lines"}):
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
    ("level", "blank"),
    [("word", " "), ("word", "  "), ("word", "\t"), ("word", "\u3000"), ("subword", " "), ("subword", "  ")],
)
def test_a_line_longer_than_a_block_has_the_ids_of_its_text(
    built: Built, small_blocks: None, level: Level, blank: str
) -> None:
    text = blank.join(["rain", "lamp", "turn"] * 200)
    store = built(text, level, vocab_size=300)
    for part in (store.train, store.valid):
        at = 0 if part is store.train else store.train.counts.characters
        expected = store.tokenizer.encode(text[at : at + part.counts.characters])
        assert part.ids[:].tolist() == expected.tolist()
    assert {store.tokenizer.symbol(token) for token in range(2, 5)} == {
        "lamp",
        "rain",
        "turn",
    } or level != "word"


# -- what is learned, and what is given


def test_the_rarest_words_are_forgotten_where_there_are_too_many(
    built: Built, small_blocks: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnncli.data.dataset_builder._MOST_WORD_TYPES", 40)
    text = "".join(f"the rain rare{number}\n" for number in range(400))
    store = built(text, "word", vocab_size=1000)
    assert store.tokenizer.vocab_size <= 42
    assert [store.tokenizer.symbol(token) for token in (2, 3)] == ["rain", "the"]


def test_a_sample_has_the_same_share_of_every_block_to_the_end(own_folder: Path, small_blocks: None) -> None:
    text = "".join(f"line {number:04}\n" for number in range(1000))
    corpus = surveyed(text, own_folder / "numbers.txt")
    tasks = [Task(passage, EverythingIn("train")) for passage in corpus.passages()]
    sample = list(even_sample(tasks, corpus.characters, 2500))
    assert len(sample) == len(corpus.blocks) > 30
    assert all(sample)
    assert 1000 < sum(map(len, sample)) <= 2500
    assert all(part in tasks[place].passage.read() for place, part in enumerate(sample))
    assert "".join(even_sample(tasks, corpus.characters, len(text))) == text


def test_a_sample_has_nothing_of_the_held_out_part(own_folder: Path) -> None:
    corpus = surveyed(RHYME, own_folder / "rhyme.txt")
    tasks = [Task(passage, EverythingIn("valid")) for passage in corpus.passages()]
    assert "".join(even_sample(tasks, corpus.characters, 10**6)) == ""


def test_a_given_tokenizer_is_used_as_it_is(own_folder: Path) -> None:
    tokenizer = CharTokenizer("\n abcdefghijklmnopqrstuvwxyz")
    store = store_of(RHYME, TextConfig(), own_folder / "rhyme.tok", tokenizer=tokenizer)
    assert fingerprint(store.tokenizer) == fingerprint(tokenizer)
    strangers = sum(symbol not in "\n abcdefghijklmnopqrstuvwxyz" for symbol in RHYME)
    assert store.train.oov_tokens + store.valid.oov_tokens == strangers > 0


# -- lines as samples


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
@pytest.mark.parametrize("split", ["end", "lines"])
def test_lines_begin_where_they_say_and_all_are_whole(
    built: Built, small_blocks: None, level: Level, end: str, split: str
) -> None:
    lines = [f"the line {number} of é" for number in range(120)] + ["", "the line"]
    text = "\n".join(lines) + end
    store = built(text, level, unit="line", split=split, test_fraction=0.1, **WHOLE.get(level, {}))
    found = []
    for part in store.parts.values():
        assert part.line_starts is not None
        starts = part.line_starts.astype(int).tolist()
        assert starts[0] == 0
        bounds = zip(starts, [*starts[1:], part.tokens], strict=True)
        found += [decode(store.tokenizer, part.ids[begin:stop]) for begin, stop in bounds]
    whole = text if text.endswith("\n") else text + "\n"
    assert sorted(found) == sorted(whole.splitlines(keepends=True))
    assert found == whole.splitlines(keepends=True) or split == "lines"
    assert sum(part.counts.characters for part in store.parts.values()) == len(whole)
    assert sum(part.counts.bytes for part in store.parts.values()) == len(whole.encode())


WHOLE: dict[str, dict[str, object]] = {"word": {"pattern": r"\w", "vocab_size": 100}}


def test_a_line_end_in_no_text_is_in_the_alphabet_of_lines(own_folder: Path) -> None:
    valid = surveyed("held out", own_folder / "held-out.txt")
    store = store_of("one line alone", TextConfig(unit="line"), own_folder / "a.tok", valid=valid)
    assert text_of(store, store.train) == "one line alone\n"
    assert text_of(store, store.valid) == "held out\n"


def test_an_unknown_character_ends_no_line(own_folder: Path) -> None:
    tokenizer = CharTokenizer(" abcdefgh")
    text = "abc?def gh\n" * 20
    try:
        store = store_of(text, TextConfig(unit="line"), own_folder / "a.tok", tokenizer=tokenizer)
    except CorpusError:
        return  # a clear refusal is as good
    assert sum(len(part.line_starts) for part in store.parts.values() if part.line_starts is not None) == 20


def test_a_word_tokenizer_of_its_own_pattern_is_kept_with_the_store(built: Built) -> None:
    tokenizer = built(RHYME, "word", pattern=r"\w+").tokenizer
    assert isinstance(tokenizer, WordTokenizer)
    assert tokenizer.pattern == r"\w+"
