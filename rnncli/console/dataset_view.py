"""A text's report and a token dataset, as tables and as JSON."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from rnncli.console.formatting import size
from rnncli.console.terminal import print_json, stdout_console
from rnncli.data.dataset import TokenDataset
from rnncli.data.tokenizers.base import fingerprint
from rnncli.events import CharacterCount, CorpusReport
from rnncli.safe_text import one_line

if TYPE_CHECKING:
    from rnncli.workflows.tokenize import TokenizeResult

_BAR_WIDTH = 24
_GROWTH_SHOWN = 6


def dataset_record(dataset: TokenDataset, path: Path, reused: bool) -> dict[str, Any]:
    """What a token dataset is, as JSON keys; `reused` where it was there already."""
    splits = dataset.splits
    counts = {name: split.counts for name, split in splits.items()}
    return {
        "path": str(path),
        "name": dataset.name,
        "encoding": dataset.origin.encoding,
        "sha256": dataset.origin.sha256,
        "reused": reused,
        "level": dataset.tokenizer.level,
        "line_by_line": dataset.line_by_line,
        "vocab_size": dataset.tokenizer.vocab_size,
        "characters": sum(count.characters for count in counts.values()),
        "words": sum(count.words for count in counts.values()),
        "bytes": sum(count.bytes for count in counts.values()),
        "tokens": sum(split.tokens for split in splits.values()),
        **{f"{name}_tokens": split.tokens for name, split in splits.items()},
        "oov_tokens": sum(split.oov_tokens for split in splits.values()),
        "tokenizer_fingerprint": fingerprint(dataset.tokenizer),
    }


def print_tokenized(result: "TokenizeResult", json: bool) -> None:
    """Print the report and the token dataset, or the one that there is."""
    record = None
    if result.dataset is not None and result.path is not None:
        record = dataset_record(result.dataset, result.path, result.reused)
    if json:
        print_json({**(record or {}), **({"report": asdict(result.report)} if result.report else {})})
        return
    if result.report is not None:
        show_report(result.report)
    if record is not None:
        show_dataset(record)


def show_dataset(record: dict[str, Any]) -> None:
    held_out = f"{record['valid_tokens']:,} for validation"
    if record["test_tokens"]:
        held_out += f", {record['test_tokens']:,} for testing"
    by_line = ", line by line" if record["line_by_line"] else ""
    table = _table()
    for name, value in (
        ("dataset", record["path"]),
        ("text", f"{record['name']}, {record['encoding']}"),
        (
            "size",
            f"{record['characters']:,} characters, {record['words']:,} words, {record['bytes']:,} bytes",
        ),
        ("level", f"{record['level']}, vocabulary of {record['vocab_size']:,}{by_line}"),
        ("tokens", f"{record['tokens']:,}, {held_out}, {record['oov_tokens']:,} out of vocabulary"),
    ):
        table.add_row(name, Text(one_line(value)))
    stdout_console().print(table)


def show_report(report: CorpusReport) -> None:
    """The whole report, on stdout."""
    console = stdout_console()
    console.print(_summary(report))
    console.print(Text("\nmost frequent characters", style="bold"))
    console.print(_character_table(report.frequent, report.characters))
    console.print(Text("\nrarest characters", style="bold"))
    console.print(_character_table(report.rare, report.characters))
    console.print(Text("\ntokens at each level", style="bold"))
    levels = _table("level", "vocabulary", "tokens", "characters a token")
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
    fraction = report.han_characters / max(report.characters, 1)
    rows = [
        ("text", f"{report.name}, {report.encoding}, {size(report.disk_bytes)}"),
        ("size", f"{report.characters:,} characters, {report.lines:,} lines"),
        (
            "characters",
            f"{report.distinct_characters:,} distinct, {report.han_characters:,} Han ({fraction:.0%})",
        ),
    ]
    if report.growth:
        points = report.growth[-_GROWTH_SHOWN:]
        growth = ", ".join(f"{types:,} in {words:,}" for words, types in points)
        rows.append((f"{report.growth_unit} types", f"{growth} {report.growth_unit}s{looked_at}"))
    if report.duplicate_lines is not None:
        rows.append(("repeated lines", f"{report.duplicate_lines:.1%}{looked_at}"))
    if report.valid_lines_in_train is not None:
        rows.append(
            ("overlap", f"{report.valid_lines_in_train:.1%} of validation lines occur in the training split")
        )
    advice = "; ".join(report.reasons)
    if report.level is not None:
        pieces = "" if report.vocab_size is None else f" --vocab-size {report.vocab_size}"
        advice = f"--level {report.level}{pieces}: {advice}"
    return [*rows, ("advice", advice)] if advice else rows


def _character_table(rows: tuple[CharacterCount, ...], characters: int) -> Table:
    table = _table("", "", "", "count", "fraction", "")
    most = max((row.count for row in rows), default=1)
    for row in rows:
        table.add_row(
            Text(one_line(row.character)),
            row.code_point,
            Text(row.name, overflow="ellipsis", no_wrap=True),
            f"{row.count:,}",
            f"{row.count / characters:.2%}",
            "█" * round(_BAR_WIDTH * row.count / most) if most > 1 else "",
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
