"""The file by which a folder is held is written, and so must be a file of its own."""

import os
from pathlib import Path

import pytest

from rnncli.errors import StorageError
from rnncli.storage.lock import held


def test_a_lock_that_is_another_file_too_is_left_alone(own_folder: Path) -> None:
    (own_folder / "mine").write_text("precious")
    (own_folder / "lock").hardlink_to(own_folder / "mine")
    with pytest.raises(StorageError, match="not a file of its own"), held(own_folder):
        pytest.fail("the block must not be entered")
    assert (own_folder / "mine").read_text() == "precious"


@pytest.mark.parametrize("kind", ["fifo", "link", "folder"])
def test_a_lock_that_is_no_file_is_one_error(own_folder: Path, kind: str) -> None:
    lock = own_folder / "lock"
    {"fifo": lambda: os.mkfifo(lock), "link": lambda: lock.symlink_to("elsewhere"), "folder": lock.mkdir}[
        kind
    ]()
    with pytest.raises(StorageError), held(own_folder):
        pytest.fail("the block must not be entered")
    assert not (own_folder / "elsewhere").exists()
