"""A store gives back what was put in, splits honestly, and is whole or not a store."""

import errno
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnncli.errors import CorpusError, StorageError
from rnncli.text.config import Level, SubwordKind, TextConfig
from rnncli.text.reading import Text, count
from rnncli.text.store import TokenStore, is_store, load_tokenizer
from rnncli.text.tokenizers import CharTokenizer, decode, fingerprint

RHYME = "The kitten sat beside the door,\nthe rain came down — 雨 — the rain came more;\n" * 30
LEVELS: list[Level] = ["char", "byte", "word", "subword"]


def text_of(content: str) -> Text:
    return Text(content, name="rhyme.txt", sha256="5ha", encoding="utf-16-le")


def built(content: str = RHYME, level: Level = "char", **settings: object) -> TokenStore:
    return TokenStore.build(text_of(content), TextConfig(level, **settings))  # type: ignore[arg-type]


# -- building


@pytest.mark.parametrize("level", LEVELS)
def test_a_store_comes_back_from_disk(own_folder: Path, level: Level) -> None:
    store = built(level=level)
    path = own_folder / "rhyme.tok"
    store.write(path)
    again = TokenStore.open(path)
    assert is_store(path)
    assert isinstance(again.tokens, np.memmap)
    assert again.tokens.dtype == store.tokens.dtype
    np.testing.assert_array_equal(again.tokens, store.tokens)
    assert fingerprint(again.tokenizer) == fingerprint(store.tokenizer)
    assert (again.train, again.valid) == (store.train, store.valid)
    assert (again.name, again.sha256, again.encoding) == ("rhyme.txt", "5ha", "utf-16-le")
    assert sorted(file.name for file in path.iterdir()) == [
        "store.json",
        "tokenizer.model" if level == "subword" else "tokenizer.json",
        "tokens.bin",
    ]


@pytest.mark.parametrize("level", LEVELS)
def test_both_parts_are_counted_in_the_text_and_cover_it(level: Level) -> None:
    store = built(level=level)
    assert store.train.start == 0
    assert store.valid.start == store.train.tokens
    assert store.train.tokens + store.valid.tokens == len(store.tokens)
    cut = store.train.characters
    assert store.train.counts == count(RHYME[:cut])
    assert store.valid.counts == count(RHYME[cut:])
    np.testing.assert_array_equal(store.ids(store.train), store.tokenizer.encode(RHYME[:cut]))
    np.testing.assert_array_equal(store.ids(store.valid), store.tokenizer.encode(RHYME[cut:]))


@pytest.mark.parametrize("level", ["char", "byte", "subword"])
def test_the_parts_together_are_the_text(level: Level) -> None:
    store = built(level=level)
    assert decode(store.tokenizer, store.tokens) == RHYME


@pytest.mark.parametrize("length", [10, 11, 99, 1001])
@pytest.mark.parametrize("level", ["char", "byte"])
def test_nine_tenths_of_the_characters_are_for_training(level: Level, length: int) -> None:
    store = built(("é" + RHYME * 2)[:length], level)
    assert store.train.characters == int(0.9 * length)
    assert store.valid.characters == length - int(0.9 * length)


def test_the_held_out_part_has_the_size_asked_for_and_neither_part_is_empty() -> None:
    assert built("a" * 100, valid_fraction=0.25).valid.characters == 25
    assert built("a" * 10, valid_fraction=0.001).valid.characters == 1
    assert built("a" * 10, valid_fraction=0.999).train.characters == 1


def test_the_held_out_part_of_a_long_text_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnncli.text.store.MOST_VALID_CHARACTERS", 50)
    assert built("a" * 1000).valid.characters == 50


@pytest.mark.parametrize("length", range(40, 60))
def test_words_are_never_cut(length: int) -> None:
    text = RHYME[:length]
    store = built(text, "word")
    train, valid = text[: store.train.characters], text[store.train.characters :]
    assert train.split() + valid.split() == text.split()
    assert store.train.characters >= int(0.9 * length) or " " not in valid


@pytest.mark.parametrize("text", ["a b c " + "d" * 40, "a\nb\nc\n" + "d" * 40 + "\n"])
def test_a_long_last_word_is_held_out_whole(text: str) -> None:
    store = built(text, "word")
    assert store.train.characters == 6
    assert store.train.words == 3
    assert store.valid.words == 1


