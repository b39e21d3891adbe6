"""The file by which a folder is held is written, and so must be a file of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rnncli import files
from rnncli.errors import StorageError
from rnncli.files import locked
from tests.systems import needs_fifos


def test_a_lock_that_is_another_file_too_is_left_alone(own_folder: Path) -> None:
    (own_folder / "mine").write_text("precious")
    (own_folder / "lock").hardlink_to(own_folder / "mine")
    with pytest.raises(StorageError, match="is a link or not a regular file"), locked(own_folder):
        pytest.fail("the block must not be entered")
    assert (own_folder / "mine").read_text() == "precious"


def test_who_ended_is_not_named_as_the_holder(own_folder: Path) -> None:
    with locked(own_folder):
        assert files.lock_owner(own_folder) == files.lock_signature()
    assert (own_folder / "lock").read_text() == ""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    gone = files.lock_signature().replace(str(os.getpid()), str(process.pid))
    (own_folder / "lock").write_text(f"{gone}\n")
    assert files.lock_owner(own_folder) == "another process"
    elsewhere = f"process {process.pid} on another-machine"
    (own_folder / "lock").write_text(f"{elsewhere}\n")
    assert files.lock_owner(own_folder) == elsewhere


@pytest.mark.parametrize("kind", [pytest.param("fifo", marks=needs_fifos), "link", "folder"])
def test_a_lock_that_is_no_file_is_one_error(own_folder: Path, kind: str) -> None:
    lock = own_folder / "lock"
    {"fifo": lambda: os.mkfifo(lock), "link": lambda: lock.symlink_to("elsewhere"), "folder": lock.mkdir}[
        kind
    ]()
    with pytest.raises(StorageError), locked(own_folder):
        pytest.fail("the block must not be entered")
    assert not (own_folder / "elsewhere").exists()
