"""Makes Python on Linux as like Python on Windows as rnncli can tell; site/sitecustomize.py runs it.

Third-party packages are imported before anything is changed, and do not see it. What stays as on Linux: paths
have forward slashes, names have upper and lower case, and any file can be removed that no process of the
imitation itself has open.
"""

# ruff: noqa: PTH100, PTH110, PTH112, PTH115, PTH118, PTH119, PTH120, PTH123, PTH208
import ctypes
import errno
import fcntl
import io
import multiprocessing.resource_tracker as tracker
import os
import platform
import posix
import shutil
import signal
import sys
import time
import types
from pathlib import Path

import numpy  # noqa: F401
import rich.progress  # noqa: F401
import sentencepiece  # noqa: F401
import typer  # noqa: F401

if "--multiprocessing-fork" not in sys.orig_argv:  # what a worker process of rnncli does needs no torch
    import safetensors.numpy  # noqa: F401
    import torch  # noqa: F401

OF_OS = """
    O_NOFOLLOW O_NONBLOCK O_DIRECTORY O_CLOEXEC O_SYNC O_DSYNC sysconf fork forkpty mkfifo mknod getgid
    getegid posix_fadvise posix_fallocate sched_getaffinity sched_setaffinity getpgid setpgid killpg
    fdatasync pread pwrite sync uname openpty setsid getloadavg fchmod chown nice getpriority wait lockf
"""
OF_SIGNAL = """
    SIGHUP SIGUSR1 SIGUSR2 SIGTSTP SIGPIPE SIGALRM SIGCONT SIGQUIT SIGCHLD SIGWINCH SIGTTIN SIGTTOU SIGIO
    SIGPROF pthread_sigmask pthread_kill sigwait sigpending setitimer getitimer alarm pause siginterrupt
"""
CONTROL_BREAK = 21  # SIGBREAK of Windows, which is SIGTTIN on Linux
LEAST_LOCKED_POSITION = 2**20


platform.uname()  # which it remembers

# What Python does not have on Windows. Some stays that multiprocessing and pytest need, which take this for
# Linux: SIGKILL, waitpid, getuid, statvfs.
for name in ("fcntl", "termios", "resource", "pwd", "grp", "tty", "pty", "readline", "syslog"):
    sys.modules[name] = None  # type: ignore[assignment]
for name in OF_OS.split():
    if hasattr(os, name):
        delattr(os, name)
for name in OF_SIGNAL.split():
    if hasattr(signal, name):
        delattr(signal, name)
tracker._HAVE_SIGMASK = False
shutil._use_fd_functions = False


# Signals

signal.SIGBREAK = signal.Signals(CONTROL_BREAK)
signal.CTRL_C_EVENT, signal.CTRL_BREAK_EVENT = 0, 1
set_signal = signal.signal


def signal_on_windows(number, handler):
    known = (*("SIGABRT", "SIGFPE", "SIGILL", "SIGINT", "SIGSEGV", "SIGTERM", "SIGBREAK"), "SIGKILL")
    if number not in [getattr(signal, name) for name in known]:
        raise ValueError("invalid signal value")
    return set_signal(number, handler)


def kill(process, number):
    assert number != 0, "os.kill(process, 0) sends Ctrl-C on Windows"
    posix.kill(process, number)


signal.signal, os.kill = signal_on_windows, kill


# Files

os.O_BINARY, os.O_NOINHERIT, os.O_TEXT = 0x8000, 0x80, 0x4000
WRITES = os.O_WRONLY | os.O_RDWR


def denied(path):
    return PermissionError(errno.EACCES, "Permission denied", os.fspath(path))


def open_on_windows(path, flags, mode=0o777, *, dir_fd=None):
    if dir_fd is None and os.path.isdir(path):
        raise denied(path)
    ours = sys._getframe(1).f_globals.get("__name__", "").startswith("rnncli")
    assert not (ours and flags & WRITES and not flags & os.O_BINARY), f"{path} is opened for text"
    return posix.open(path, flags & ~(os.O_BINARY | os.O_NOINHERIT | os.O_TEXT), mode, dir_fd=dir_fd)


def fsync(descriptor):
    if not fcntl.fcntl(descriptor, fcntl.F_GETFL) & WRITES:
        raise OSError(errno.EBADF, "Bad file descriptor")
    posix.fsync(descriptor)


def is_busy(path):
    """Whether this process has a file open or memory-mapped, or anything below a folder."""
    place = os.path.join(os.path.realpath(os.path.dirname(os.path.abspath(path))), os.path.basename(path))
    used = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            used.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except OSError:  # the one by which the list was read
            continue
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        used += [line[line.index("/") :].rstrip("\n") for line in maps if "/" in line]
    return any(one == place or one.startswith(f"{place}/") for one in used)


