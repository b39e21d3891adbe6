"""All that differs between Linux, macOS and Windows: files, locks, signals, processes, memory, streams.

No other module asks which system this is, or whether `os` or `signal` has a name: tests/test_layers.py
enforces it. Standard library only. The questions are written as `sys.platform == "win32"`, which mypy
understands: `mypy --platform win32` checks the code for Windows.
"""

import ctypes
import errno
import io
import os
import platform
import re
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

SYSTEM: Literal["linux", "macos", "windows", "other"] = {
    "linux": "linux",
    "darwin": "macos",
    "win32": "windows",
}.get(sys.platform, "other")  # type: ignore[assignment]
# On Windows a folder cannot be renamed while a file in it is open or memory-mapped.
OPEN_FILES_PIN_FOLDERS = SYSTEM == "windows"

if sys.platform == "win32":
    import msvcrt
    import winreg

    # How long to wait for a lock that another process may have only to see whether it is free, and for a file
    # that another process, such as a virus scanner, has open.
    _LOCK_SECONDS, _FILE_SECONDS, _PAUSE_SECONDS = 0.5, 2.0, 0.05
    # Others cannot read a locked byte, so the one to lock is far behind the end of any lock file.
    _LOCKED_BYTE = 2**30

    def _open(path: Path, flags: int) -> int:
        if os.path.islink(path):  # noqa: PTH114 - the errors of the other branch
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        return os.open(path, flags | os.O_BINARY | os.O_NOINHERIT, 0o666)

    def _lock(descriptor: int, shared: bool) -> bool:  # noqa: ARG001 - msvcrt has no shared locks
        with suppress(PermissionError):
            _patiently(_lock_byte, descriptor, msvcrt.LK_NBLCK, seconds=_LOCK_SECONDS)
            return True
        return False

    def _unlock(descriptor: int) -> None:
        _lock_byte(descriptor, msvcrt.LK_UNLCK)

    def _lock_byte(descriptor: int, request: int) -> None:
        os.lseek(descriptor, _LOCKED_BYTE, os.SEEK_SET)
        msvcrt.locking(descriptor, request, 1)

    def _lock_folder(folder: Path) -> Callable[[], None] | None:
        lock_file = folder.with_name(f"{folder.name}.lock")
        try:
            descriptor = _open(lock_file, os.O_RDWR | os.O_CREAT)
        except PermissionError:  # its last holder is removing it
            return None
        if not _lock(descriptor, shared=False):
            os.close(descriptor)
            return None

        def unlock_folder() -> None:
            _unlock(descriptor)
            os.close(descriptor)
            with suppress(OSError):  # another process has it open by now, and removes it in its turn
                lock_file.unlink()

        return unlock_folder

    def _sync(descriptor: int) -> None:
        os.fsync(descriptor)

    def _patiently(change: Callable[..., Any], *arguments: Any, seconds: float = _FILE_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while True:
            try:
                change(*arguments)
            except OSError as error:
                # ENOTEMPTY: a file in a folder is gone only once the last process closes it.
                waitable = isinstance(error, PermissionError) or error.errno == errno.ENOTEMPTY
                if not waitable or time.monotonic() >= deadline:
                    raise
                time.sleep(_PAUSE_SECONDS)
            else:
                return

    def _process_is_gone(number: int) -> bool:
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.OpenProcess.argtypes = [ctypes.c_uint32, ctypes.c_int, ctypes.c_uint32]
        kernel.OpenProcess.restype = ctypes.c_void_p
        kernel.WaitForSingleObject.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
        kernel.CloseHandle.argtypes = [ctypes.c_void_p]
        synchronize, no_such_process, ended = 0x00100000, 87, 0
        process = kernel.OpenProcess(synchronize, False, number)
        if not process:
            return ctypes.get_last_error() == no_such_process
        try:
            return bool(kernel.WaitForSingleObject(process, 0) == ended)
        finally:
            kernel.CloseHandle(process)

    class _MemoryStatus(ctypes.Structure):
        """MEMORYSTATUSEX of the Windows API."""

        _fields_ = (
            ("length", ctypes.c_uint32),
            ("load_percent", ctypes.c_uint32),
            ("physical", ctypes.c_uint64),
            *((f"other_{number}", ctypes.c_uint64) for number in range(6)),
        )

    def _memory_bytes() -> int | None:
        status = _MemoryStatus(length=ctypes.sizeof(_MemoryStatus))
        there = ctypes.WinDLL("kernel32").GlobalMemoryStatusEx(ctypes.byref(status))
        return int(status.physical) if there else None

    def _processor_name() -> str | None:
        with suppress(OSError):
            path = r"HARDWARE\DESCRIPTION\System\CentralProcessor\0"
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, path) as key:
                return str(winreg.QueryValueEx(key, "ProcessorNameString")[0])
        return os.environ.get("PROCESSOR_IDENTIFIER")

