"""Atomic writes, folder locks, and strict bounded reading of JSON that may be hostile.

After any crash, a reader of a file sees its old bytes or its new ones, never a part.
"""

import json
import os
import re
import shutil
import socket
import stat
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from rnncli import runtime
from rnncli.errors import StorageError

# Prefix of files and folders that are being written; leftovers of an interrupted write are never read.
PARTIAL = ".partial-"
# The file of a folder that is locked, and that names the process that writes into the folder.
LOCK = "lock"
MAX_JSON_BYTES = 1_000_000
# With larger numbers, sums and products of counts would overflow.
_LARGEST_NUMBER = 2.0**62


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


def check_parent_folder(path: Path) -> None:
    """Raise StorageError if no file can be written to `path`, before any work is done for that file."""
    if not os.path.isdir(path.absolute().parent):  # noqa: PTH112 - false for what cannot be a name, too
        raise StorageError(
            f"cannot write {path}: the folder does not exist", hint="create it, or choose another path"
        )
    if os.path.isdir(path):  # noqa: PTH112 - as above
        raise StorageError(f"cannot write {path}: it is a folder", hint="name a file in it")


def remove_file(path: Path) -> None:
    """Unlink a file that may be gone already; raises StorageError."""
    try:
        runtime.unlink(path)
    except OSError as error:
        raise _cannot_write(path, error) from error


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder, which is renamed to `path` at the end; after an error it is removed.

    `path` must not exist: a folder cannot be replaced atomically. At the end, no file in the folder may be
    open or memory-mapped in this process, because Windows would not rename the folder.

    Raises:
        StorageError: The folder cannot be written, or another process is writing it.
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
                    f"{path} is being created by {lock_owner(partial)}",
                    hint="wait for it, or choose another name",
                )
            stack.callback(unlock)
            stack.callback(_remove, partial)  # nothing is left of it if it was renamed
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


def lock_owner(folder: Path) -> str:
    """Return the name of the process that holds the lock of a folder.

    The process may not have written its name yet, and a killed process leaves its name behind.
    """
    for _ in range(20):
        with suppress(OSError):
            who = (folder / LOCK).read_text(encoding="utf-8", errors="replace").strip()
            if who and not _is_gone(who):
                return who
        time.sleep(0.05)
    return "another process"


def lock_signature() -> str:
    """Return what this process writes into its lock files."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def _is_gone(who: str) -> bool:
    """Whether a lock signature is that of a process of this machine that has ended."""
    found = re.fullmatch(r"process (\d{1,9}) on (.*)", who)
    if found is None or found[2] != socket.gethostname():
        return False
    return runtime.process_is_gone(int(found[1]))


def _remove(folder: Path) -> None:
    """Remove a folder that may be gone already; what cannot be removed stays until the next attempt."""
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
    """Append one line to a log; after a crash, readers skip a last line that is incomplete."""
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


def parse_json_object(content: bytes, max_bytes: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """Parse one JSON object strictly: no duplicate keys, no NaN, bounded in size.

    Raises:
        ValueError: The content is anything else.
    """
    if len(content) > max_bytes:
        raise ValueError(f"more than {max_bytes:,} bytes")
    try:
        record = json.loads(content, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(record, dict):
        raise ValueError("no JSON object")
    return record


def check_types(kind: type, record: Mapping[str, Any]) -> None:
    """Raise ValueError for the first value of `record` that does not have the type of its dataclass field."""
    for name, hint in get_type_hints(kind).items():
        if name in record and not has_type(record[name], hint):
            shown = repr(record[name])
            raise ValueError(f"{name} is {shown if len(shown) <= 300 else f'{shown[:300]}...'}")


def has_type(value: object, hint: Any) -> bool:
    """Whether a JSON value has the type `hint`: numbers are finite and below 2^62, lists serve as tuples."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(has_type(value, one) for one in arguments)
    if origin is Literal:
        return isinstance(value, str) and value in arguments
    if origin is tuple:
        return isinstance(value, list | tuple) and all(has_type(one, arguments[0]) for one in value)
    if hint is float:
        return isinstance(value, int | float) and type(value) is not bool and abs(value) < _LARGEST_NUMBER
    if hint is int:
        return isinstance(value, int) and type(value) is not bool and abs(value) < _LARGEST_NUMBER
    if hint is str:
        return isinstance(value, str) and not any("\ud800" <= one <= "\udfff" for one in value)
    return hint is Any or type(value) is hint


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        raise ValueError("a key occurs twice")
    return record


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


class FolderLock:
    """The lock of a folder that this process writes into; the end of the process releases it."""

    def __init__(self, folder: Path) -> None:
        self._descriptor: int | None = _open_lock(folder)

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
            self._descriptor = _open_lock(folder)

    def close(self) -> None:
        """Let others write into the folder."""
        if self._descriptor is None:
            return
        descriptor, self._descriptor = self._descriptor, None
        try:
            os.truncate(descriptor, 0)  # the next holder must not be reported under our name
            runtime.unlock(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def locked(folder: Path) -> Iterator[FolderLock]:
    """Hold the lock of a folder for the block.

    Raises:
        StorageError: Another process holds it; the message names that process.
    """
    lock = FolderLock(folder)
    try:
        yield lock
    finally:
        lock.close()


def refuse_locked(folder: Path) -> None:
    """Raise StorageError, which names the process, if another process is writing into the folder."""
    path = folder / LOCK
    with suppress(OSError):  # a lock file that cannot be opened is not held by anyone we could name
        if path.is_file():
            with path.open("rb") as file:
                _lock_descriptor(file.fileno(), folder, shared=True)
                runtime.unlock(file.fileno())


def _open_lock(folder: Path) -> int:
    """Return the descriptor of the folder's lock file, locked and signed."""
    path = folder / LOCK
    try:
        descriptor = runtime.open_own_file(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}", hint="check the permissions of that folder"
        ) from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_nlink != 1:  # writing to it would change another file
            raise StorageError(f"{path} is a link or not a regular file", hint="remove it")
        _lock_descriptor(descriptor, folder)
        os.truncate(descriptor, 0)
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.write(descriptor, f"{lock_signature()}\n".encode())
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock_descriptor(descriptor: int, folder: Path, shared: bool = False) -> None:
    if not runtime.lock(descriptor, shared=shared):
        raise StorageError(
            f"{folder} is being written by {lock_owner(folder)}", hint="wait for it, or stop it"
        )
