"""rnncli beside what people would use instead: the same text, the same seconds, each in its own environment.

    python -m benchmarks TEXT [--seconds 60] [--repeats 3]
    python -m benchmarks TEXT --repeats 5 --again gpt2

The first nine tenths of TEXT are trained on and the last tenth is scored, by characters. Every repetition
goes through all of them in turn, so that the machine's moods meet all. What they measured goes into
benchmarks/results/ as JSON after every repetition, and what is there of the same text is not measured again;
`python -m benchmarks.tables` writes the tables of the documents from it. Environments are made by pip on the
first run, under .bench/. Run it alone on the machine.
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
from benchmarks.records import keep, load, machine, sha256

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
    parser.add_argument("--repeats", type=int, default=3, help="in all (default: %(default)s)")
    parser.add_argument("--again", nargs="+", choices=PEERS, default=[], help="forget what these measured")
    parser.add_argument(
        "--sizes", action="store_true", help="measure nothing but what each takes on the disk"
    )
    options = parser.parse_args()
    content, name = options.text.read_text(encoding="utf-8"), f"peers-{options.seconds}s"
    results = kept_results(name, content)
    for peer, what in PEERS.items():
        runs = [] if peer in options.again else results.get(peer, {"runs": []})["runs"]
        results[peer] = {
            "versions": what.environment.versions(),
            "install_bytes": what.environment.bytes(),
            "runs": runs,
        }
    this_machine = machine()

    def save() -> None:
        kept = {"seconds": options.seconds, "peers": {peer: results[peer] for peer in PEERS}}
        print(keep(name, options.text, content, kept, this_machine), flush=True)

    if options.sizes:
        save()
        return
    with tempfile.TemporaryDirectory() as folder:
        task: dict[str, Any] = {"seconds": options.seconds, "threads": this_machine["threads"]}
        cut = len(content) - len(content) // 10
        for part, written in (("train", content[:cut]), ("valid", content[cut:])):
            task[part] = str(Path(folder, f"{part}.txt"))
            Path(task[part]).write_text(written, encoding="utf-8")
        for seed in range(1, options.repeats + 1):
            for peer, what in PEERS.items():
                runs = results[peer]["runs"]
                if len(runs) < seed and not (runs and "failed" in runs[-1]):
                    runs.append(measured(what, task | {"seed": seed}))
                    print(peer, json.dumps(runs[-1]), flush=True)
                if peer == "rnncli":
                    task["plan"] = runs[min(seed, len(runs)) - 1].get("plan")
            save()


def kept_results(name: str, content: str) -> dict[str, Any]:
    """What was measured of the same text before."""
    try:
        record = load(name)
    except FileNotFoundError:
        return {}
    return dict(record["peers"]) if record["text_sha256"] == sha256(content) else {}


if __name__ == "__main__":
    main()
