"""What models say of a text: its size once, a column a model, and how they differ."""

import math

from rich.table import Table
from rich.text import Text

from rnncli.console.safe_text import one_line
from rnncli.console.terminal import stdout_console
from rnncli.console.units import perplexity
from rnncli.reports import Adaptive, Difference, Evaluation, Measured, Score, Share

_BAR = 24
_FIGURES = (
    ("total", "nats"),
    ("loss", "nats per token"),
    ("  from", "in 95 of 100 such texts"),
    ("  to", ""),
    ("perplexity", "per token"),
    ("perplexity", "per word"),
    ("entropy", "bits per character"),
    ("entropy", "bits per byte"),
)


def show(name: str, evaluation: Evaluation) -> None:
    """All static figures of a text."""
    console = stdout_console()
    console.print(Text(one_line(name), style="bold"))
    console.print(_sizes(evaluation.columns[0].score))
    several = len(evaluation.columns) > 1
    titles = [column.name for column in evaluation.columns] if several else None
    console.print(_figures([_values(column) for column in evaluation.columns], titles))
    for difference in evaluation.differences:
        console.print(Text(_sentence(difference)))


def show_shares(by: str, shares: tuple[Share, ...]) -> None:
    """A bar a group of tokens: nats per token; and what part of the whole loss is theirs."""
    console = stdout_console()
    console.print(Text(f"by {by}", style="bold"))
    table = Table.grid(padding=(0, 2))
    for settings in ({"max_width": 40, "no_wrap": True, "overflow": "ellipsis"}, {"justify": "right"}):
        table.add_column(**settings)
    table.add_column(width=_BAR)
    for _ in range(2):
        table.add_column(justify="right")
    table.add_row("", Text("tokens", style="dim"), "", Text("nats", style="dim"), Text("of all", style="dim"))
    most = max(share.nats_per_token for share in shares)
    for share in shares:
        bar = "█" * round(_BAR * share.nats_per_token / most) if 0.0 < most < math.inf else ""
        table.add_row(
            Text(one_line(share.label)),
            f"{share.tokens:,}",
            Text(bar, style="cyan"),
            f"{share.nats_per_token:.4f}",
            f"{share.share_of_nats:.1%}",
        )
    console.print(table)


def show_adaptive(adaptive: Adaptive) -> None:
    """By itself, under a title that says what it is."""
    console = stdout_console()
    console.print(Text(f"adaptive: {adaptive.how}", style="bold"))
    console.print(Text("it learns from the text that it scores: never compare with static figures"))
    console.print(_figures([_values(Measured("", adaptive.score, None, None))], None))


def _sizes(score: Score) -> Table:
    table = _table(1)
    known = f"{score.oov_tokens:,} of them <unk>" if score.oov_tokens else "all known"
    for label, value, unit in (
        ("tokens", score.tokens, known),
        ("words", score.words, "between white space; line ends not counted"),
        ("characters", score.characters, "code points"),
        ("bytes", score.bytes, "of UTF-8"),
    ):
        table.add_row(label, f"{value:,}", unit)
    return table


def _values(column: Measured) -> list[str]:
    score = column.score
    return [
        f"{score.nats:,.1f}",
        f"{score.nats_per_token:.4f}",
        "" if column.low is None else f"{column.low:.4f}",
        "" if column.high is None else f"{column.high:.4f}",
        perplexity(score.token_perplexity),
        perplexity(score.word_perplexity),
        f"{score.bits_per_character:.4f}",
        f"{score.bits_per_byte:.4f}",
    ]


def _figures(columns: list[list[str]], titles: list[str] | None) -> Table:
    table = _table(len(columns))
    if titles:
        table.add_row("", *(Text(title, style="bold") for title in titles), "")
    for (label, unit), values in zip(_FIGURES, zip(*columns, strict=True), strict=True):
        if any(values):
            table.add_row(label, *values, unit)
    return table


def _table(columns: int) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", min_width=10)
    for _ in range(columns):
        table.add_column(justify="right", min_width=11)
    table.add_column(style="dim")
    return table


def _sentence(difference: Difference) -> str:
    sure = ""
    if difference.low is not None and difference.high is not None:
        sure = f" (95%: {difference.low:.4f} to {difference.high:.4f})"
    gap = f"{difference.nats:.4f} nats per {difference.unit}{sure}"
    return one_line(f"{difference.better} beats {difference.worse} by {gap}")
