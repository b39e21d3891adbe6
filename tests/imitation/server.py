"""Runs rnncli commands in forks of itself, so that what every one of them needs is imported once.

It reads lines of JSON on stdin and answers each with one on stdout: {"folder": ..., "arguments": [...],
"files": [stdin, stdout, stderr]} with {"process": number}, and {"wait": number} with {"code": number}.
"""

import importlib
import io
import json
import os
import posix
import sys
import traceback
from pathlib import Path
from typing import Any

import rnncli.__main__

# What commands import when they need it.
IMPORTED = (
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


def command(folder: str, arguments: list[str], files: list[str]) -> None:
    """Run a command in this process, and end it."""
    code = 70
    try:
        os.chdir(folder)
        for number, name in enumerate(files):
            with Path(name).open("rb" if number == 0 else "wb") as file:
                os.dup2(file.fileno(), number)
        sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
        sys.stdout, sys.stderr = (
            io.TextIOWrapper(io.BufferedWriter(io.FileIO(number, "w", closefd=False)), encoding="utf-8")
            for number in (1, 2)
        )
        sys.modules["imitation"].prepare_streams()
        # Worker processes begin with the module that Python was started with.
        sys.modules["__main__"], sys.argv = rnncli.__main__, ["rnncli", *arguments]
        rnncli.__main__.main()
        code = 0
    except SystemExit as leaving:
        code = leaving.code if isinstance(leaving.code, int) else 0
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def serve() -> None:
    for line in sys.stdin:
        request: dict[str, Any] = json.loads(line)
        if "wait" in request:
            answer = {"code": os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1])}
        else:
            process = posix.fork()
            if not process:
                command(**request)
            answer = {"process": process}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    for module in IMPORTED:
        importlib.import_module(module)
    serve()
