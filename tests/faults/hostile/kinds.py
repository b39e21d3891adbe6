"""What may lie at the name of a file."""

import os
import shutil
import socket
import stat
import zipfile
from functools import partial
from pathlib import Path

import pytest

from tests.faults.hostile.spoiling import Edit, each, instead

# Loaded by pickle, this makes a folder where the test looks.
PICKLE = b"cos\nmkdir\n(S'outside/loaded'\ntR."
SECRET = "outside/secret.txt"


def a_link_to(target: str) -> Edit:
    return lambda path: path.symlink_to(target)


def a_link_out(path: Path) -> None:
    path.symlink_to(Path(SECRET).absolute())


def a_hard_link_out(path: Path) -> None:
    path.hardlink_to(SECRET)


def moved_out(name: str) -> Edit:
    """A folder of the model becomes a link to the same one elsewhere."""
    move = partial(shutil.copytree, dst=f"outside/{name}")
    return each(lambda folder: move(folder / name), instead(name, a_link_to(f"../../outside/{name}")))


def a_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(path))  # its whole name may be too long for one


def a_device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        pytest.skip("device nodes cannot be made here")


def a_file_of(size: int) -> Edit:
    """Zeros that take no room on the disk."""

    def make(path: Path) -> None:
        path.touch()
        os.truncate(path, size)

    return make


def a_pickle_in_a_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", PICKLE)


# As much as takes more memory than a command may.
LARGE = a_file_of(400 * 2**20)
KINDS: dict[str, Edit | None] = {
    "missing": None,
    "empty": lambda path: path.touch(),
    "a link to passwd": a_link_to("/etc/passwd"),
    "a link to zeros": a_link_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": a_link_to("none"),
    "a link out": a_link_out,
    "a fifo": os.mkfifo,
    "a socket": a_socket,
    "a folder": lambda path: path.mkdir(),
    "a device": a_device,
    "100 GiB of zeros": a_file_of(100 * 2**30),
    "a pickle": lambda path: path.write_bytes(PICKLE),
    "a pickle in a zip": a_pickle_in_a_zip,
    "a hard link": a_hard_link_out,
}