else:
    import fcntl
    import resource

    def _open(path: Path, flags: int) -> int:
        return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)

    def _lock(descriptor: int, shared: bool) -> bool:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            return True
        return False

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)

    def _lock_folder(folder: Path) -> Callable[[], None] | None:
        descriptor = os.open(folder, os.O_RDONLY)
        with suppress(FileNotFoundError):
            # Renamed between opening and locking, it is somebody's finished folder.
            if _lock(descriptor, shared=False) and os.path.samestat(os.fstat(descriptor), folder.stat()):
                return lambda: os.close(descriptor)
        os.close(descriptor)
        return None

    def _sync(descriptor: int) -> None:
        if sys.platform == "darwin":
            try:
                fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # fsync leaves the data in the disk's own cache
            except OSError as error:
                if error.errno not in (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY):
                    raise
                # A file system without it, such as a network's.
            else:
                return
        os.fsync(descriptor)

    def _patiently(change: Callable[..., Any], *arguments: Any) -> None:
        change(*arguments)

    def _process_is_gone(number: int) -> bool:
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return True
        except OSError:  # somebody else's
            return False
        return False

    def _memory_bytes() -> int | None:
        found: list[int] = []
        with suppress(ValueError, OSError):
            found.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
        with suppress(ValueError, OSError):
            limit = resource.getrlimit(resource.RLIMIT_AS)[0]
            if limit != resource.RLIM_INFINITY:
                found.append(limit)
        if sys.platform == "linux":
            found += cgroup_limits()
        return min((size for size in found if size > 0), default=None)

    def _processor_name() -> str | None:
        if sys.platform == "darwin":
            import subprocess  # noqa: PLC0415 - slow, and nothing else here needs it

            with suppress(OSError, subprocess.SubprocessError):
                command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
                return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout
        with suppress(OSError):  # no Linux
            content = Path("/proc/cpuinfo").read_text(encoding="utf-8")
            if found := re.search(r"^model name\s*:(.+)$", content, re.MULTILINE):
                return found[1]
        return None


# Files


def open_own_file(path: Path, flags: int) -> int:
    """Open a file in a folder that may have been tampered with, and return its descriptor.

    Args:
        path: The file. Raises OSError where it is a symbolic link; a FIFO is opened without waiting. On
            Windows a link that takes the place of the file between the check and the opening is followed.
        flags: As those of os.open, for example os.O_RDWR | os.O_CREAT.
    """
    return _open(path, flags)


def lock(descriptor: int, *, shared: bool = False) -> bool:
    """Lock an open file until it is unlocked or this process ends; return False where another has locked it.

    Any number of processes can hold a shared lock. On Windows, whose C library has no shared locks, every
    lock is exclusive, and a lock that cannot be had within half a second is refused. The position in the
    file may change.
    """
    return _lock(descriptor, shared)


def unlock(descriptor: int) -> None:
    """Release a lock. Closing the file does so too, though on Windows not at once."""
    _unlock(descriptor)


def lock_folder(folder: Path) -> Callable[[], None] | None:
    """Lock an existing folder, and return what unlocks it; None where another process has locked it.

    The lock is on the folder itself and ends with this process. Windows cannot open a folder: there it is on
    a file beside it, which is removed when the folder is unlocked.
    """
    return _lock_folder(folder)


def sync(descriptor: int) -> None:
    """Wait until the disk has what was written to an open file. After an OSError nobody knows what it has."""
    _sync(descriptor)


def sync_file(path: Path) -> None:
    """Wait until the disk has a file that was written and closed."""
    mode = "r+b" if sys.platform == "win32" else "rb"  # Windows flushes only what can be written
    with path.open(mode) as file:
        sync(file.fileno())


def sync_folder(path: Path) -> None:
    """Wait until the disk has the names in a folder. Does nothing on Windows, which cannot open one."""
    if sys.platform != "win32":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            sync(descriptor)
        finally:
            os.close(descriptor)


def replace(source: Path, target: Path) -> None:
    """Rename a file over another, if there is one; on Windows wait up to 2 s for those who have it open."""
    _patiently(source.replace, target)


def rename(source: Path, target: Path) -> None:
    """Rename a file or a folder; on Windows wait up to 2 s for those who have anything in it open."""
    _patiently(source.rename, target)


def unlink(path: Path) -> None:
    """Remove a file that may be gone already; on Windows wait up to 2 s for those who have it open."""
    _patiently(path.unlink, True)


def remove_tree(folder: Path) -> None:
    """Remove a folder and what is in it; on Windows wait up to 2 s for those who have anything in it open."""
    _patiently(shutil.rmtree, folder)


# Standard streams