def rename(source, target, **folders):
    if os.path.lexists(target):
        raise FileExistsError(errno.EEXIST, "File exists", os.fspath(source), None, os.fspath(target))
    if is_busy(source):
        raise denied(source)
    posix.rename(source, target, **folders)


def replace(source, target, **folders):
    if is_busy(source) or is_busy(target) or os.path.isdir(target):
        raise denied(target)
    posix.replace(source, target, **folders)


def unlink(path, **folders):
    # Windows has another way to make a temporary file without a name.
    nameless = sys._getframe(1).f_code.co_name == "opener"
    if is_busy(path) and not nameless:
        raise denied(path)
    posix.unlink(path, **folders)


def rmdir(path, **folders):
    if is_busy(path):
        raise denied(path)
    posix.rmdir(path, **folders)


os.open, os.fsync = open_on_windows, fsync
os.rename, os.replace, os.unlink, os.remove, os.rmdir = rename, replace, unlink, unlink, rmdir


def locking(descriptor, request, size):
    """msvcrt.locking: bytes from the position on; nobody else can read them."""
    position, length = os.lseek(descriptor, 0, os.SEEK_CUR), os.fstat(descriptor).st_size
    assert size == 1
    assert position >= max(length, LEAST_LOCKED_POSITION), "the content of the file is locked"
    operation = fcntl.LOCK_UN if request == 0 else fcntl.LOCK_EX | fcntl.LOCK_NB
    try:
        fcntl.flock(descriptor, operation)
    except BlockingIOError as error:
        raise PermissionError(errno.EACCES, "Permission denied") from error


msvcrt = types.SimpleNamespace(LK_UNLCK=0, LK_LOCK=1, LK_NBLCK=2, locking=locking)


# Time: until Python 3.13 the clock of time.monotonic ticks every 15.6 ms there.

count = time.monotonic
time.monotonic = lambda: int(count() * 64) / 64


# The Windows API


class Registry:
    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


winreg = types.SimpleNamespace(
    HKEY_LOCAL_MACHINE=object(),
    OpenKey=lambda key, name: Registry(),
    QueryValueEx=lambda key, name: ("Imitated Processor", 1),
)


last = {"error": 0, "ctrl-c": signal.SIG_DFL}


def open_process(access, inherit, number):
    if os.path.exists(f"/proc/{number}"):
        return number
    last["error"] = 87
    return None


def wait_for_single_object(handle, milliseconds):
    state = Path(f"/proc/{handle}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    return 0 if state == "Z" else 258


def global_memory_status(reference):
    status = reference._obj
    assert status.length == ctypes.sizeof(status) == 64
    status.physical = 8 * 2**30
    return 1


def set_console_ctrl_handler(handler, add):
    if add:
        last["ctrl-c"] = set_signal(signal.SIGINT, signal.SIG_IGN)
    else:
        set_signal(signal.SIGINT, last["ctrl-c"])
    return 1


def library(name, use_last_error=False):
    assert name == "kernel32"
    return types.SimpleNamespace(
        OpenProcess=open_process,
        WaitForSingleObject=wait_for_single_object,
        CloseHandle=lambda handle: 1,
        GlobalMemoryStatusEx=global_memory_status,
        SetConsoleCtrlHandler=set_console_ctrl_handler,
    )


ctypes.WinDLL, ctypes.get_last_error = library, lambda: last["error"]


# Streams


class Pipe(io.FileIO):
    """What is written to a pipe without a reader is an invalid argument."""

    def write(self, data):
        try:
            return super().write(data)
        except BrokenPipeError:
            raise OSError(errno.EINVAL, "Invalid argument") from None


def prepare_streams():
    """Pipes and files carry the code page of western Europe, and lines that end in CR LF."""
    if sys.stdin is not None and not sys.stdin.isatty():
        sys.stdin.reconfigure(encoding="cp1252")
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is not None and not stream.isatty():
            pipe = io.BufferedWriter(Pipe(number, "w", closefd=False))
            setattr(sys, name, io.TextIOWrapper(pipe, "cp1252", stream.errors, "\r\n", name == "stderr"))


prepare_streams()


# rnncli.runtime alone asks which system this is.


class System(types.ModuleType):
    platform = "win32"

    def __getattr__(self, name):
        return getattr(sys, name)


here = sys.platform
sys.platform, sys.modules["msvcrt"], sys.modules["winreg"] = "win32", msvcrt, winreg
import rnncli.runtime  # noqa: E402

sys.platform = here
del sys.modules["msvcrt"], sys.modules["winreg"]
rnncli.runtime.sys = System("sys")
