"""What variants of a network give in the same minutes, over several seeds: tables of docs/recipes.md.

    python -m benchmarks.variants structures TEXT [--time 5m --seeds 3 --most 4]
    python -m benchmarks.variants settings TEXT --time 3m [--only "as planned"]
    python -m benchmarks.variants subwords TEXT --time 1m

Two networks learn at a time, on one thread each, which is how the members of a model learn: run it alone on
a machine of two processors. The plan chooses everything that a variant does not name; one network is
trained, so that variants are compared and not how many of them fit. The whole validation split is scored.
Every result is kept in benchmarks/results/, those of a time in a file of their own; what is there already is
not made again, and `--most` says after how many new ones to stop.
"""

import argparse
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.recipes import trained
from benchmarks.records import RESULTS, commit, keep, load, machine, sha256

# Without activation regularization (AR, TAR), which the planner has used only since later.
_BEFORE = "--activation-regularization 0 --temporal-regularization 0"
_STRUCTURES = {
    "lstm": "--cell lstm --num-layers 1",
    "gru": "--cell gru",
    "rnn": "--cell rnn",
    "lstm, 2 layers": "--cell lstm --num-layers 2",
    "gru, 2 layers": "--cell gru --num-layers 2",
    "lstm and rglru": "--cell lstm,rglru",
    "gru and mingru": "--cell gru,mingru",
    "lstm, attention 64": "--cell lstm --num-layers 1 --attention 64",
    "lstm, 2 layers, attention 64": "--cell lstm --num-layers 2 --attention 64",
    "lstm and rglru, attention 64": "--cell lstm,rglru --attention 64",
    "lstm, convolution 4": "--cell lstm --num-layers 1 --convolution 4",
    "lstm, 2 layers, convolution 4": "--cell lstm --num-layers 2 --convolution 4",
    "lstm, mogrifier 4": "--cell lstm --num-layers 1 --mogrifier 4",
    "mingru, 3 layers, convolution 4": "--cell mingru --num-layers 3 --convolution 4",
    "minlstm, 3 layers, convolution 4": "--cell minlstm --num-layers 3 --convolution 4",
    "rglru, 3 layers, convolution 4": "--cell rglru --num-layers 3 --convolution 4",
    "qrnn, 3 layers": "--cell qrnn --num-layers 3",
    "lstm and qrnn": "--cell lstm,qrnn",
}
STRUCTURES = {name: f"{options} {_BEFORE}" for name, options in _STRUCTURES.items()}
_BASE = "--cell lstm --num-layers 2 --hidden-size 384"
SETTINGS: dict[str, str] = {
    "as planned": _BASE,
    "AR 1, TAR 0.5": f"{_BASE} --activation-regularization 1 --temporal-regularization 0.5",
    "AR 4, TAR 2": f"{_BASE} --activation-regularization 4 --temporal-regularization 2",
    "AR 2, TAR 0": f"{_BASE} --activation-regularization 2 --temporal-regularization 0",
    "AR 0, TAR 2": f"{_BASE} --activation-regularization 0 --temporal-regularization 2",
    "dropout 0.05": f"{_BASE} --dropout 0.05",
    "dropout 0.2": f"{_BASE} --dropout 0.2",
    "no AR and TAR": f"{_BASE} {_BEFORE}",
    "no AR and TAR, bptt 32": f"{_BASE} {_BEFORE} --bptt 32",
    "no AR and TAR, bptt 128": f"{_BASE} {_BEFORE} --bptt 128",
    "no AR and TAR, batch size 8": f"{_BASE} {_BEFORE} --batch-size 8",
    "no AR and TAR, embedding 64": f"{_BASE} {_BEFORE} --embedding-size 64",
    "no AR and TAR, embedding 256": f"{_BASE} {_BEFORE} --embedding-size 256",
    "no AR and TAR, warm-up 0.5%": f"{_BASE} {_BEFORE} --warmup 0.005",
    "no AR and TAR, warm-up 10%": f"{_BASE} {_BEFORE} --warmup 0.1",
    "no AR and TAR, clipping at 0.25": f"{_BASE} {_BEFORE} --gradient-clip 0.25",
    "no AR and TAR, clipping at 4": f"{_BASE} {_BEFORE} --gradient-clip 4",
    "no AR and TAR, learning rate 2.6e-3": f"{_BASE} {_BEFORE} --learning-rate 2.6e-3",
    "no AR and TAR, learning rate 1e-2": f"{_BASE} {_BEFORE} --learning-rate 1e-2",
}
SUBWORDS = {
    "characters": "--level char",
    "subwords": "--level subword",
    **{
        f"{count} subwords": f"--level subword --vocab-size {count}" for count in (384, 512, 1024, 2048, 4096)
    },
    **{
        f"subwords, hidden size {width}": f"--level subword --hidden-size {width}"
        for width in (256, 384, 512)
    },
    "1024 subwords, gru tied": "--level subword --vocab-size 1024 --cell gru --tied-embeddings",
    "2048 subwords, dropout 0.3": "--level subword --vocab-size 2048 --dropout 0.3",
}
VARIANTS = {"structures": STRUCTURES, "settings": SETTINGS, "subwords": SUBWORDS}
_TOGETHER = 2


def main() -> None:
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("of", choices=VARIANTS)
    parser.add_argument("text", type=Path)
    parser.add_argument("--time", default="5m")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--most", type=int, default=None)
    parser.add_argument("--only", nargs="+", default=None, metavar="VARIANT")
    given = parser.parse_args()
    names = given.only or [*VARIANTS[given.of]]
    if unknown := set(names) - set(VARIANTS[given.of]):
        parser.error(f"no such variant: {', '.join(sorted(unknown))}")
    content = given.text.read_text(encoding="utf-8")
    results = f"{given.of}-{given.time}"
    runs = _kept(results, sha256(content))
    of = machine()
    missing = list(_missing(names, runs, given.seeds))[: given.most]
    text = str(given.text.resolve())

    def run(one: tuple[str, int]) -> dict[str, Any]:
        name, seed = one
        options = [*VARIANTS[given.of][name].split(), "--ensemble-size", "1", "--threads", "1"]
        return {"seed": seed, "commit": commit(), **trained(text, given.time, seed, options)._asdict()}

    with ThreadPoolExecutor(_TOGETHER) as together:
        for at in range(0, len(missing), _TOGETHER):
            pair = missing[at : at + _TOGETHER]
            for (name, _), result in zip(pair, together.map(run, pair), strict=True):
                runs.setdefault(name, []).append(result)
                print(name, result, flush=True)
            keep(results, given.text, content, {"time": given.time, "runs": runs}, of)


def _kept(results: str, text_sha256: str) -> dict[str, list[dict[str, Any]]]:
    """What is kept of that text; results of another are not written over."""
    if not (RESULTS / f"{results}.json").exists():
        return {}
    record = load(results)
    if record["text_sha256"] != text_sha256:
        raise SystemExit(f"{RESULTS / results}.json is of another text: move it away first")
    runs: dict[str, list[dict[str, Any]]] = record["runs"]
    return runs


def _missing(
    names: Iterable[str], runs: dict[str, list[dict[str, Any]]], seeds: int
) -> Iterator[tuple[str, int]]:
    """(variant, seed), every variant with the first seed before any with the second."""
    for seed in range(1, seeds + 1):
        for name in names:
            if seed not in {run["seed"] for run in runs.get(name, ())}:
                yield name, seed


if __name__ == "__main__":
    main()
