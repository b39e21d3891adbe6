"""One writer at a time in a model folder: a lock that the end of its process opens, however it ends."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rnncli import files, runtime
from rnncli.errors import StorageError
from rnncli.files import LOCK


class FolderLock:
    """The lock of a folder that this process writes into."""

    def __init__(self, folder: Path) -> None:
        self._descriptor: int | None = _open(folder)

    @contextmanager
    def closed_before_rename(self) -> Iterator[None]:
        """Close the lock at the end of the block if an open file would keep the folder from being renamed.

        That is so on Windows. On other systems the folder stays locked while it is renamed.
        """
        try:
            yield
        finally:
            if runtime.OPEN_FILES_PIN_FOLDERS:
                self.close()

    def reopen(self, folder: Path) -> None:
        """Lock the renamed folder again if the lock was closed; raises StorageError if another has it now."""
        if self._descriptor is None:
            self._descriptor = _open(folder)

    def close(self) -> None:
        """Let others write into the folder."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        try:
            os.truncate(descriptor, 0)  # whoever comes next must not be taken for us
            runtime.unlock(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def held(folder: Path) -> Iterator[FolderLock]:
    """Nobody else writes into the folder meanwhile; raises StorageError, which says who does already."""
    lock = FolderLock(folder)
    try:
        yield lock
    finally:
        lock.close()


def refuse_held(folder: Path) -> None:
    """Raises StorageError where somebody writes into the folder now, and says who."""
    path = folder / LOCK
    with suppress(OSError):  # what cannot be opened is nobody's to us
        if path.is_file():
            with path.open("rb") as file:
                _lock(file.fileno(), folder, shared=True)
                runtime.unlock(file.fileno())


def _open(folder: Path) -> int:
    """The descriptor of the folder's lock file, locked and signed."""
    path = folder / LOCK
    try:
        descriptor = runtime.open_own_file(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}", hint="check the permissions of that folder"
        ) from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:  # writing it would change something else
            raise StorageError(f"{path} is not a file of its own", hint="remove it")
        _lock(descriptor, folder)
        os.truncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, f"{files.signature()}\n".encode())
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock(descriptor: int, folder: Path, shared: bool = False) -> None:
    if not runtime.lock(descriptor, shared=shared):
        raise StorageError(
            f"{folder} is being written by {files.holder(folder)}", hint="wait for it, or stop it"
        )
