"""An origin tells whether a text is still what was read, and whether two datasets are of one text."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from rnncli.data.config import ReadOptions, TextConfig
from rnncli.data.corpus import Corpus
from rnncli.data.dataset import Origin
from tests.data.conftest import scanned
from tests.systems import needs_fifos


def origin_of(folder: Path, **settings: object) -> Origin:
    """Of a folder of two texts."""
    corpus = Corpus.scan([str(folder)], ReadOptions(), folder.parent)
    return Origin.of(corpus, None, TextConfig(**settings))  # type: ignore[arg-type]


@pytest.fixture
def texts(own_folder: Path) -> Path:
    folder = own_folder / "texts"
    folder.mkdir()
    for name in ("a.txt", "b.txt"):
        (folder / name).write_text(f"the text of {name}\n" * 9)
        os.utime(folder / name, (1_000_000_000, 1_000_000_000))
    return folder


def test_what_is_as_it_was_has_not_changed(texts: Path) -> None:
    assert origin_of(texts).changed() is None


def test_a_file_that_was_only_touched_has_not_changed(texts: Path) -> None:
    origin = origin_of(texts)
    os.utime(texts / "a.txt", (1_000_000_009, 1_000_000_009))
    assert origin.changed() is None


def test_a_changed_file_is_named(texts: Path) -> None:
    origin = origin_of(texts)
    for content in (b"other", (texts / "b.txt").read_bytes().replace(b"the", b"The")):
        (texts / "b.txt").write_bytes(content)
        assert origin.changed() == str(texts / "b.txt")


def test_a_new_file_is_named(texts: Path) -> None:
    origin = origin_of(texts)
    (texts / "c.txt").write_text("more")
    assert origin.changed() == str(texts / "c.txt")


@needs_fifos
def test_a_list_is_not_read_again(texts: Path, own_folder: Path) -> None:
    """It may be a FIFO by now, which would wait; what it named is looked at all the same."""
    (own_folder / "list").write_text("texts/a.txt\n")
    corpus = Corpus.scan(["@list"], ReadOptions(), own_folder)
    origin = Origin.of(corpus, None, TextConfig())
    (own_folder / "list").unlink()
    os.mkfifo(own_folder / "list")
    assert origin.changed() is None
    (texts / "a.txt").write_text("another")
    assert origin.changed() == "texts/a.txt"


def test_a_new_file_is_found_at_once_in_a_folder_of_any_size(
    texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An untrusted dataset may name the root of this system."""
    seen = list[object]()

    def walk(folder: str) -> Iterator[tuple[str, list[str], list[str]]]:
        for number in range(1000):
            seen.append(number)
            yield folder, [], ["a.txt", "c.txt"]

    origin = origin_of(texts)
    (texts / "c.txt").write_text("more")
    monkeypatch.setattr("rnncli.data.dataset.os.walk", walk)
    assert origin.changed() == str(texts / "c.txt")
    assert len(seen) == 1


def test_what_is_gone_has_not_changed(texts: Path) -> None:
    origin = origin_of(texts)
    (texts / "a.txt").unlink()
    assert origin.changed() is None


def test_a_folder_that_is_gone_has_not_changed(texts: Path) -> None:
    origin = origin_of(texts)
    texts.rename(texts.with_name("elsewhere"))
    assert origin.changed() is None


def test_a_changed_validation_text_is_named(texts: Path, own_folder: Path) -> None:
    valid = scanned("a lamp was lit", own_folder / "held-out.txt")
    origin = Origin.of(scanned("the rain came down", own_folder / "rhyme.txt"), valid, TextConfig())
    assert origin.changed() is None
    (own_folder / "held-out.txt").write_text("a lamp went out")
    assert origin.changed() == str(own_folder / "held-out.txt")


def test_the_same_text_is_the_same_bytes_tokenized_the_same_way(texts: Path) -> None:
    origin = origin_of(texts)
    assert origin.same_text(origin_of(texts))
    assert origin.same_text(replace(origin, name="another name", inputs=("elsewhere",)))
    assert not origin.same_text(origin_of(texts, level="byte"))
    assert not origin.same_text(origin_of(texts, test_fraction=0.1))
    assert not origin.same_text(replace(origin, reading=ReadOptions(newlines="unix")))
    assert not origin.same_text(replace(origin, valid_inputs=("b.txt",)))
    (texts / "b.txt").write_text("other")
    assert not origin.same_text(origin_of(texts))
