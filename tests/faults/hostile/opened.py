"""Which files a command opens, as Python's audit hook and strace see it."""

import os
import re
import resource
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from tests.faults.hostile.shell import ENVIRONMENT, LIMIT_BYTES, LONGEST_SECONDS, ROOT, led

# What any command may open: the interpreter, its libraries, and what the system says of itself.
_OWN = (
    *(
        f"{os.path.realpath(place)}/"
        for place in (sys.prefix, sys.base_prefix, ROOT / "rnncli", ROOT / "tests")
    ),
    *("/lib/", "/usr/lib/", "/usr/share/", "/proc/", "/sys/"),
    *("/dev/null", "/dev/urandom", "/etc/ld.so", "/etc/localtime"),
)


def reached(opened: list[str], folder: Path) -> set[str]:
    """What a command that ran in `folder` has opened outside of models/ that is not its own."""
    here = f"{os.path.realpath(folder)}/"
    scratch = re.compile(re.escape(os.path.realpath(gettempdir())) + r"/[a-z0-9_]{8}")  # a try of tempfile's
    places = {place.removeprefix(here) for place in opened if place and not scratch.fullmatch(place)}
    return {place for place in places if not f"{place}/".startswith(("models/", *_OWN))}


def traced(arguments: list[str], folder: Path) -> list[str]:
    """Whatever the real command line opens, or tries to, by the places that its names lead to."""
    with TemporaryDirectory() as scratch:
        log = Path(scratch, "log")
        strace = ["strace", "-f", "-y", "--seccomp-bpf", "-e", "trace=open,openat", "-o", str(log)]
        process = subprocess.Popen(
            [*strace, sys.executable, "-P", "-m", "rnncli", *map(os.fsencode, arguments)],
            cwd=folder,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=partial(resource.setrlimit, resource.RLIMIT_DATA, (LIMIT_BYTES, LIMIT_BYTES)),
        )
        try:
            process.wait(3 * LONGEST_SECONDS)  # tracing and importing take their time
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        text = log.read_text()
    name, flags, file = r'"((?:[^"\\]|\\.)*)"', r"(\S+?)", r"(?:-1|\d+<(.*)>)"
    calls = re.findall(rf"\bopen(?:at)?\((?:\S+<.*?>, )?{name}, {flags}[,)].* = {file}", text)
    assert calls, text
    return [
        unescaped(file) if file else led(str(folder / unescaped(name)), "O_NOFOLLOW" not in flags)
        for name, flags, file in calls
        if "O_DIRECTORY" not in flags and "O_TMPFILE" not in flags
    ]


def unescaped(name: str) -> str:
    content = name.encode().decode("unicode_escape").encode("latin-1")
    return content.decode("utf-8", "backslashreplace").replace("\0", "")
