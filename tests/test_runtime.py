"""What differs between systems, as far as the one of the test shows it; tests/imitation/ has the others."""

import os
import shlex
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from rnncli import deadline, runtime

LOCKS = """
import os, sys
from rnncli import runtime
descriptor = runtime.open_own_file(__import__("pathlib").Path("lock"), os.O_RDWR)
print(runtime.lock(descriptor, shared=sys.argv[1] == "shared"))
"""


def other_process_locks(kind: str) -> bool:
    """Whether another process gets a lock of that kind on the file "lock"."""
    ran = subprocess.run([sys.executable, "-c", LOCKS, kind], capture_output=True, text=True, check=True)
    return ran.stdout == "True\n"


def test_a_lock_keeps_others_out_until_it_is_released(own_folder: Path) -> None:
    path = own_folder / "lock"
    path.write_bytes(b"content")
    descriptor = runtime.open_own_file(path, os.O_RDWR | os.O_CREAT)
    assert runtime.lock(descriptor)
    assert not other_process_locks("exclusive")
    assert path.read_bytes() == b"content", "others can read what is locked"
    runtime.unlock(descriptor)
    assert other_process_locks("exclusive")
    os.close(descriptor)


@pytest.mark.skipif(runtime.SYSTEM == "windows", reason="there are no shared locks")
def test_a_shared_lock_keeps_out_none_but_writers(own_folder: Path) -> None:
    (own_folder / "lock").touch()
    descriptor = runtime.open_own_file(own_folder / "lock", os.O_RDWR)
    assert runtime.lock(descriptor, shared=True)
    assert other_process_locks("shared")
    assert not other_process_locks("exclusive")
    os.close(descriptor)


def test_a_folder_is_locked_until_it_is_unlocked(own_folder: Path) -> None:
    folder = own_folder / "folder"
    folder.mkdir()
    unlock = runtime.lock_folder(folder)
    assert unlock is not None
    assert runtime.lock_folder(folder) is None
    unlock()
    again = runtime.lock_folder(folder)
    assert again is not None
    again()
    assert [path.name for path in own_folder.iterdir()] == ["folder"]


def test_a_link_is_not_opened(own_folder: Path) -> None:
    (own_folder / "elsewhere").touch()
    try:
        (own_folder / "link").symlink_to("elsewhere")
    except OSError:
        pytest.skip("Windows lets administrators alone make links")
    with pytest.raises(OSError, match="symbolic links"):
        runtime.open_own_file(own_folder / "link", os.O_RDWR)


def test_files_are_renamed_replaced_and_removed(own_folder: Path) -> None:
    one, two = own_folder / "one", own_folder / "two"
    one.write_bytes(b"1")
    runtime.sync_file(one)
    runtime.rename(one, two)
    one.write_bytes(b"3")
    runtime.replace(one, two)
    assert two.read_bytes() == b"3"
    runtime.unlink(two)
    runtime.unlink(two)
    (own_folder / "folder" / "inner").mkdir(parents=True)
    runtime.sync_folder(own_folder)
    runtime.remove_tree(own_folder / "folder")
    assert not list(own_folder.iterdir())
    with pytest.raises(FileNotFoundError):
        runtime.rename(one, two)


def test_a_process_that_ended_is_gone() -> None:
    assert not runtime.process_is_gone(os.getpid())
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    assert runtime.process_is_gone(process.pid)


def test_the_machine_has_a_processor_a_name_and_memory() -> None:
    assert runtime.processors() >= 1
    assert runtime.processor_name().strip()
    memory = runtime.memory_bytes()
    assert memory is not None
    assert memory > 2**26


@pytest.mark.skipif(runtime.SYSTEM != "linux", reason="the limit is one of Linux here")
def test_a_limit_of_this_process_is_all_the_memory_that_it_has() -> None:
    code = "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**31, -1)); "
    code += "from rnncli import runtime; print(runtime.memory_bytes())"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 < int(ran.stdout) <= 2**31


@pytest.mark.parametrize(
    ("groups", "files", "limits"),
    [
        ("0::/\n", {"memory.max": "2147483648"}, [2**31]),
        ("0::/\n", {"memory.max": "max"}, []),
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": "1000000"}, [10**6]),
        ("0::/not/there\n", {"memory.max": "5000"}, [5000]),
        ("5:cpu,cpuacct:/x\n4:memory:/x\n", {"memory/x/memory.limit_in_bytes": "7000"}, [7000]),
        ("4:memory:/gone\n0::/\n", {"memory/memory.limit_in_bytes": "8000"}, [8000]),
        ("nonsense\n", {}, []),
    ],
)
def test_memory_limits_of_control_groups(
    own_folder: Path, groups: str, files: dict[str, str], limits: list[int]
) -> None:
    (own_folder / "cgroup").write_text(groups, encoding="utf-8")
    for name, content in files.items():
        path = own_folder / "fs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    assert runtime.cgroup_limits(own_folder / "cgroup", own_folder / "fs") == limits


def test_a_command_can_be_typed_again() -> None:
    words = ["rnncli", "train", "my text.txt"]
    line = runtime.command_line(words)
    assert line == 'rnncli train "my text.txt"' if runtime.SYSTEM == "windows" else shlex.split(line) == words


@pytest.mark.skipif(runtime.SYSTEM != "linux", reason="only glibc keeps freed memory")
def test_freed_memory_is_kept_for_the_next_use_and_given_back_when_asked() -> None:
    program = """
import numpy
from rnncli import runtime
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
runtime.keep_freed_memory()
before = resident()
kept = [numpy.ones(12_500_000) for _ in range(2)]
kept[:] = []
with_kept = resident()
runtime.return_freed_memory()
print(with_kept - before, resident() - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    kept, returned = map(int, done.stdout.split())
    assert kept > 150_000_000
    assert returned < 20_000_000


def test_work_has_its_result_its_error_or_a_limit() -> None:
    def fail() -> None:
        raise LookupError("no such thing")

    assert deadline.within(10.0, lambda: 7) == 7
    with pytest.raises(LookupError, match="no such thing"):
        deadline.within(10.0, fail)
    released = threading.Event()
    with pytest.raises(TimeoutError):
        deadline.within(0.2, released.wait)
    released.set()
    deadline.let_threads_end()
