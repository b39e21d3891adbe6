"""Tables of the documents from the results that are kept, between the marks where they stand.

    python -m benchmarks.tables

A mark names a table and its results: <!-- table: peers peers-60s --> ... <!-- end of table -->.
"""

import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.peers.peers import PEERS
from benchmarks.records import load

ROOT = Path(__file__).parent.parent
DOCUMENTS = tuple(
    ROOT / page for page in ("README.md", "README.zh-CN.md", "docs/performance.md", "docs/recipes.md")
)
_MARK = re.compile(r"(<!-- table: (\S+) (\S+) -->\n).*?(<!-- end of table -->)", re.DOTALL)


class Column(NamedTuple):
    """A figure, its head in two languages, how it is written, and whether more of it is better."""

    figure: str
    head: str
    chinese: str
    form: Callable[[float], str]
    more: bool


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _size(value: float) -> str:
    return f"{value / 1e9:.2g} GB"


_COLUMNS = (
    Column("bits_per_character", "bits per character", "每字符比特数", "{:.3f}".format, False),
    Column("trained_characters_per_second", "trained, characters/s", "训练，字符/秒", _count, True),
    Column("written_characters_per_second", "generated, characters/s", "生成，字符/秒", _count, True),
    Column("written_characters_per_second_of_256", "256 texts at once", "同时 256 篇", _count, True),
    Column("scored_lines_per_second", "scored, lines/s", "打分，行/秒", _count, True),
    Column("tokenized_megabytes_per_second", "tokenized, MB/s", "分词，MB/秒", _count, True),
    Column("first_character_seconds", "first character, s", "首字符，秒", "{:.2g}".format, False),
    Column("start_up_seconds", "start, s", "启动，秒", "{:.2g}".format, False),
    Column("peak_bytes", "memory", "内存", _size, False),
)


def rewritten(document: str) -> str:
    """The document with its tables as the results say."""

    def table(mark: re.Match[str]) -> str:
        kind, name = mark[2], mark[3]
        return f"{mark[1]}{_TABLES[kind](load(name))}{mark[4]}"

    return _MARK.sub(table, document)


