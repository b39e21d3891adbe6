"""rnncli beside what people would use instead: the same text, the same seconds, each in its own environment.

    python -m benchmarks TEXT [--seconds 60] [--repeats 3] [--only keras ...]

The first nine tenths of TEXT are trained on and the last tenth is scored, by characters. Every repetition
goes through all of them in turn, so that the machine's moods meet all. What they measured goes into
benchmarks/results/ as JSON; `python -m benchmarks.tables` writes the tables of the documents from it.
Environments are made by pip on the first run, under .bench/. Run it alone on the machine.
"""

import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.peers.environments import Environment, UnusableError
from benchmarks.peers.peers import PEERS, Peer
from benchmarks.records import keep, machine

# Of what a program takes beside its training: import, writing, scoring.
_REST_SECONDS = 900


def measured(peer: Peer, folder: Path, seconds: int, seed: int, threads: int) -> dict[str, Any]:
    """The figures that a program answered; under "failed" why there are no more of them."""
    try:
        python = peer.environment.python()
    except UnusableError as error:
        return {"failed": str(error)}
    task = {
        "train": str(folder / "train.txt"),
        "valid": str(folder / "valid.txt"),
        **{"seconds": seconds, "threads": threads, "seed": seed, "started": time.monotonic()},
    }
    with tempfile.TemporaryDirectory() as work:
        try:
            ran = subprocess.run(
                [python, peer.program, json.dumps(task), *peer.arguments],
                cwd=work,
                capture_output=True,
                text=True,
                check=False,
                timeout=seconds + _REST_SECONDS,
            )
        except subprocess.TimeoutExpired:
            return {"failed": f"it had not ended after {seconds + _REST_SECONDS} s"}
    answers = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith('{"figure"')]
    figures = {answer["figure"]: answer["value"] for answer in answers}
    if ran.returncode:
        said = [line for line in ran.stderr.splitlines() if line.strip()]
        here = f"{Path.cwd()}/"  # no path of this machine goes into a record
        figures["failed"] = said[-1].strip().replace(here, "") if said else f"status {ran.returncode}"
    return figures


def versions(environment: Environment) -> dict[str, str]:
    """Of the packages that were asked for, as they were installed."""
    program = "import sys, importlib.metadata as m\nfor n in sys.argv[1:]: print(n, m.version(n))"
    names = [package.split("=")[0] for package in environment.packages] or ["torch"]
    try:
        python = environment.python()
    except UnusableError:
        return {}
    ran = subprocess.run([python, "-c", program, *names], capture_output=True, text=True, check=True)
    return dict(line.split() for line in ran.stdout.splitlines())


def main() -> None:
    parser = argparse.ArgumentParser(description="rnncli beside its peers")
    parser.add_argument("text", type=Path)
    parser.add_argument("--seconds", type=int, default=60, help="of training (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="default: %(default)s")
    parser.add_argument("--only", nargs="+", metavar="PEER", help=f"of {', '.join(PEERS)}")
    options = parser.parse_args()
    content = options.text.read_text(encoding="utf-8")
    chosen = {name: peer for name, peer in PEERS.items() if not options.only or name in options.only}
    this_machine = machine()
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in chosen}
    with tempfile.TemporaryDirectory() as folder:
        cut = len(content) - len(content) // 10
        for name, part in (("train.txt", content[:cut]), ("valid.txt", content[cut:])):
            Path(folder, name).write_text(part, encoding="utf-8")
        for seed in range(1, options.repeats + 1):
            for name, peer in chosen.items():
                if rows[name] and "failed" in rows[name][-1]:
                    continue
                figures = measured(peer, Path(folder), options.seconds, seed, this_machine["threads"])
                rows[name].append(figures)
                print(name, json.dumps(figures), flush=True)
    found = {
        name: {
            "versions": versions(chosen[name].environment),
            "install_bytes": chosen[name].environment.bytes(),
            "runs": runs,
        }
        for name, runs in rows.items()
    }
    file = keep(
        f"peers-{options.seconds}s",
        options.text,
        content,
        {"seconds": options.seconds, "peers": found},
        this_machine,
    )
    print(file)


if __name__ == "__main__":
    main()
