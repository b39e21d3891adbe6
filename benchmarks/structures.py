"""What each structure gives in the same minutes, over several seeds: the table of docs/recipes.md.

    python -m benchmarks.structures TEXT --time 5m --seeds 3 [--only lstm gru ...]

The plan chooses the width, unless a structure names it, and everything else; one network is trained, so that
structures are compared and not how many of them fit. The whole held-out part is scored.
"""

import argparse
import statistics
from pathlib import Path

from benchmarks.recipes import trained

STRUCTURES: dict[str, str] = {
    "lstm": "--cell lstm",
    "gru": "--cell gru",
    "rnn": "--cell rnn",
    "lstm, 2 layers": "--cell lstm,lstm --hidden-size 512",
    "lstm and rglru": "--cell lstm,rglru --hidden-size 512",
    "gru and mingru": "--cell gru,mingru --hidden-size 512",
    "lstm, attention 64": "--cell lstm --attention 64",
    "lstm and rglru, attention 64": "--cell lstm,rglru --attention 64 --hidden-size 512",
    "lstm, convolution 4": "--cell lstm --convolution 4",
    "lstm, mogrifier 4": "--cell lstm --mogrifier 4 --hidden-size 256",
    "mingru, 3 layers, convolution 4": "--cell mingru --num-layers 3 --convolution 4 --hidden-size 512",
    "minlstm, 3 layers, convolution 4": "--cell minlstm --num-layers 3 --convolution 4 --hidden-size 512",
    "rglru, 3 layers, convolution 4": "--cell rglru --num-layers 3 --convolution 4 --hidden-size 384",
}


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("text")
    parser.add_argument("--time", default="5m")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=list(STRUCTURES), default=list(STRUCTURES))
    given = parser.parse_args()
    print(
        f"| structure | network | weights | tokens/s | nats per token after {given.time}, by seed | median |"
    )
    print("|---|---|---|---|---|---|")
    for name in given.only:
        options = [*STRUCTURES[name].split(), "--members", "1"]
        text = str(Path(given.text).resolve())
        runs = [trained(text, given.time, seed, options) for seed in range(1, given.seeds + 1)]
        nats = [run.nats for run in runs]
        speed = statistics.median(run.tokens_per_second for run in runs)
        print(
            f"| {name} | {runs[0].plan} | {runs[0].parameters:,} | {speed:,.0f} | "
            f"{', '.join(f'{one:.4f}' for one in nats)} | {statistics.median(nats):.4f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