@pytest.mark.parametrize("text", ["d" * 40, " " * 40, "word" + " " * 40])
def test_a_text_without_words_for_both_parts_is_refused(text: str) -> None:
    with pytest.raises(CorpusError, match="too few words"):
        built(text, "word")


def test_words_are_learned_from_the_training_part_alone() -> None:
    store = built("seen " * 18 + "new new ", "word", vocab_size=100)
    assert store.train.words == 18
    assert store.tokenizer.unseen("seen new") == ["new"]
    assert store.ids(store.valid).tolist() == [0, 0]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_pieces_are_learned_from_the_training_part_alone(kind: SubwordKind) -> None:
    training = (RHYME * 2)[:4500]
    store = built(training + "雪" * 500, "subword", subword_kind=kind)
    assert store.train.characters == len(training)
    assert store.valid.tokens == store.valid.bytes  # no piece for it: three bytes each


def test_the_alphabet_is_that_of_the_whole_text() -> None:
    store = built("a" * 90 + "b" * 10)
    assert store.tokenizer.unseen("ab") == []
    assert store.oov_tokens == 0


@pytest.mark.parametrize("length", [0, 1, 9])
@pytest.mark.parametrize("level", LEVELS)
def test_a_text_too_short_for_a_model_is_refused_with_its_size(level: Level, length: int) -> None:
    with pytest.raises(CorpusError, match=rf"rhyme\.txt has {length} characters"):
        built("a b c d e f"[:length], level)


def test_seventy_thousand_symbols_come_back_from_disk(own_folder: Path) -> None:
    symbols = "".join(map(chr, range(0x10000, 0x10000 + 70_000)))
    built(symbols).write(own_folder / "wide.tok")
    store = TokenStore.open(own_folder / "wide.tok")
    assert store.tokens.dtype.itemsize == 4
    assert decode(store.tokenizer, store.tokens[-5:]) == symbols[-5:]


def test_unknown_words_are_counted_in_both_parts() -> None:
    store = built("the cat the cat the <unk> the cat the cat the cat the dog\n", "word")
    assert store.valid.tokens > 0
    assert store.oov_tokens == 2
    assert built(level="byte").oov_tokens == 0


# -- the first tokens of a part


def test_ids_are_measured_as_the_text_that_they_stand_for() -> None:
    text = "é b月" * 30
    store = TokenStore.build(Text(text, "t.txt", "00", "utf-8"), TextConfig())
    assert store.measure(store.tokens[:7]) == count(text[:7])
    assert store.measure(store.tokens[:0]) == count("")