def _peers_in_short(record: dict[str, Any], chinese: bool = False) -> str:
    """How good, and how fast to train and to write: medians."""
    columns = _COLUMNS[:5]
    heads = [column.chinese if chinese else column.head for column in columns]
    lines = [f"| | {' | '.join(heads)} |", "|---" * (len(columns) + 1) + "|"]
    for name, peer in record["peers"].items():
        found = [_values(peer, column.figure) for column in columns]
        if any(found):
            cells = [c.form(statistics.median(v)) if v else "" for c, v in zip(columns, found, strict=True)]
            lines.append(f"| {PEERS[name].about} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _peers(record: dict[str, Any]) -> str:
    """Every figure with its least and most, and how many times rnncli's is better in the same round."""
    ours = record["peers"]["rnncli"]
    machine, rounds = record["machine"], max(len(peer["runs"]) for peer in record["peers"].values())
    lines = [
        f"{record['text']}, {record['characters']:,} characters; {record['seconds']} s of training, {rounds} "
        f"rounds; {machine['processor']}, {machine['threads']} threads; commit {record['commit'][:7]}.",
        "Median (least to most), and in bold how many times better rnncli is: the median of the rounds.",
        "",
        f"| | {' | '.join(column.head for column in _COLUMNS)} | installed | |",
        "|---" * (len(_COLUMNS) + 3) + "|",
    ]
    for name, peer in record["peers"].items():
        cells = [_cell(column, peer, ours, own=name == "rnncli") for column in _COLUMNS]
        installed = "" if peer["install_bytes"] is None else _size(peer["install_bytes"])
        failed = next((run["failed"] for run in peer["runs"] if "failed" in run), "")
        said = f"`{failed}`" if failed else ", ".join(f"{k} {v}" for k, v in peer["versions"].items())
        lines.append(f"| {PEERS[name].about} | {' | '.join(cells)} | {installed} | {said} |")
    return "\n".join(lines) + "\n"


def _cell(column: Column, peer: dict[str, Any], ours: dict[str, Any], own: bool) -> str:
    values = _values(peer, column.figure)
    if not values:
        return ""
    cell = column.form(statistics.median(values))
    if len(values) > 1:
        cell += f" ({column.form(min(values))} to {column.form(max(values))})"
    pairs = [
        (mine[column.figure], theirs[column.figure])
        for mine, theirs in zip(ours["runs"], peer["runs"], strict=False)
        if column.figure in mine and column.figure in theirs
    ]
    if own or not pairs or column.figure == "bits_per_character":
        return cell
    ratio = statistics.median(mine / theirs if column.more else theirs / mine for mine, theirs in pairs)
    return f"{cell} **{_count(ratio)}**"


def _values(peer: dict[str, Any], figure: str) -> list[float]:
    return [run[figure] for run in peer["runs"] if figure in run]


_GROWN = {
    "with_text": (
        "times",
        {
            "tokenize_characters_per_second": "tokenized, characters/s",
            "tokenize_peak_bytes": "memory of it",
            "train_100_steps_seconds": "100 steps, s",
            "train_peak_bytes": "memory of it",
        },
    ),
    "with_width": (
        "hidden_size",
        {
            "trained_tokens_per_second_fp32_torch": "trained, torch fp32",
            "trained_tokens_per_second_bf16_torch": "torch bf16",
            "trained_tokens_per_second_bf16_fused": "fused",
            "written_tokens_per_second": "generated",
            "written_tokens_per_second_of_256": "256 texts",
            "scored_lines_per_second": "scored, lines/s",
        },
    ),
}


def _growth(record: dict[str, Any], way: str) -> str:
    """A row a size; last the exponent: by what power of the size a figure grows, by least squares."""
    size, figures = _GROWN[way]
    rows = record[way]
    shown = {figure: head for figure, head in figures.items() if figure in rows[0]}
    lines = [f"| {size.replace('_', ' ')} | {' | '.join(shown.values())} |", "|---" * (len(shown) + 1) + "|"]
    for row in rows:
        cells = [(_size if figure.endswith("bytes") else _count)(row[figure]) for figure in shown]
        lines.append(f"| {row[size]:,} | {' | '.join(cells)} |")
    at = np.log([row[size] for row in rows])
    powers = [np.polyfit(at, np.log([row[figure] for row in rows]), 1)[0] for figure in shown]
    lines.append(f"| exponent | {' | '.join(f'{power:+.2f}' for power in powers)} |")
    return "\n".join(lines) + "\n"


def _variants(record: dict[str, Any], figure: str = "nats", head: str = "nats per token") -> str:
    """The best median of the figure first."""
    machine = record["machine"]
    commits = dict.fromkeys(run["commit"][:7] for runs in record["runs"].values() for run in runs)
    lines = [
        f"{record['text']}, {record['time']} on one thread, two runs side by side; {machine['processor']}; "
        f"commits {', '.join(commits)}.",
        "",
        f"| variant | network | parameters | tokens/s | {head}, by seed | median |",
        "|---|---|---|---|---|---|",
    ]
    rows = sorted(record["runs"].items(), key=lambda row: _median(row[1], figure))
    for name, runs in rows:
        by_seed = ", ".join(f"{run[figure]:.4f}" for run in runs)
        lines.append(
            f"| {name} | {runs[0]['plan']} | {runs[0]['parameters']:,} | "
            f"{_median(runs, 'tokens_per_second'):,.0f} | {by_seed} | {_median(runs, figure):.4f} |"
        )
    return "\n".join(lines) + "\n"


def _median(runs: list[dict[str, Any]], figure: str) -> float:
    return float(statistics.median(run[figure] for run in runs))


_TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "peers": _peers,
    "peers-in-short": _peers_in_short,
    "peers-in-short-zh": lambda record: _peers_in_short(record, chinese=True),
    "variants": _variants,
    "variants-in-bits": lambda record: _variants(record, "bits_per_character", "bits per character"),
    "growth-with-text": lambda record: _growth(record, "with_text"),
    "growth-with-width": lambda record: _growth(record, "with_width"),
}


def main() -> None:
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        document.write_text(rewritten(text), encoding="utf-8")


if __name__ == "__main__":
    main()
