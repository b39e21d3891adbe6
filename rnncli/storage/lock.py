"""One writer at a time in a model folder: a lock that the end of its process opens, however it ends."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rnncli import atomic
from rnncli.atomic import LOCK
from rnncli.errors import StorageError


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Nobody else writes into the folder meanwhile; raises StorageError, which says who does already."""
    if os.name != "posix":
        yield
        return
    path = folder / LOCK
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
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
        os.pwrite(descriptor, f"{atomic.signature()}\n".encode(), 0)
        try:
            yield
        finally:
            os.truncate(descriptor, 0)  # whoever comes next must not be taken for us
    finally:
        os.close(descriptor)


def refuse_held(folder: Path) -> None:
    """Raises StorageError where somebody writes into the folder now, and says who."""
    if os.name != "posix":
        return
    path = folder / LOCK
    with suppress(OSError):  # what cannot be opened is nobody's to us
        if path.is_file():
            with path.open("rb") as file:
                _lock(file.fileno(), folder, shared=True)


def _lock(descriptor: int, folder: Path, shared: bool = False) -> None:
    import fcntl  # noqa: PLC0415 - not everywhere

    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = atomic.holder(folder)
        raise StorageError(
            f"{folder} is being written by {holder}", hint="wait for it, or stop it"
        ) from error
