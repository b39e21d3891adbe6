"""A text's report and a token store, as tables and as JSON."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from rnncli.console.terminal import stdout_console
from rnncli.console.units import size
from rnncli.data.dataset import TokenStore
from rnncli.data.tokenizers.base import fingerprint
from rnncli.events import CorpusReport, SymbolCount
from rnncli.safe_text import one_line

_BAR_WIDTH = 24
_GROWTH_SHOWN = 6


def store_record(store: TokenStore, path: Path, reused: bool) -> dict[str, Any]:
    """What a token store is, as JSON keys; `reused` where it was there already."""
    parts = store.parts
    counts = {name: part.counts for name, part in parts.items()}
    return {
        "path": str(path),
        "name": store.name,
        "encoding": store.origin.encoding,
        "sha256": store.origin.sha256,
        "reused": reused,
        "level": store.tokenizer.level,
        "unit": store.unit,
        "vocab_size": store.tokenizer.vocab_size,
        "characters": sum(count.characters for count in counts.values()),
        "words": sum(count.words for count in counts.values()),
        "bytes": sum(count.bytes for count in counts.values()),
        "tokens": sum(part.tokens for part in parts.values()),
        **{f"{name}_tokens": part.tokens for name, part in parts.items()},
        "oov_tokens": sum(part.oov_tokens for part in parts.values()),
        "tokenizer_fingerprint": fingerprint(store.tokenizer),
    }


def tokenized_record(report: CorpusReport | None, store: dict[str, Any] | None) -> dict[str, Any]:
    """Both, or the one that there is, as one JSON object."""
    return {**(store or {}), **({"report": report_record(report)} if report else {})}


def report_record(report: CorpusReport) -> dict[str, Any]:
    return asdict(report)


def show_store(record: dict[str, Any]) -> None:
    held_out = f"{record['valid_tokens']:,} held out"
    if record["test_tokens"]:
        held_out += f", {record['test_tokens']:,} for the last test"
    by_line = ", every line a sample" if record["unit"] == "line" else ""
    table = _table()
    for name, value in (
        ("store", record["path"]),
        ("text", f"{record['name']}, {record['encoding']}"),
        (
            "size",
            f"{record['characters']:,} characters, {record['words']:,} words, {record['bytes']:,} bytes",
        ),
        ("level", f"{record['level']}, {record['vocab_size']:,} symbols{by_line}"),
        ("tokens", f"{record['tokens']:,}, {held_out}, {record['oov_tokens']:,} unknown"),
    ):
        table.add_row(name, Text(one_line(value)))
    stdout_console().print(table)


def show_report(report: CorpusReport) -> None:
    """The whole report, on stdout."""
    console = stdout_console()
    console.print(_summary(report))
    console.print(Text("\nmost frequent characters", style="bold"))
    console.print(_symbol_table(report.frequent, report.characters))
    console.print(Text("\nrarest characters", style="bold"))
    console.print(_symbol_table(report.rare, report.characters))
    console.print(Text("\ntokens at each level", style="bold"))
    levels = _table("level", "symbols", "tokens", "characters a token")
    for level in report.levels:
        levels.add_row(
            level.level, f"{level.vocab_size:,}", f"{level.tokens:,}", f"{level.characters_per_token:.2f}"
        )
    console.print(levels)


def _summary(report: CorpusReport) -> Table:
    table = _table()
    for name, value in summary_rows(report):
        table.add_row(name, Text(one_line(value)))
    return table


def summary_rows(report: CorpusReport) -> list[tuple[str, str]]:
    """What a person should know of a text before it is trained on."""
    looked_at = ""
    if report.sample_characters < report.characters:
        looked_at = f" (seen in {report.sample_characters:,} characters of it)"
    share = report.han_characters / max(report.characters, 1)
    rows = [
        ("text", f"{report.name}, {report.encoding}, {size(report.disk_bytes)}"),
        ("size", f"{report.characters:,} characters, {report.lines:,} lines"),
        ("symbols", f"{report.distinct_symbols:,} distinct, {report.han_characters:,} Han ({share:.0%})"),
    ]
    if report.growth:
        points = report.growth[-_GROWTH_SHOWN:]
        growth = ", ".join(f"{types:,} in {words:,}" for words, types in points)
        rows.append((f"{report.growth_unit} types", f"{growth} {report.growth_unit}s{looked_at}"))
    if report.duplicate_lines is not None:
        rows.append(("repeated lines", f"{report.duplicate_lines:.1%}{looked_at}"))
    if report.valid_lines_in_train is not None:
        rows.append(("overlap", f"{report.valid_lines_in_train:.1%} of held-out lines are in training"))
    advice = "; ".join(report.reasons)
    if report.level is not None:
        pieces = "" if report.vocab_size is None else f" --vocab-size {report.vocab_size}"
        advice = f"--level {report.level}{pieces}: {advice}"
    return [*rows, ("advice", advice)] if advice else rows


def _symbol_table(symbols: tuple[SymbolCount, ...], characters: int) -> Table:
    table = _table("", "", "", "count", "share", "")
    most = max((symbol.count for symbol in symbols), default=1)
    for symbol in symbols:
        table.add_row(
            Text(one_line(symbol.symbol)),
            symbol.code_point,
            Text(symbol.name, overflow="ellipsis", no_wrap=True),
            f"{symbol.count:,}",
            f"{symbol.count / characters:.2%}",
            "█" * round(_BAR_WIDTH * symbol.count / most) if most > 1 else "",
        )
    return table


def _table(*headings: str) -> Table:
    table = Table.grid(padding=(0, 2))
    if not headings:
        table.add_column(style="bold")
        table.add_column(overflow="fold")
        return table
    for heading in headings:
        numeric = heading not in ("", "level")
        table.add_column(heading, justify="right" if numeric else "left")
    if any(headings):
        table.add_row(*(Text(heading, style="dim") for heading in headings))
    return table
