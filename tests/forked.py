"""The command `rnncli` for shells of tests: a fork of one process that has imported everything.

    shell -> client (a script named rnncli) -> server: fork -> the command, with the client's files 0, 1, 2

The client sends its arguments, folder and environment, and ends with the command's exit code.
"""

import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rnncli.__main__ import main

ROOT = Path(__file__).parent.parent
# What commands import when they need it.
_IMPORTED = (
    *(
        "rnncli.workflows.training_session",
        "rnncli.workflows.train",
        "rnncli.workflows.plot",
        "rnncli.workflows.compare",
    ),
    *(
        "rnncli.workflows.evaluate",
        "rnncli.workflows.generate",
        "torch._dynamo",
    ),
)
_CLIENT = """#!{python} -IS
import json, os, socket, sys
request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [len(request).to_bytes(8, "little")], [0, 1, 2])
    server.sendall(request)
    sys.exit(int(server.recv(16)))
"""


@contextmanager
def commands(folder: Path) -> Iterator[Path]:
    """A folder with a script `rnncli` for PATH, as long as its server lives."""
    script, address = folder / "rnncli", folder / "socket"
    script.write_text(_CLIENT.format(python=sys.executable, address=str(address)))
    script.chmod(0o755)
    server = subprocess.Popen(
        [sys.executable, "-c", f"from tests.forked import serve; serve({str(address)!r})"],
        stdout=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)},
        cwd=folder,
    )
    assert server.stdout is not None
    try:
        assert server.stdout.readline() == b"ready\n"
        yield folder
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def serve(address: str) -> None:
    """Answer clients until somebody ends us."""
    for name in _IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # what is there now need not be looked at in every fork
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(address)
        listening.listen()
        print("ready", flush=True)
        while True:
            client, _ = listening.accept()
            if not os.fork():
                _answer(client)
            client.close()


def _answer(client: socket.socket) -> None:
    """Be the command in a process of its own, and tell its code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    size, files, _, _ = socket.recv_fds(client, 8, 3)
    request = b""
    while len(request) < int.from_bytes(size, "little"):
        request += client.recv(2**16)
    arguments, folder, environment = json.loads(request)
    command = os.fork()
    if not command:
        _be(arguments, folder, environment, files)
    for file in files:
        os.close(file)
    _, status = os.waitpid(command, 0)
    client.sendall(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _be(arguments: list[str], folder: str, environment: dict[str, str], files: list[int]) -> None:
    code = 1
    try:
        for number, file in enumerate(files):
            os.dup2(file, number)
        os.chdir(folder)
        os.environ.clear()
        os.environ.update(environment)
        sys.stdin = os.fdopen(0, encoding="utf-8")
        sys.argv = ["rnncli", *arguments]
        code = _exit_code()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _exit_code() -> int:
    try:
        main()
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return 0
