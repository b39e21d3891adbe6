"""How much memory a training takes, beside what its plan says: the peak of each run's process.

    python -m benchmarks.memory TEXT [--steps 12]

Each shape is trained for a few steps with two validations, so that everything that a longer run does is done
once. Peaks are those of the resident set (RSS).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

SHAPES = (
    "--level char --cell lstm --num-layers 1 --hidden-size 512",
    "--level char --cell lstm --num-layers 2 --hidden-size 384",
    "--level char --cell lstm --num-layers 2 --hidden-size 384 --ensemble-size 2",
    "--level char --cell lstm --num-layers 2 --hidden-size 384 --ensemble-size 3",
    "--level subword --cell gru --hidden-size 256 --tied-embeddings",
)


def peak(folder: str, text: Path, options: list[str]) -> tuple[float, float]:
    """Megabytes that a training was foreseen to take, and those that it took."""
    command = [sys.executable, "-m", "rnncli", "train", str(text), "--name", "x", "--json", "-q", *options]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE)
    assert process.stdout is not None
    record = json.loads(process.stdout.read())
    _, _, usage = os.wait4(process.pid, 0)
    return record["plan"]["memory_bytes"] / 1e6, usage.ru_maxrss * 1024 / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("text", type=Path)
    parser.add_argument("--steps", default="12")
    given = parser.parse_args()
    print(f"{'foreseen, MB':>12} {'peak, MB':>9}  options")
    for shape in SHAPES:
        with tempfile.TemporaryDirectory() as folder:
            options = ["--steps", given.steps, "--validations", "2", *shape.split()]
            foreseen, found = peak(folder, given.text.resolve(), options)
        print(f"{foreseen:12,.0f} {found:9,.0f}  {shape}", flush=True)


if __name__ == "__main__":
    main()
