"""Marks for tests of what not every operating system has."""

import os

import pytest

from rnncli.runtime import SYSTEM

on_posix = pytest.mark.skipif(SYSTEM == "windows", reason="Windows has nothing like it")
needs_fifos = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFO can be made in a folder")
needs_signals = pytest.mark.skipif(SYSTEM == "windows", reason="no signal can be sent to a process alone")
# A file that this process must not read.
needs_permissions = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="whoever runs the tests may read everything"
)
