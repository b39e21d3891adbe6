"""Folders that appear whole or not at all, and say which of them could not be written."""

from pathlib import Path

import pytest

from rnncli import files, runtime
from rnncli.errors import CorpusError, StorageError
from tests.systems import on_posix


def test_a_folder_appears_only_when_it_is_whole(own_folder: Path) -> None:
    target = own_folder / "whole"
    with files.new_folder(target) as partial:
        (partial / "one").write_text("1")
        assert not target.exists()
        assert partial.parent == own_folder, "a rename into place needs the same file system"
    assert (target / "one").read_text() == "1"
    assert [path.name for path in own_folder.iterdir()] == ["whole"]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(130), CorpusError("a", "b"), ValueError()])
def test_whatever_ends_the_filling_leaves_nothing_and_is_handed_on(
    own_folder: Path, error: BaseException
) -> None:
    def fill() -> None:
        with files.new_folder(own_folder / "whole") as partial:
            (partial / "deep" / "er").mkdir(parents=True)
            (partial / "deep" / "er" / "one").write_text("1")
            raise error

    with pytest.raises(type(error)) as caught:
        fill()
    assert caught.value is error
    assert not list(own_folder.iterdir())


def test_a_link_in_the_way_of_a_new_folder_is_not_followed(own_folder: Path) -> None:
    precious = own_folder / "precious"
    precious.mkdir()
    (precious / "one").write_text("1")
    (own_folder / ".partial-whole").symlink_to(precious)
    with files.new_folder(own_folder / "whole") as partial:
        (partial / "new").write_text("new")
    assert (precious / "one").read_text() == "1"
    assert not (own_folder / "whole").is_symlink()


def test_what_an_interrupted_write_left_is_not_part_of_the_next(own_folder: Path) -> None:
    (own_folder / ".partial-whole" / "sub").mkdir(parents=True)
    (own_folder / ".partial-whole" / "sub" / "leftover").write_text("old")
    with files.new_folder(own_folder / "whole") as partial:
        assert not list(partial.iterdir())
        (partial / "new").write_text("new")
    assert [path.name for path in (own_folder / "whole").iterdir()] == ["new"]
    assert [path.name for path in own_folder.iterdir()] == ["whole"]


@on_posix
def test_every_file_and_folder_reaches_the_disk_before_the_name_appears(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    seen_whole: list[bool] = []

    def note(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        seen_whole.append((own_folder / "whole").exists())

    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc to name an open file by")
    monkeypatch.setattr(runtime, "sync", note)
    with files.new_folder(own_folder / "whole") as partial:
        (partial / "top").write_text("1")
        (partial / "a" / "b").mkdir(parents=True)
        (partial / "a" / "b" / "leaf").write_text("2")
        (partial / "empty").mkdir()
    assert set(synced[:-1]) == {"top", "leaf", "a", "b", "empty", ".partial-whole"}
    assert synced.index("leaf") < synced.index("b") < synced.index("a") < synced.index(".partial-whole")
    assert synced[-1] == own_folder.name, "the rename itself, last"
    assert seen_whole == [False] * (len(synced) - 1) + [True]


def test_a_disk_that_fails_is_an_error_that_names_the_folder(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runtime, "sync", full)
    with (
        pytest.raises(StorageError, match=r"cannot write .*whole: No space left"),
        files.new_folder(own_folder / "whole") as partial,
    ):
        (partial / "one").write_text("1")
    assert not list(own_folder.iterdir())


def test_an_input_output_error_while_filling_names_the_folder(own_folder: Path) -> None:
    with (
        pytest.raises(StorageError, match=r"cannot write .*whole: Input/output error"),
        files.new_folder(own_folder / "whole"),
    ):
        raise OSError(5, "Input/output error")
    assert not list(own_folder.iterdir())


def test_a_folder_where_a_file_stands_in_the_way_is_an_error(own_folder: Path) -> None:
    (own_folder / "file").write_text("mine")
    with (
        pytest.raises(StorageError, match=r"cannot write .*inside"),
        files.new_folder(own_folder / "file" / "inside"),
    ):
        pass
    assert (own_folder / "file").read_text() == "mine"


def test_a_folder_with_something_in_it_is_never_replaced(own_folder: Path) -> None:
    (own_folder / "whole").mkdir()
    (own_folder / "whole" / "mine").write_text("mine")
    with (
        pytest.raises(StorageError, match=r"cannot write .*whole"),
        files.new_folder(own_folder / "whole") as partial,
    ):
        (partial / "other").write_text("other")
    assert [path.name for path in (own_folder / "whole").iterdir()] == ["mine"]
    assert [path.name for path in own_folder.iterdir()] == ["whole"]


def test_folders_above_are_made_where_they_are_missing(own_folder: Path) -> None:
    with files.new_folder(own_folder / "a" / "b" / "whole") as partial:
        (partial / "one").write_text("1")
    assert (own_folder / "a" / "b" / "whole" / "one").read_text() == "1"


def test_a_folder_that_another_is_making_is_not_taken_from_it(own_folder: Path) -> None:
    with files.new_folder(own_folder / "whole") as partial:
        (partial / "one").write_text("1")
        with pytest.raises(StorageError, match="is being created by another process") as caught:
            files.new_folder(own_folder / "whole").__enter__()
        assert caught.value.hint
        assert (partial / "one").read_text() == "1"
    assert (own_folder / "whole" / "one").read_text() == "1"
    assert [path.name for path in own_folder.iterdir()] == ["whole"]


def test_a_folder_is_refused_before_there_is_anything_to_write(own_folder: Path) -> None:
    for path in (Path(), own_folder):
        with pytest.raises(StorageError, match="it is a folder"):
            files.check_parent_folder(path)
