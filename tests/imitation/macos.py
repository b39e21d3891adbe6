"""Makes Python on Linux as like Python on macOS as rnncli can tell; site/sitecustomize.py runs it.

Third-party packages are imported before anything is changed, and do not see it.
"""

import ctypes
import fcntl
import os
import posix
import subprocess
import sys
import types
from pathlib import Path

import numpy  # noqa: F401
import rich.progress  # noqa: F401
import sentencepiece  # noqa: F401
import typer  # noqa: F401

if "--multiprocessing-fork" not in sys.orig_argv:  # what a worker process of rnncli does needs no torch
    import safetensors.numpy  # noqa: F401
    import torch  # noqa: F401

LINUX_ALONE = (
    "sched_getaffinity sched_setaffinity posix_fadvise posix_fallocate pidfd_open memfd_create splice"
)
for name in LINUX_ALONE.split():
    if hasattr(os, name):
        delattr(os, name)


# There is no /proc: a path below it leads nowhere, for pathlib and so for rnncli.

open_path = Path.open


def open_without_proc(self, *arguments, **named):
    if str(self).startswith("/proc/"):
        raise FileNotFoundError(2, "No such file or directory", str(self))
    return open_path(self, *arguments, **named)


Path.open = open_without_proc


# A flush to the disk itself is a request of fcntl; fsync leaves the data in the cache of the disk.

F_FULLFSYNC = 51
fcntl.F_FULLFSYNC = F_FULLFSYNC
request = fcntl.fcntl


def fcntl_on_macos(descriptor, command, *arguments):
    if command == F_FULLFSYNC:
        return posix.fsync(descriptor)
    return request(descriptor, command, *arguments)


def fsync(descriptor):
    raise AssertionError("os.fsync does not reach the disk")


fcntl.fcntl, os.fsync = fcntl_on_macos, fsync


# What the system says of its processor, and a C library that is not glibc.

run, load = subprocess.run, ctypes.CDLL


def run_on_macos(command, *arguments, **named):
    if command[0] == "/usr/sbin/sysctl":
        command = ["echo", "Imitated Processor"]
    return run(command, *arguments, **named)


def load_library(name, *arguments, **named):
    assert name is not None, "mallopt is glibc's"
    return load(name, *arguments, **named)


subprocess.run, ctypes.CDLL = run_on_macos, load_library


def prepare_streams():
    """They are UTF-8, as on Linux."""


# rnncli.runtime alone asks which system this is.


class System(types.ModuleType):
    platform = "darwin"

    def __getattr__(self, name):
        return getattr(sys, name)


here = sys.platform
sys.platform = "darwin"
import rnncli.runtime  # noqa: E402

sys.platform = here
rnncli.runtime.sys = System("sys")
