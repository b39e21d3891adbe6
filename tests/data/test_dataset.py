"""A dataset is opened whole or refused, and can be joined to its like."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rnncli.data.config import Level, TextConfig
from rnncli.data.dataset import FORMAT_VERSION, TokenDataset, is_token_dataset
from rnncli.data.dataset_builder import build_dataset
from rnncli.data.text_units import count_text
from rnncli.data.tokenizers.base import CharTokenizer, decode, fingerprint
from rnncli.data.tokenizers.serialization import load_tokenizer
from rnncli.errors import CorpusError
from tests.data.conftest import dataset_of, scanned
from tests.systems import needs_fifos

RHYME = "The kitten sat beside the door,\nthe rain came down — 雨 — the rain came more;\n" * 30
LEVELS: list[Level] = ["char", "byte", "word", "subword"]
WIDE = "".join(map(chr, range(700, 300, -1)))


# -- on disk


@pytest.mark.parametrize("line_by_line", [False, True])
@pytest.mark.parametrize("level", LEVELS)
def test_a_dataset_is_some_files_that_are_mapped(own_folder: Path, level: Level, line_by_line: bool) -> None:
    config = TextConfig(level, line_by_line=line_by_line)  # type: ignore[arg-type]
    path = own_folder / "rhyme.tok"
    built = dataset_of(RHYME, config, path)
    dataset = TokenDataset.open(path)
    assert is_token_dataset(path)
    assert isinstance(dataset.train.ids, np.memmap)
    for name, split in dataset.splits.items():
        np.testing.assert_array_equal(split.ids, built.splits[name].ids[:])
        assert split.counts == built.splits[name].counts
    assert (dataset.origin, dataset.line_by_line) == (built.origin, line_by_line)
    assert dataset.origin.text == config
    assert (dataset.name, dataset.origin.encoding) == ("rhyme.txt", "utf-8")
    assert fingerprint(dataset.tokenizer) == fingerprint(built.tokenizer) == fingerprint(load_tokenizer(path))
    assert {file.name for file in path.iterdir()} == {
        "dataset.json",
        "tokenizer.model" if level == "subword" else "tokenizer.json",
        "tokens.bin",
        *(["lines.bin"] if line_by_line else []),
    }


def test_ids_are_little_endian_on_disk(own_folder: Path) -> None:
    dataset_of(WIDE[::-1], TextConfig(), own_folder / "wide.tok")
    assert (own_folder / "wide.tok" / "tokens.bin").read_bytes()[:6] == b"\1\0\2\0\3\0"


def test_ids_are_measured_as_the_text_that_they_stand_for(own_folder: Path) -> None:
    text = "é b月" * 30
    dataset = dataset_of(text, TextConfig(), own_folder / "t.tok")
    assert dataset.count_decoded(dataset.train.ids[:7]) == count_text(text[:7])
    assert dataset.count_decoded(dataset.train.ids[:0]) == count_text("")


def test_an_ordinary_folder_is_not_a_token_dataset(own_folder: Path) -> None:
    assert not is_token_dataset(own_folder)
    assert not is_token_dataset(own_folder / "absent")
    assert not is_token_dataset(Path("a\0b"))
    (own_folder / "dataset.json").mkdir()
    assert not is_token_dataset(own_folder)


def remove(name: str) -> Callable[[Path], None]:
    return lambda path: (path / name).unlink()


def overwrite(name: str, content: bytes) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        (path / name).write_bytes(content)

    return change


def record(**changes: object) -> Callable[[Path], None]:
    """Change fields of dataset.json; a field set to ... is taken out."""

    def change(path: Path) -> None:
        fields = json.loads((path / "dataset.json").read_bytes()) | changes
        kept = {name: value for name, value in fields.items() if value is not ...}
        (path / "dataset.json").write_text(json.dumps(kept))

    return change


def split(name: str, **changes: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        splits = json.loads((path / "dataset.json").read_bytes())["splits"]
        record(splits={**splits, name: {**splits[name], **changes}})(path)

    return change


def resize(name: str, by: int) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        content = (path / name).read_bytes()
        (path / name).write_bytes(content[:by] if by < 0 else content + b"\0" * by)

    return change


DAMAGES: dict[str, Callable[[Path], None]] = {
    "no record": remove("dataset.json"),
    "no tokens": remove("tokens.bin"),
    "no lines": remove("lines.bin"),
    "no tokenizer": remove("tokenizer.json"),
    "empty tokens": overwrite("tokens.bin", b""),
    "tokens short of one token": resize("tokens.bin", -2),
    "tokens that end inside a token": resize("tokens.bin", -1),
    "more tokens": resize("tokens.bin", 2),
    "empty lines": overwrite("lines.bin", b""),
    "lines short of one line": resize("lines.bin", -8),
    "lines that end inside a line": resize("lines.bin", -1),
    "more lines": resize("lines.bin", 8),
    "another tokenizer of the same size": overwrite(
        "tokenizer.json", CharTokenizer("".join(map(chr, range(300, 701)))).to_bytes()
    ),
    "another tokenizer of narrower ids": overwrite("tokenizer.json", CharTokenizer("ab").to_bytes()),
    "a garbage tokenizer": overwrite("tokenizer.json", b"{"),
    "a garbage subword tokenizer": overwrite("tokenizer.model", b"garbage"),
    "an empty record": overwrite("dataset.json", b""),
    "a garbage record": overwrite("dataset.json", b'{"format_version": 2,'),
    "a record that is not UTF-8": overwrite("dataset.json", b"\xff\xfe\xfd"),
    "a record of another kind": overwrite("dataset.json", b"[1]"),
    "a deep record": overwrite("dataset.json", b"[" * 100_000),
    "a newer format": record(format_version=FORMAT_VERSION + 1),
    "an older format": record(format_version=FORMAT_VERSION - 1),
    "a format that is true": record(format_version=True),
    "no format": record(format_version=...),
    "no name": record(name=...),
    "no fingerprint": record(tokenizer_fingerprint=...),
    "no splits": record(splits=...),
    "no training split": record(splits={}),
    "no sources": record(sources=...),
    "a source with an unknown field": record(sources=[{"colour": "red"}]),
    "a setting out of range": record(text={"level": "syllable"}),
    "an unknown setting": record(text={"colour": "red"}),
    "an unknown way of reading": record(reading={"errors": "ignore"}),
    "a split of another size": split("train", tokens=5),
    "a split of a negative size": split("test", tokens=-5),
    "a split of half a size": split("test", tokens=0.5),
    "a split of a size in words": split("valid", words="five"),
    "a split of other lines": split("train", lines=2),
    "a split with an unknown field": split("train", colour="red"),
    "a split that is a list": record(splits={"train": [1], "valid": [2], "test": [3]}),
}


@pytest.fixture
def wide_dataset(own_folder: Path) -> Path:
    """A dataset of two-byte ids, an alphabet of 401 and lines."""
    path = own_folder / "wide.tok"
    dataset = dataset_of(f"{WIDE}\n" * 5, TextConfig(line_by_line=True), path)
    assert dataset.train.ids[:1].dtype == np.uint16
    return path


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_dataset_is_refused_by_name(wide_dataset: Path, damage: Callable[[Path], None]) -> None:
    damage(wide_dataset)
    with pytest.raises(CorpusError, match=r"wide\.tok") as caught:
        TokenDataset.open(wide_dataset)
    assert "tokenize" in caught.value.hint


def test_another_format_is_named_with_the_one_that_is_read(wide_dataset: Path) -> None:
    record(format_version=7)(wide_dataset)
    with pytest.raises(CorpusError, match=f"dataset format 7; this rnncli reads {FORMAT_VERSION}"):
        TokenDataset.open(wide_dataset)


# -- joined


def joinable(folder: Path, config: TextConfig) -> list[TokenDataset]:
    tokenizer = CharTokenizer.train(RHYME)
    texts = RHYME[: len(RHYME) // 3], RHYME[len(RHYME) // 2 :], "the rain came more\n" * 9
    return [
        dataset_of(text, config, folder / f"{number}.tok", tokenizer=tokenizer)
        for number, text in enumerate(texts)
    ]


def test_a_joined_dataset_is_its_datasets_split_by_part(own_folder: Path) -> None:
    datasets = joinable(own_folder, TextConfig(valid_fraction=0.2))
    joined = TokenDataset.joined(datasets)
    for name, whole in joined.splits.items():
        splits = [dataset.splits[name] for dataset in datasets]
        np.testing.assert_array_equal(whole.ids[:], np.concatenate([split.ids[:] for split in splits]))
        assert whole.tokens == sum(split.tokens for split in splits)
        assert whole.counts == count_text(decode(joined.tokenizer, whole.ids[:]))
        assert whole.line_starts is None
    assert joined.name == "0.txt, 1.txt, 2.txt"
    assert len(joined.origin.sources) == len(joined.origin.inputs) == 3
    assert joined.origin.changed() is None


def test_the_lines_of_a_joined_dataset_are_those_of_its_inputs(own_folder: Path) -> None:
    datasets = joinable(own_folder, TextConfig(line_by_line=True, test_fraction=0.2))
    joined = TokenDataset.joined(datasets)
    for name, whole in joined.splits.items():
        text = "".join(decode(dataset.tokenizer, dataset.splits[name].ids[:]) for dataset in datasets)
        lines = text.splitlines(keepends=True)
        assert whole.line_starts is not None
        assert whole.line_starts.tolist() == [0, *np.cumsum([len(line) for line in lines])[:-1].tolist()]


def test_one_dataset_joined_is_that_dataset(own_folder: Path) -> None:
    dataset = joinable(own_folder, TextConfig())[0]
    assert TokenDataset.joined([dataset]) is dataset


def test_a_joined_dataset_can_be_joined(own_folder: Path) -> None:
    datasets = joinable(own_folder, TextConfig())
    joined = TokenDataset.joined([TokenDataset.joined(datasets[:2]), datasets[2]])
    np.testing.assert_array_equal(joined.train.ids[:], TokenDataset.joined(datasets).train.ids[:])


def test_datasets_of_different_tokens_are_not_joined(own_folder: Path) -> None:
    datasets = [
        dataset_of(text, TextConfig(), own_folder / f"{name}.tok")
        for name, text in (("abc", "abc" * 9), ("abd", "abd" * 9))
    ]
    with pytest.raises(CorpusError, match=r"abd\.txt and abc\.txt are not tokenized alike") as caught:
        TokenDataset.joined(datasets)
    assert "--tokenizer" in caught.value.hint


def test_lines_and_streams_are_not_joined(own_folder: Path) -> None:
    corpus = scanned(RHYME, own_folder / "rhyme.txt")
    datasets = []
    for line_by_line in (False, True):
        (own_folder / str(line_by_line)).mkdir()
        datasets.append(
            build_dataset(
                corpus, TextConfig(line_by_line=line_by_line), own_folder / str(line_by_line), workers=1
            )
        )  # type: ignore[arg-type]
    with pytest.raises(CorpusError, match="not tokenized alike"):
        TokenDataset.joined(datasets)


@needs_fifos
@pytest.mark.parametrize("name", ["dataset.json", "tokens.bin", "tokenizer.json", "tokenizer.model"])
def test_a_fifo_in_a_dataset_does_not_block(wide_dataset: Path, name: str) -> None:
    (wide_dataset / name).unlink(missing_ok=True)
    os.mkfifo(wide_dataset / name)
    with pytest.raises(CorpusError, match="not a plain file"):
        TokenDataset.open(wide_dataset)
    if "tokenizer" in name:
        with pytest.raises(CorpusError, match="has no tokenizer"):
            load_tokenizer(wide_dataset)


def test_a_record_that_could_not_be_read_again_is_not_written(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rnncli.data.dataset.MAX_RECORD_BYTES", 500)
    with pytest.raises(CorpusError, match="too many files"):
        dataset_of("a text of one file\n" * 20, TextConfig(), own_folder / "x.tok")
