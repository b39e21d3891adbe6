"""What settings give on a text, over several seeds: the rows of docs/recipes.md.

    python -m benchmarks.recipes TEXT --time 1m 3m -- [options of rnncli train]
    python -m benchmarks.recipes ptb-train.txt --time 10m -- --valid ptb-valid.txt

Trains with every seed for every time, in a folder that is thrown away, and scores the whole held-out
part with `rnncli eval`: nats and perplexity per token, bits per character, seconds of the command, medians
over the seeds.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple


class Trained(NamedTuple):
    """What one training gave; its validations are in the tokens per second."""

    nats: float
    bits_per_character: float
    perplexity: float
    seconds: float
    plan: str
    parameters: int
    tokens_per_second: float


def rnncli(folder: str, *arguments: str) -> dict[str, Any]:
    """A command's JSON."""
    command = [sys.executable, "-m", "rnncli", *arguments, "--json", "--quiet"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def trained(text: str, budget: str, seed: int, options: list[str]) -> Trained:
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        arguments = ("--time", budget, "--seed", str(seed), "--name", "model", *options)
        record = rnncli(folder, "train", text, *arguments)
        seconds = time.perf_counter() - began
        score = rnncli(folder, "eval", "--model", "model")
    plan = record["plan"]
    epochs = record["step"] / plan["steps"] * plan["epochs"]
    words = f"{plan['architecture']}; batches of {plan['batch_size']} x {plan['bptt']}, {epochs:.1f} epochs"
    return Trained(
        score["nats_per_token"],
        score["bits_per_character"],
        score["token_perplexity"],
        seconds,
        words,
        plan["parameters"],
        record["step"] * plan["batch_size"] * plan["bptt"] / record["seconds"],
    )


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("text")
    parser.add_argument("--time", nargs="+", default=["1m"])
    parser.add_argument("--seeds", type=int, default=3)
    # argparse gives what follows "--" to --time, which takes any number of values.
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    given = parser.parse_args(words[:end])
    # The models are trained elsewhere: what names a file is told in full.
    options = [str(Path(word).resolve()) if Path(word).exists() else word for word in words[end + 1 :]]
    for budget in given.time:
        runs = []
        for seed in range(1, given.seeds + 1):
            run = trained(str(Path(given.text).resolve()), budget, seed, options)
            runs.append(run)
            row = _row(budget, f"seed {seed}", run)
            print(f"{row}  {run.plan}", flush=True)
        figures = Trained._fields[: Trained._fields.index("plan")]
        medians = {figure: statistics.median(getattr(run, figure) for run in runs) for figure in figures}
        print(_row(budget, "median", runs[0]._replace(**medians)), flush=True)


def _row(budget: str, name: str, run: Trained) -> str:
    return (
        f"{budget:4} {name:7} {run.nats:.4f} nats  perplexity {run.perplexity:7.2f}  "
        f"{run.bits_per_character:.4f} bits per character  {run.seconds:6.1f} s"
    )


if __name__ == "__main__":
    main()
