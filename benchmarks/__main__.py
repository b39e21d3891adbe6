"""rnncli beside what people would use instead: the same text, the same seconds, each in its own environment.

    python -m benchmarks TEXT [--seconds 60] [--repeats 3]
    python -m benchmarks TEXT --only keras-sizes gpt2

The first nine tenths of TEXT are trained on and the last tenth is scored, by characters. Every repetition
goes through all of them in turn, so that the machine's moods meet all. What they measured goes into
benchmarks/results/ as JSON after every repetition, where nobody is left out; `python -m benchmarks.tables`
writes the tables of the documents from it. Environments are made by pip on the first run, under .bench/.
Run it alone on the machine.
"""

import argparse
import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.peers.environments import UnusableError, last_line
from benchmarks.peers.peers import PEERS, Peer
from benchmarks.records import keep, machine

# Of what a program takes beside its training: import, writing, scoring.
_REST_SECONDS = 900


def measured(peer: Peer, task: dict[str, Any]) -> dict[str, Any]:
    """The figures that a program answered; under "failed" why there are no more of them."""
    try:
        python = peer.environment.python()
    except UnusableError as error:
        return {"failed": str(error)}
    with tempfile.TemporaryDirectory() as work:
        asked = json.dumps(task | {"started": time.monotonic()})
        with subprocess.Popen(
            [python, peer.program, asked, *peer.arguments],
            cwd=work,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            why = ""
            try:
                out, said = process.communicate(timeout=task["seconds"] + _REST_SECONDS)
            except subprocess.TimeoutExpired:
                why = f"it had not ended after {task['seconds'] + _REST_SECONDS} s"
                os.killpg(process.pid, signal.SIGKILL)  # and whom it started
                out, said = process.communicate()
    answers = [json.loads(line) for line in out.splitlines() if line.startswith('{"figure"')]
    figures = {answer["figure"]: answer["value"] for answer in answers}
    if process.returncode:
        figures["failed"] = why or last_line(said) or f"status {process.returncode}"
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description="rnncli beside its peers")
    parser.add_argument("text", type=Path)
    parser.add_argument("--seconds", type=int, default=60, help="of training (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--only", nargs="+", choices=PEERS, help="beside rnncli; nothing is kept then")
    options = parser.parse_args()
    content = options.text.read_text(encoding="utf-8")
    chosen = {n: p for n, p in PEERS.items() if not options.only or n in ("rnncli", *options.only)}
    this_machine = machine()
    found: dict[str, dict[str, Any]] = {
        name: {"versions": peer.environment.versions(), "install_bytes": peer.environment.bytes(), "runs": []}
        for name, peer in chosen.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        task: dict[str, Any] = {"seconds": options.seconds, "threads": this_machine["threads"]}
        cut = len(content) - len(content) // 10
        for name, part in (("train", content[:cut]), ("valid", content[cut:])):
            task[name] = str(Path(folder, f"{name}.txt"))
            Path(task[name]).write_text(part, encoding="utf-8")
        for seed in range(1, options.repeats + 1):
            for name, peer in chosen.items():
                runs = found[name]["runs"]
                if runs and "failed" in runs[-1]:
                    continue
                runs.append(measured(peer, task | {"seed": seed}))
                print(name, json.dumps(runs[-1]), flush=True)
                if name == "rnncli":
                    task["plan"] = runs[-1].get("plan")
            if not options.only:
                kept = {"seconds": options.seconds, "peers": found}
                print(keep(f"peers-{options.seconds}s", options.text, content, kept, this_machine))


if __name__ == "__main__":
    main()
