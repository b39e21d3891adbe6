"""Whole files or nothing: a reader sees the old bytes or the new ones, after any crash."""

import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

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
        partial.unlink(missing_ok=True)  # whatever it is: a FIFO would block, a link would lead elsewhere
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_folder(path.parent)
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
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _cannot_write(path, error) from error


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """An empty folder to fill, which becomes `path` at the end; after an error nothing is left of it.

    Raises StorageError. `path` must not exist: a folder cannot be replaced in one step.
    """
    partial = path.with_name(f"{PARTIAL}{path.name}")
    with ExitStack() as stack:
        try:
            if partial.is_symlink():  # it would lead elsewhere
                partial.unlink()
            partial.mkdir(parents=True, exist_ok=True)
            if os.name == "posix":
                stack.callback(os.close, _lock(partial, path))
            stack.callback(shutil.rmtree, partial, ignore_errors=True)  # gone where all went well
            _empty(partial)
            yield partial
            for root, _, files in os.walk(partial, topdown=False):
                for name in files:
                    _sync(Path(root, name))
                _sync_folder(Path(root))
            partial.rename(path)
            _sync_folder(path.parent)
        except OSError as error:
            raise _cannot_write(path, error) from error


def _lock(partial: Path, path: Path) -> int:
    """Nobody else fills the folder until the descriptor is closed, by whatever end of this process."""
    import fcntl  # noqa: PLC0415 - not everywhere

    descriptor = os.open(partial, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), partial.stat()):
            return descriptor
        # Renamed between opening and locking, it is somebody's finished folder.
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    raise StorageError(
        f"{path} is being made by {holder(partial)}", hint="wait for it, or choose another name"
    )


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
    try:
        os.kill(int(found[1]), 0)
    except ProcessLookupError:
        return True
    except OSError:  # somebody else's
        return False
    return False


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def append_line(path: Path, line: str) -> None:
    """Add one line to a log; a torn last line after a crash is the reader's to skip."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        raise _cannot_write(path, error) from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(path: Path) -> None:
    if os.name == "posix":  # elsewhere a folder cannot be opened; the rename is all there is
        _sync(path)


def _cannot_write(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"cannot write {path}: {error.strerror or error}",
        hint="check the free space and the permissions of that folder",
    )
