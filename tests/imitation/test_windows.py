"""Every command on an imitation of Windows; docs/reliability.md names what only Windows itself can show."""

import os

from tests.imitation.every_command import EveryCommand, ended_by
from tests.imitation.running import ON_LINUX, Machine

SYSTEM, CTRL_BREAK = "windows", 21
pytestmark = ON_LINUX


class TestEveryCommand(EveryCommand):
    pass


def test_ctrl_break_saves(machine: Machine) -> None:
    ended_by(machine, CTRL_BREAK, "broken-off")


def test_compare(machine: Machine) -> None:
    ran = machine.good("compare", "text.txt", "--time", "20s", "--name", "best", "--level", "char", "--json")
    assert ran.json["model"] == "models/best"
    assert not list((machine.folder / "models").glob("*trial*"))


def test_a_file_that_is_open_is_waited_for(machine: Machine) -> None:
    code = """
import threading, time
from pathlib import Path
from rnncli import runtime

Path("waited").mkdir()
for change in (
    lambda one, two: runtime.replace(one, two),
    lambda one, two: runtime.unlink(two),
    lambda one, two: runtime.rename(one.parent, one.parent.with_name("renamed")),
    lambda one, two: runtime.remove_tree(two.parent),
):
    one, two = Path("waited/one"), Path("waited/two")
    one.parent.mkdir(exist_ok=True)
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    file = two.open("rb")
    threading.Timer(0.4, file.close).start()
    change(one, two)
    print(file.closed)
one.parent.mkdir()
with two.open("wb"):
    began = time.perf_counter()
    try:
        runtime.unlink(two)
    except PermissionError:
        print(time.perf_counter() - began > 1.9)
"""
    assert machine.python(code).split() == ["True"] * 5


def test_what_the_system_says_of_itself(machine: Machine) -> None:
    code = f"""
import subprocess, sys
from rnncli import runtime

ended = subprocess.Popen([sys.executable, "-IS", "-c", ""])
ended.wait()
print(runtime.SYSTEM, runtime.process_is_gone({os.getpid()}), runtime.process_is_gone(ended.pid))
print(runtime.memory_bytes(), runtime.processor_name(), runtime.command_line(["rnncli", "a b"]))
print([signal.name for signal in runtime.STOPPING if signal == 21], runtime.SAVING, runtime.BROKEN_PIPE)
"""
    assert machine.python(code).splitlines() == [
        "windows False True",
        f'{8 * 2**30} Imitated Processor rnncli "a b"',
        "['SIGTTIN'] () ()",
    ]


def test_a_lock_that_is_only_looked_at_is_waited_for(machine: Machine) -> None:
    code = """
import os, threading
from pathlib import Path
from rnncli import runtime

one, two = (runtime.open_own_file(Path("looked"), os.O_RDWR | os.O_CREAT) for _ in range(2))
print(runtime.lock(one, shared=True), runtime.lock(two))
threading.Timer(0.2, runtime.unlock, [one]).start()
print(runtime.lock(two), runtime.lock(one))
"""
    assert machine.python(code).split() == ["True", "False", "True", "False"]