def set_up_streams() -> None:
    r"""Make output the same on every system: in UTF-8, with lines that end in "\n".

    Without it Windows would use the code page of its language, and "\r\n", for all but its console.
    PYTHONIOENCODING decides where it is set. Characters that an encoding lacks are written with escapes.
    """
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if not isinstance(stream, io.TextIOWrapper):  # closed, or a test's
            continue
        if sys.platform == "win32" and not stream.isatty():
            errors = "strict" if stream is sys.stdin else "backslashreplace"
            if "PYTHONIOENCODING" not in os.environ:
                stream.reconfigure(encoding="utf-8", errors=errors)
            if stream is not sys.stdin:
                stream.reconfigure(newline="\n")
        if stream is sys.stdout:  # stderr does so anyway
            stream.reconfigure(errors="backslashreplace")


# What a person types at the end of what a program reads.
END_OF_INPUT = "Ctrl-Z, Enter" if SYSTEM == "windows" else "Ctrl-D"


def command_line(words: Sequence[str]) -> str:
    """A command as it can be typed into the shell of this system."""
    if sys.platform == "win32":
        import subprocess  # noqa: PLC0415 - slow, and nothing else here needs it

        return subprocess.list2cmdline(words)
    return shlex.join(words)


@contextmanager
def quiet_broken_pipe() -> Iterator[None]:
    """End this process quietly if the reader of its output is gone, as SIGPIPE does where there is one."""
    if sys.platform == "win32":
        try:
            try:
                yield
            finally:
                if sys.stdout is not None:
                    sys.stdout.flush()  # the last chance to catch it: the interpreter would show a traceback
        except OSError as error:
            # Windows calls it an invalid argument; an error of another kind names a file.
            if error.errno not in (errno.EPIPE, errno.EINVAL) or error.filename is not None:
                raise
            discard_stdout()
            sys.exit(1)
    else:
        yield


def discard_stdout() -> None:
    """Send what is still written to stdout nowhere: its reader or its terminal is gone."""
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - no path
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


# Signals


def _known(*names: str) -> tuple[signal.Signals, ...]:
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))


# Ctrl-C, kill, a closed terminal, and Ctrl-Break on Windows: each ends a command once its work is saved.
STOPPING = _known("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
# What asks a training for a checkpoint, and what reports that the reader of our output is gone, if the system
# has them.
SAVING, BROKEN_PIPE = _known("SIGUSR1"), _known("SIGPIPE")


@contextmanager
def blocked_signals() -> Iterator[None]:
    """Hold back SIGINT and SIGTERM within the block; processes started in it inherit that.

    On Windows it is Ctrl-C, which is lost within the block.
    """
    if sys.platform == "win32":
        set_handler = ctypes.WinDLL("kernel32").SetConsoleCtrlHandler
        set_handler(None, True)  # ignores Ctrl-C, and processes started from now on ignore it too
        try:
            yield
        finally:
            set_handler(None, False)
    else:
        from multiprocessing import resource_tracker  # noqa: PLC0415 - slow, and most commands start none

        resource_tracker.ensure_running()  # as a process of its own it would unblock them when it starts
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def ignore_ctrl_c() -> None:
    """Leave Ctrl-C and Ctrl-Break, sent to every process of a console, to the parent of this one."""
    for number in _known("SIGINT", "SIGBREAK"):
        signal.signal(number, signal.SIG_IGN)


# Processes, processors, memory


def process_is_gone(number: int) -> bool:
    """Whether no process of this machine has that number; False where nobody can tell."""
    return _process_is_gone(number)


def processors() -> int:
    """How many processors this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_name() -> str:
    """The processor's name as its maker writes it, else what Python knows of it."""
    return (_processor_name() or "").strip() or platform.processor() or platform.machine()


def memory_bytes() -> int | None:
    """The memory in bytes that this process may use: the machine's, or a lower limit; None if unknown."""
    return _memory_bytes()


def cgroup_limits(groups: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """The memory limits in bytes of the control groups (version 1 or 2) that this process is in."""
    found = []
    with suppress(OSError, ValueError):
        for line in groups.read_text(encoding="utf-8").splitlines():
            _, controllers, name = line.split(":", 2)
            if not controllers:
                top, file = root, "memory.max"
            elif "memory" in controllers.split(","):
                top, file = root / "memory", "memory.limit_in_bytes"
            else:
                continue
            folder = top / name.lstrip("/")
            for group in (folder, *folder.parents):  # a group is limited by those that it is in, too
                with suppress(OSError, ValueError):  # none there, as in a container; or "max", no limit
                    found.append(int((group / file).read_text(encoding="utf-8")))
                if group == top:
                    break
    return found


# From glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def keep_freed_memory() -> None:
    """Make glibc keep large freed blocks for later use instead of giving them back to the kernel.

    The kernel fills every page of a new block with zeros first: with a vocabulary of 11,000 that is a
    quarter of a training step's time. Only glibc has mallopt, and only with glibc is it needed.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        for parameter, value in ((_M_MMAP_THRESHOLD, 2**30), (_M_TRIM_THRESHOLD, 2**31 - 1)):
            mallopt(parameter, value)


def return_freed_memory() -> None:
    """Make glibc give back to the kernel what it keeps of freed memory, for when the next use differs."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