# -- whole or nothing


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_an_interrupted_write_leaves_no_store(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    store = built()

    def fail(_: object) -> str:
        assert list(own_folder.rglob("tokens.bin"))
        raise error

    monkeypatch.setattr("rnncli.text.store.tokenizer_file", fail)
    with pytest.raises((StorageError, KeyboardInterrupt)) as caught:
        store.write(own_folder / "rhyme.tok")
    if isinstance(error, OSError):
        assert "No space left on device" in str(caught.value)
    assert not any(is_store(path) for path in own_folder.iterdir())
    assert not (own_folder / "rhyme.tok").exists()
    monkeypatch.undo()
    store.write(own_folder / "rhyme.tok")
    assert is_store(own_folder / "rhyme.tok")
    assert len(list(own_folder.iterdir())) == 1


def test_a_store_is_never_written_over(own_folder: Path) -> None:
    built().write(own_folder / "rhyme.tok")
    with pytest.raises(StorageError, match=r"rhyme\.tok"):
        built("another text entirely").write(own_folder / "rhyme.tok")
    assert TokenStore.open(own_folder / "rhyme.tok").train == built().train


def test_an_ordinary_folder_is_not_a_store(own_folder: Path) -> None:
    assert not is_store(own_folder)
    assert not is_store(own_folder / "absent")
    (own_folder / "store.json").mkdir()
    assert not is_store(own_folder)


def remove(name: str) -> Callable[[Path], None]:
    return lambda path: (path / name).unlink()


def overwrite(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda path: void((path / name).write_bytes(content))


def void(_: object) -> None:
    return None


def record(**changes: object) -> Callable[[Path], None]:
    """Change fields of store.json; a field set to ... is taken out."""

    def change(path: Path) -> None:
        fields = json.loads((path / "store.json").read_bytes()) | changes
        kept = {name: value for name, value in fields.items() if value is not ...}
        (path / "store.json").write_text(json.dumps(kept))

    return change


def shorten(by: int) -> Callable[[Path], None]:
    return lambda path: overwrite("tokens.bin", (path / "tokens.bin").read_bytes()[:-by])(path)


def lengthen(path: Path) -> None:
    with (path / "tokens.bin").open("ab") as file:
        file.write(b"\0\0")


PART = {"start": 0, "tokens": 5, "characters": 5, "words": 1, "bytes": 5}

DAMAGES: dict[str, Callable[[Path], None]] = {
    "no record": remove("store.json"),
    "no tokens": remove("tokens.bin"),
    "no tokenizer": remove("tokenizer.json"),
    "empty tokens": overwrite("tokens.bin", b""),
    "tokens cut by a token": shorten(2),
    "tokens cut inside a token": shorten(1),
    "more tokens": lengthen,
    "another tokenizer of the same size": lambda path: overwrite(
        "tokenizer.json", CharTokenizer("".join(map(chr, range(300, 700)))).to_bytes()
    )(path),
    "another tokenizer of narrower ids": overwrite("tokenizer.json", CharTokenizer("ab").to_bytes()),
    "a garbage tokenizer": overwrite("tokenizer.json", b"{"),
    "a garbage subword tokenizer": overwrite("tokenizer.model", b"garbage"),
    "an empty record": overwrite("store.json", b""),
    "a garbage record": overwrite("store.json", b'{"format_version": 1,'),
    "a record that is not UTF-8": overwrite("store.json", b"\xff\xfe\xfd"),
    "a record of another kind": overwrite("store.json", b"[1]"),
    "a deep record": overwrite("store.json", b"[" * 100_000),
    "a newer format": record(format_version=2),
    "no format": record(format_version=...),
    "no name": record(name=...),
    "no dtype": record(dtype=...),
    "another dtype": record(dtype="uint8"),
    "a dtype of no size": record(dtype="S0"),
    "a dtype that is a program": record(dtype="f4,("),
    "no fingerprint": record(tokenizer_fingerprint=...),
    "no parts": record(train=..., valid=...),
    "parts of another text": record(train=PART, valid={**PART, "start": 5}),
    "a part with an unknown field": record(train={**PART, "colour": "red"}),
    "a part that is a list": record(valid=[1, 2, 3, 4, 5]),
}


@pytest.fixture
def wide_store(own_folder: Path) -> Path:
    """A store of two-byte ids and an alphabet of 400."""
    path = own_folder / "wide.tok"
    built("".join(map(chr, range(700, 300, -1))) * 3).write(path)
    assert TokenStore.open(path).tokens.dtype == np.uint16
    return path


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_store_is_refused_by_name(wide_store: Path, damage: Callable[[Path], None]) -> None:
    damage(wide_store)
    with pytest.raises(CorpusError, match=r"wide\.tok") as caught:
        TokenStore.open(wide_store)
    assert "tokenize" in caught.value.hint


def test_parts_that_overlap_are_refused(wide_store: Path) -> None:
    store = TokenStore.open(wide_store)
    overlapping = {**vars(store.valid), "start": 0}
    record(valid=overlapping)(wide_store)
    with pytest.raises(CorpusError, match=r"wide\.tok"):
        TokenStore.open(wide_store)


def test_a_newer_format_is_named_with_the_one_that_is_read(wide_store: Path) -> None:
    record(format_version=7)(wide_store)
    with pytest.raises(CorpusError, match="store format 7; this rnncli reads 1"):
        TokenStore.open(wide_store)


@pytest.mark.parametrize("level", LEVELS)
def test_a_tokenizer_is_loaded_from_the_folder_of_a_store(own_folder: Path, level: Level) -> None:
    store = built(level=level)
    store.write(own_folder / "rhyme.tok")
    tokenizer = load_tokenizer(own_folder / "rhyme.tok")
    assert tokenizer.level == level
    assert fingerprint(tokenizer) == fingerprint(store.tokenizer)


def test_ids_are_little_endian_on_disk(own_folder: Path) -> None:
    symbols = "".join(map(chr, range(300, 700)))
    store = built(symbols)
    swapped = replace(store, tokens=store.tokens.astype(store.tokens.dtype.newbyteorder(">")))
    swapped.write(own_folder / "wide.tok")
    assert (own_folder / "wide.tok" / "tokens.bin").read_bytes()[:6] == b"\1\0\2\0\3\0"
    np.testing.assert_array_equal(TokenStore.open(own_folder / "wide.tok").tokens, store.tokens)
