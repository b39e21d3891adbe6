"""How fast and in how much memory a text becomes a token store, beside one sentencepiece process.

    python -m benchmarks.tokenizing english.txt chinese.txt [--megabytes 10,100,1000] [--rounds 3]

The texts are repeated to the sizes asked for. Every measurement is the whole `rnncli tokenize`
command, start-up included: seconds from file to store, and the most memory that it and its workers
held together (proportional set size, looked at every 20 ms). Speeds are medians of the rounds.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LEVELS: dict[str, list[str]] = {
    "char": ["--level", "char"],
    "byte": ["--level", "byte"],
    "word": ["--level", "word", "--vocab-size", "50000"],
    "subword": [],  # with --tokenizer: pieces learned beforehand
}
PIECES = 8192
# What a person would write: all lines of a block to the library at once, ids to a file.
SENTENCEPIECE_ALONE = """
import sys, itertools, numpy, sentencepiece
processor = sentencepiece.SentencePieceProcessor(model_file=sys.argv[1])
with open(sys.argv[2], encoding="utf-8", newline="\\n") as text, open(sys.argv[3], "wb") as ids:
    while lines := text.readlines(4_000_000):
        pieces = processor.EncodeAsIds(lines)
        numpy.fromiter(itertools.chain.from_iterable(pieces), numpy.uint16).tofile(ids)
"""


@dataclass(frozen=True)
class Measured:
    """One run of a command."""

    seconds: float
    peak_bytes: int


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("texts", type=Path, nargs="+")
    parser.add_argument("--megabytes", default="10,100,1000")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.megabytes.split(",")]
    print(f"{'text':8} {'level':8} {'MB':>5} {'seconds':>8} {'MB/s':>6} {'low..high':>12} {'peak MB':>8}")
    with tempfile.TemporaryDirectory(prefix="tokenizing-") as folder:
        for text in arguments.texts:
            measure_text(text.stem, text, sizes, arguments.rounds, Path(folder))


def measure_text(name: str, text: Path, sizes: Sequence[int], rounds: int, folder: Path) -> None:
    """Every level at every size; how time grows from the smallest to the largest; and the library alone."""
    pieces = folder / f"{name}-pieces.tok"
    learn = repeated(text, min(sizes), folder)
    run([*rnncli("tokenize", learn, "-o", pieces), "--level", "subword", "--vocab-size", str(PIECES)])
    seconds: dict[tuple[str, int], float] = {}
    for size in sizes:
        path = repeated(text, size, folder)
        for level, options in LEVELS.items():
            chosen = options if level != "subword" else ["--tokenizer", str(pieces)]
            runs = [tokenize(path, folder / "out.tok", chosen) for _ in range(rounds)]
            seconds[level, size] = show(name, level, path, runs)
        compare_with_library(name, path, pieces, folder, rounds)
        path.unlink()
    if len(sizes) > 1:
        small, large = min(sizes), max(sizes)
        for level in LEVELS:
            growth = (seconds[level, large] / large) / (seconds[level, small] / small)
            print(f"{name}, {level}: seconds per MB at {large} MB are {growth:.2f} times those at {small} MB")


def tokenize(path: Path, store: Path, options: Sequence[str]) -> Measured:
    shutil.rmtree(store, ignore_errors=True)
    return run([*rnncli("tokenize", path, "-o", store, "-q"), *options])


def compare_with_library(name: str, path: Path, pieces: Path, folder: Path, rounds: int) -> None:
    """In turns, so that a slow minute of the machine slows both."""
    model, ids = pieces / "tokenizer.model", folder / "ids.bin"
    alone = [sys.executable, "-c", SENTENCEPIECE_ALONE, str(model), str(path), str(ids)]
    pairs = [
        (run(alone), tokenize(path, folder / "out.tok", ["--tokenizer", str(pieces)])) for _ in range(rounds)
    ]
    show(name, "library", path, [library for library, _ in pairs])
    ratios = sorted(library.seconds / ours.seconds for library, ours in pairs)
    print(
        f"{name}, {path.stat().st_size / 1e6:.0f} MB: subword at {statistics.median(ratios):.2f} times "
        f"the speed of one sentencepiece process ({ratios[0]:.2f} to {ratios[-1]:.2f})"
    )


def show(name: str, level: str, path: Path, runs: Sequence[Measured]) -> float:
    megabytes = path.stat().st_size / 1e6
    speeds = sorted(megabytes / one.seconds for one in runs)
    seconds = statistics.median(one.seconds for one in runs)
    peak = max(one.peak_bytes for one in runs) / 1e6
    print(
        f"{name:8} {level:8} {megabytes:5.0f} {seconds:8.2f} {statistics.median(speeds):6.0f} "
        f"{f'{speeds[0]:.0f}..{speeds[-1]:.0f}':>12} {peak:8.0f}",
        flush=True,
    )
    return seconds


def run(command: Sequence[str]) -> Measured:
    """Time a command and watch the memory of its process and of those below it."""
    began, peak = time.monotonic(), 0
    environment = {**os.environ, "TORCH_CPP_LOG_LEVEL": "ERROR"}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environment)
    while process.poll() is None:
        peak = max(peak, sum(map(proportional_bytes, family(process.pid))))
        time.sleep(0.02)
    seconds = time.monotonic() - began
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return Measured(seconds, peak)


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(member for child in children for member in family(int(child)))]


def proportional_bytes(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:  # it ended meanwhile
        pass
    return 0


def repeated(text: Path, megabytes: int, folder: Path) -> Path:
    """A file of so many megabytes: the text again and again, whole lines to the end."""
    data, path = text.read_bytes(), folder / f"{text.stem}-{megabytes}.txt"
    wanted = megabytes * 1_000_000
    with path.open("wb") as file:
        while file.tell() + len(data) <= wanted:
            file.write(data)
        file.write(data[: data.rfind(b"\n", 0, wanted - file.tell()) + 1])
    return path


def rnncli(*arguments: object) -> list[str]:
    return [sys.executable, "-P", "-m", "rnncli", *map(str, arguments)]


if __name__ == "__main__":
    main()
