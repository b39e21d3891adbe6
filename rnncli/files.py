"""Whole files or nothing: a reader sees the old bytes or the new ones, after any crash."""

import os
import re
import shutil
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from rnncli import runtime
from rnncli.errors import StorageError

# Names that begin like this are leftovers of an interrupted write and are never read.
PARTIAL = ".partial-"
# Who writes in a folder says so in a file of this name.
LOCK = "lock"


def write_file(path: Path, content: bytes) -> None:
    """Replace `path` by `content`: temporary file, fsync, rename, fsync of the folder.

    Raises StorageError naming the path. A failed fsync is not retried: the kernel may already have
    dropped the pages that it could not write.
    """
    partial = path.with_name(f"{PARTIAL}{path.name}")
    try:
        runtime.unlink(partial)  # whatever it is: a FIFO would block, a link would lead elsewhere
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            runtime.sync(file.fileno())
        runtime.replace(partial, path)
        runtime.sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):  # where the disk is full, what was written so far must not stay
            partial.unlink(missing_ok=True)
        raise _cannot_write(path, error) from error


def refuse_no_folder(path: Path) -> None:
    """Before anything is done for what is to be written there: raises StorageError without its folder."""
    if not os.path.isdir(path.absolute().parent):  # noqa: PTH112 - false for what cannot be a name, too
        raise StorageError(f"cannot write {path}: its folder is not there", hint="make it, or name another")


def remove_file(path: Path) -> None:
    """Unlink a file that may be gone already; raises StorageError."""
    try:
        runtime.unlink(path)
    except OSError as error:
        raise _cannot_write(path, error) from error


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """An empty folder to fill, which becomes `path` at the end; after an error nothing is left of it.

    Raises StorageError. `path` must not exist: a folder cannot be replaced in one step. At the end nothing
    in the folder may be open or memory-mapped in this process, or Windows does not rename it.
    """
    partial = path.with_name(f"{PARTIAL}{path.name}")
    with ExitStack() as stack:
        try:
            if partial.is_symlink():  # it would lead elsewhere
                partial.unlink()
            partial.mkdir(parents=True, exist_ok=True)
            unlock = runtime.lock_folder(partial)
            if unlock is None:
                raise StorageError(
                    f"{path} is being made by {holder(partial)}",
                    hint="wait for it, or choose another name",
                )
            stack.callback(unlock)
            stack.callback(_remove, partial)  # gone where all went well
            _empty(partial)
            yield partial
            for root, _, files in os.walk(partial, topdown=False):
                for name in files:
                    runtime.sync_file(Path(root, name))
                runtime.sync_folder(Path(root))
            runtime.rename(partial, path)
            runtime.sync_folder(path.parent)
        except OSError as error:
            raise _cannot_write(path, error) from error


def holder(folder: Path) -> str:
    """Who says that the folder is theirs; they may only be about to, and who was killed still says so."""
    for _ in range(20):
        with suppress(OSError):
            who = (folder / LOCK).read_text(encoding="utf-8", errors="replace").strip()
            if who and not _is_gone(who):
                return who
        time.sleep(0.05)
    return "another process"


def signature() -> str:
    """What this process writes into LOCK."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def _is_gone(who: str) -> bool:
    """Whether a signature is that of a process of this machine that has ended."""
    found = re.fullmatch(r"process (\d{1,9}) on (.*)", who)
    if found is None or found[2] != socket.gethostname():
        return False
    return runtime.process_is_gone(int(found[1]))


def _remove(folder: Path) -> None:
    """Remove a folder that may be gone already; what cannot be removed stays until the name is used again."""
    error = sys.exception()
    while runtime.OPEN_FILES_PIN_FOLDERS and error is not None:
        traceback.clear_frames(error.__traceback__)  # their variables may hold a memory map of a file in it
        error = error.__context__
    shutil.rmtree(folder, ignore_errors=True)


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            runtime.remove_tree(entry)
        else:
            runtime.unlink(entry)


def append_line(path: Path, line: str) -> None:
    """Add one line to a log; a torn last line after a crash is the reader's to skip."""
    try:
        with path.open("a", encoding="utf-8", newline="\n") as file:
            file.write(line + "\n")
    except OSError as error:
        raise _cannot_write(path, error) from error


def _cannot_write(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"cannot write {path}: {error.strerror or error}",
        hint="check the free space and the permissions of that folder",
    )
