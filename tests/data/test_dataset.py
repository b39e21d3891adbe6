"""A store is opened whole or refused, and can be joined to its like."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rnncli.data.config import Level, TextConfig
from rnncli.data.counting import count
from rnncli.data.dataset import FORMAT_VERSION, TokenStore, is_store, load_tokenizer
from rnncli.data.dataset_builder import build
from rnncli.data.tokenizers.base import CharTokenizer, decode, fingerprint
from rnncli.errors import CorpusError
from tests.data.conftest import store_of, surveyed
from tests.systems import needs_fifos

RHYME = "The kitten sat beside the door,\nthe rain came down — 雨 — the rain came more;\n" * 30
LEVELS: list[Level] = ["char", "byte", "word", "subword"]
WIDE = "".join(map(chr, range(700, 300, -1)))


# -- on disk


@pytest.mark.parametrize("unit", ["stream", "line"])
@pytest.mark.parametrize("level", LEVELS)
def test_a_store_is_some_files_that_are_mapped(own_folder: Path, level: Level, unit: str) -> None:
    config = TextConfig(level, unit=unit)  # type: ignore[arg-type]
    path = own_folder / "rhyme.tok"
    built = store_of(RHYME, config, path)
    store = TokenStore.open(path)
    assert is_store(path)
    assert isinstance(store.train.ids, np.memmap)
    for name, part in store.parts.items():
        np.testing.assert_array_equal(part.ids, built.parts[name].ids[:])
        assert part.counts == built.parts[name].counts
    assert (store.origin, store.unit) == (built.origin, unit)
    assert store.origin.text == config
    assert (store.name, store.origin.encoding) == ("rhyme.txt", "utf-8")
    assert fingerprint(store.tokenizer) == fingerprint(built.tokenizer) == fingerprint(load_tokenizer(path))
    assert {file.name for file in path.iterdir()} == {
        "store.json",
        "tokenizer.model" if level == "subword" else "tokenizer.json",
        "tokens.bin",
        *(["lines.bin"] if unit == "line" else []),
    }


def test_ids_are_little_endian_on_disk(own_folder: Path) -> None:
    store_of(WIDE[::-1], TextConfig(), own_folder / "wide.tok")
    assert (own_folder / "wide.tok" / "tokens.bin").read_bytes()[:6] == b"\1\0\2\0\3\0"


def test_ids_are_measured_as_the_text_that_they_stand_for(own_folder: Path) -> None:
    text = "é b月" * 30
    store = store_of(text, TextConfig(), own_folder / "t.tok")
    assert store.measure(store.train.ids[:7]) == count(text[:7])
    assert store.measure(store.train.ids[:0]) == count("")


def test_an_ordinary_folder_is_not_a_store(own_folder: Path) -> None:
    assert not is_store(own_folder)
    assert not is_store(own_folder / "absent")
    assert not is_store(Path("a\0b"))
    (own_folder / "store.json").mkdir()
    assert not is_store(own_folder)


def remove(name: str) -> Callable[[Path], None]:
    return lambda path: (path / name).unlink()


def overwrite(name: str, content: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        (path / name).write_bytes(content)

    return change


def record(**changes: object) -> Callable[[Path], None]:
    """Change fields of store.json; a field set to ... is taken out."""

    def change(path: Path) -> None:
        fields = json.loads((path / "store.json").read_bytes()) | changes
        kept = {name: value for name, value in fields.items() if value is not ...}
        (path / "store.json").write_text(json.dumps(kept))

    return change


def part(name: str, **changes: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        parts = json.loads((path / "store.json").read_bytes())["parts"]
        record(parts={**parts, name: {**parts[name], **changes}})(path)

    return change


def resize(name: str, by: int) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        content = (path / name).read_bytes()
        (path / name).write_bytes(content[:by] if by < 0 else content + b"\0" * by)

    return change


DAMAGES: dict[str, Callable[[Path], None]] = {
    "no record": remove("store.json"),
    "no tokens": remove("tokens.bin"),
    "no lines": remove("lines.bin"),
    "no tokenizer": remove("tokenizer.json"),
    "empty tokens": overwrite("tokens.bin", b""),
    "tokens cut by a token": resize("tokens.bin", -2),
    "tokens cut inside a token": resize("tokens.bin", -1),
    "more tokens": resize("tokens.bin", 2),
    "empty lines": overwrite("lines.bin", b""),
    "lines cut by a line": resize("lines.bin", -8),
    "lines cut inside a line": resize("lines.bin", -1),
    "more lines": resize("lines.bin", 8),
    "another tokenizer of the same size": overwrite(
        "tokenizer.json", CharTokenizer("".join(map(chr, range(300, 701)))).to_bytes()
    ),
    "another tokenizer of narrower ids": overwrite("tokenizer.json", CharTokenizer("ab").to_bytes()),
    "a garbage tokenizer": overwrite("tokenizer.json", b"{"),
    "a garbage subword tokenizer": overwrite("tokenizer.model", b"garbage"),
    "an empty record": overwrite("store.json", b""),
    "a garbage record": overwrite("store.json", b'{"format_version": 2,'),
    "a record that is not UTF-8": overwrite("store.json", b"\xff\xfe\xfd"),
    "a record of another kind": overwrite("store.json", b"[1]"),
    "a deep record": overwrite("store.json", b"[" * 100_000),
    "a newer format": record(format_version=FORMAT_VERSION + 1),
    "an older format": record(format_version=FORMAT_VERSION - 1),
    "a format that is true": record(format_version=True),
    "no format": record(format_version=...),
    "no name": record(name=...),
    "no fingerprint": record(tokenizer_fingerprint=...),
    "no parts": record(parts=...),
    "no training part": record(parts={}),
    "no sources": record(sources=...),
    "a source with an unknown field": record(sources=[{"colour": "red"}]),
    "a setting out of range": record(text={"level": "syllable"}),
    "an unknown setting": record(text={"colour": "red"}),
    "an unknown way of reading": record(reading={"errors": "ignore"}),
    "a part of another size": part("train", tokens=5),
    "a part of a negative size": part("test", tokens=-5),
    "a part of half a size": part("test", tokens=0.5),
    "a part of a size in words": part("valid", words="five"),
    "a part of other lines": part("train", lines=2),
    "a part with an unknown field": part("train", colour="red"),
    "a part that is a list": record(parts={"train": [1], "valid": [2], "test": [3]}),
}


@pytest.fixture
def wide_store(own_folder: Path) -> Path:
    """A store of two-byte ids, an alphabet of 401 and lines."""
    path = own_folder / "wide.tok"
    store = store_of(f"{WIDE}\n" * 5, TextConfig(unit="line"), path)
    assert store.train.ids[:1].dtype == np.uint16
    return path


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_store_is_refused_by_name(wide_store: Path, damage: Callable[[Path], None]) -> None:
    damage(wide_store)
    with pytest.raises(CorpusError, match=r"wide\.tok") as caught:
        TokenStore.open(wide_store)
    assert "tokenize" in caught.value.hint


def test_another_format_is_named_with_the_one_that_is_read(wide_store: Path) -> None:
    record(format_version=7)(wide_store)
    with pytest.raises(CorpusError, match=f"store format 7; this rnncli reads {FORMAT_VERSION}"):
        TokenStore.open(wide_store)


# -- joined


def joinable(folder: Path, config: TextConfig) -> list[TokenStore]:
    tokenizer = CharTokenizer.of(RHYME)
    texts = RHYME[: len(RHYME) // 3], RHYME[len(RHYME) // 2 :], "the rain came more\n" * 9
    return [
        store_of(text, config, folder / f"{number}.tok", tokenizer=tokenizer)
        for number, text in enumerate(texts)
    ]


def test_a_joined_store_is_its_stores_part_by_part(own_folder: Path) -> None:
    stores = joinable(own_folder, TextConfig(valid_fraction=0.2))
    joined = TokenStore.joined(stores)
    for name, whole in joined.parts.items():
        pieces = [store.parts[name] for store in stores]
        np.testing.assert_array_equal(whole.ids[:], np.concatenate([piece.ids[:] for piece in pieces]))
        assert whole.tokens == sum(piece.tokens for piece in pieces)
        assert whole.counts == count(decode(joined.tokenizer, whole.ids[:]))
        assert whole.line_starts is None
    assert joined.name == "0.txt, 1.txt, 2.txt"
    assert len(joined.origin.sources) == len(joined.origin.given) == 3
    assert joined.origin.changed() is None


def test_the_lines_of_a_joined_store_are_those_of_its_stores(own_folder: Path) -> None:
    stores = joinable(own_folder, TextConfig(unit="line", test_fraction=0.2))
    joined = TokenStore.joined(stores)
    for name, whole in joined.parts.items():
        text = "".join(decode(store.tokenizer, store.parts[name].ids[:]) for store in stores)
        lines = text.splitlines(keepends=True)
        assert whole.line_starts is not None
        assert whole.line_starts.tolist() == [0, *np.cumsum([len(line) for line in lines])[:-1].tolist()]


def test_one_store_joined_is_that_store(own_folder: Path) -> None:
    store = joinable(own_folder, TextConfig())[0]
    assert TokenStore.joined([store]) is store


def test_a_joined_store_can_be_joined(own_folder: Path) -> None:
    stores = joinable(own_folder, TextConfig())
    joined = TokenStore.joined([TokenStore.joined(stores[:2]), stores[2]])
    np.testing.assert_array_equal(joined.train.ids[:], TokenStore.joined(stores).train.ids[:])


def test_stores_of_different_tokens_are_not_joined(own_folder: Path) -> None:
    stores = [
        store_of(text, TextConfig(), own_folder / f"{name}.tok")
        for name, text in (("abc", "abc" * 9), ("abd", "abd" * 9))
    ]
    with pytest.raises(
        CorpusError, match=r"abd\.txt and abc\.txt are not cut into the same tokens"
    ) as caught:
        TokenStore.joined(stores)
    assert "--tokenizer" in caught.value.hint


def test_lines_and_streams_are_not_joined(own_folder: Path) -> None:
    corpus = surveyed(RHYME, own_folder / "rhyme.txt")
    stores = []
    for unit in ("stream", "line"):
        (own_folder / unit).mkdir()
        stores.append(build(corpus, TextConfig(unit=unit), own_folder / unit, workers=1))  # type: ignore[arg-type]
    with pytest.raises(CorpusError, match="not cut into the same tokens"):
        TokenStore.joined(stores)


@needs_fifos
@pytest.mark.parametrize("name", ["store.json", "tokens.bin", "tokenizer.json", "tokenizer.model"])
def test_a_fifo_in_a_store_keeps_nobody_waiting(wide_store: Path, name: str) -> None:
    (wide_store / name).unlink(missing_ok=True)
    os.mkfifo(wide_store / name)
    with pytest.raises(CorpusError, match="not a plain file"):
        TokenStore.open(wide_store)
    if "tokenizer" in name:
        with pytest.raises(CorpusError, match="has no tokenizer"):
            load_tokenizer(wide_store)


def test_a_record_that_could_not_be_read_again_is_not_written(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnncli.data.dataset.MOST_RECORD_BYTES", 500)
    with pytest.raises(CorpusError, match="too many files"):
        store_of("a text of one file\n" * 20, TextConfig(), own_folder / "x.tok")
