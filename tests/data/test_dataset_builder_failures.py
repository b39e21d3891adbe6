"""A build that fails reports why and leaves nothing behind."""

import errno
from pathlib import Path

import pytest

from rnncli import files
from rnncli.data.config import TextConfig
from rnncli.data.dataset import is_token_dataset
from rnncli.data.dataset_builder import build_dataset
from rnncli.errors import CorpusError, StorageError
from tests.data.conftest import dataset_of, scanned

RHYME = "The kitten sat beside the door,\nthe rain came down — 雨 — the rain came more;\n" * 30


def test_a_text_that_changed_after_it_was_read_is_refused(own_folder: Path) -> None:
    corpus = scanned(RHYME, own_folder / "rhyme.txt")
    for number, text in enumerate((RHYME + "more", RHYME[:-9])):
        (own_folder / "rhyme.txt").write_text(text, encoding="utf-8")
        with (
            pytest.raises(CorpusError, match=r"rhyme\.txt changed while it was read"),
            files.new_folder(own_folder / f"{number}.tok") as folder,
        ):
            build_dataset(corpus, TextConfig(), folder, workers=1)
        assert [path.name for path in own_folder.iterdir()] == ["rhyme.txt"]


def test_a_validation_text_that_changed_is_refused(own_folder: Path) -> None:
    valid = scanned("a lamp was lit", own_folder / "held-out.txt")
    (own_folder / "held-out.txt").write_text("a lamp was lit and went out")
    with pytest.raises(CorpusError, match=r"held-out\.txt changed"):
        dataset_of(RHYME, TextConfig(), own_folder / "rhyme.tok", valid=valid)


@pytest.mark.parametrize(
    "place", ["dataset_builder.SplitWriter.add", "dataset_builder.join_files", "dataset.tokenizer_file"]
)
@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=["disk", "Ctrl-C"]
)
def test_an_interrupted_build_leaves_nothing(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, place: str
) -> None:
    corpus = scanned(RHYME, own_folder / "rhyme.txt")

    def fail(*_: object) -> None:
        assert list(own_folder.rglob("tokens.bin*"))
        raise error

    def attempt() -> None:
        with files.new_folder(own_folder / "rhyme.tok") as folder:
            build_dataset(corpus, TextConfig(), folder, workers=1)

    with monkeypatch.context() as patched:
        patched.setattr(f"rnncli.data.{place}", fail)
        with pytest.raises((StorageError, KeyboardInterrupt)) as caught:
            attempt()
    if isinstance(error, OSError):
        assert "No space left on device" in str(caught.value)
    assert [path.name for path in own_folder.iterdir()] == ["rhyme.txt"]
    attempt()
    assert is_token_dataset(own_folder / "rhyme.tok")
    assert len(list(own_folder.iterdir())) == 2


def test_a_dataset_is_never_written_over(own_folder: Path) -> None:
    corpus = scanned(RHYME, own_folder / "rhyme.txt")
    (own_folder / "rhyme.tok").mkdir()
    (own_folder / "rhyme.tok" / "mine").touch()
    with (
        pytest.raises(StorageError, match=r"rhyme\.tok"),
        files.new_folder(own_folder / "rhyme.tok") as folder,
    ):
        build_dataset(corpus, TextConfig(), folder, workers=1)
    assert [path.name for path in (own_folder / "rhyme.tok").iterdir()] == ["mine"]
