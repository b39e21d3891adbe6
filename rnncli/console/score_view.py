"""What models say of a text: its size once, a column a model, and how they differ."""

import math
from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from rnncli.console.terminal import stdout_console
from rnncli.console.units import perplexity
from rnncli.results import Adaptive, Difference, Evaluation, Measured, Score, Share, Split
from rnncli.safe_text import one_line

_BAR = 24
# Columns that the figures of a group take beside its name and its bar.
_NUMBERS = 32
_SURE = "in 95 of 100 such texts"


def show(name: str, evaluation: Evaluation) -> None:
    """All static figures of a text; what was asked besides, and last, apart, figures of another kind."""
    console = stdout_console()
    console.print(Text(one_line(name), style="bold"))
    several = len(evaluation.columns) > 1
    alike = len({(column.score.tokens, column.score.oov_tokens) for column in evaluation.columns}) == 1
    console.print(_sizes(evaluation.score, alike))
    titles = [one_line(column.name) for column in evaluation.columns] if several else None
    console.print(_figures(evaluation.columns, titles, evaluation.unseen_types, alike))
    for difference in evaluation.differences:
        console.print(Text(_sentence(difference)))
    unknown = {column.name: column.score.oov_rate for column in evaluation.columns}
    if several and len(set(unknown.values())) > 1:
        name, rate = max(unknown.items(), key=lambda each: each[1])
        says = f"{name} reads {rate:.1%} of its tokens as <unk>, which costs less than to say which one it is"
        console.print(Text(one_line(says), style="yellow"))
    if evaluation.split is not None:
        console.print(Text(_warning(evaluation.split), style="yellow"))
    if evaluation.by is not None:
        _show_shares(evaluation.by, evaluation.shares)
    if evaluation.adaptive is not None:
        _show_adaptive(evaluation.adaptive)


def _show_shares(by: str, shares: tuple[Share, ...]) -> None:
    """A bar a group of tokens: nats per token; and what part of the whole loss is theirs."""
    console = stdout_console()
    console.print(Text(f"by {by}", style="bold"))
    table = Table.grid(padding=(0, 2))
    # The numbers keep their places; what is left is for the name.
    name_width = min(max(console.width - _BAR - _NUMBERS, 8), 40)
    table.add_column(max_width=name_width, no_wrap=True, overflow="ellipsis")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(width=_BAR)
    for _ in range(2):
        table.add_column(justify="right", no_wrap=True)
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


def _show_adaptive(adaptive: Adaptive) -> None:
    """By itself, under a title that says what it is."""
    console = stdout_console()
    console.print(Text(f"adaptive: {adaptive.how}", style="bold"))
    console.print(Text("it learns from the text that it scores: never compare with static figures"))
    console.print(_figures((Measured("", adaptive.score, None, None),), None, None, alike=True))


def _sizes(score: Score, alike: bool) -> Table:
    """Of the text; its tokens too where all models have the same."""
    table = _table(1)
    if alike:
        known = (
            f"{score.oov_tokens:,} of them <unk>, {score.oov_rate:.2%}" if score.oov_tokens else "all known"
        )
        table.add_row("tokens", f"{score.tokens:,}", known)
    for label, value, unit in (
        ("words", score.words, f"between white space, and {score.line_ends:,} line ends"),
        ("characters", score.characters, "code points"),
        ("bytes", score.bytes, "of UTF-8"),
    ):
        table.add_row(label, f"{value:,}", unit)
    return table


def _figures(
    columns: tuple[Measured, ...], titles: list[str] | None, unseen_types: int | None, alike: bool
) -> Table:
    """A row a figure, of those that the text has, a column a model."""
    table = _table(len(columns))
    if titles:
        table.add_row("", *(Text(title, style="bold") for title in titles), "")
    scores = [column.score for column in columns]
    if not alike:
        table.add_row("tokens", *(f"{score.tokens:,}" for score in scores), "")
        table.add_row("", *(f"{score.oov_rate:.2%}" for score in scores), "of them <unk>")
    table.add_row("total", *(f"{score.nats:,.1f}" for score in scores), "nats")
    table.add_row("loss", *(f"{score.nats_per_token:.4f}" for score in scores), "nats per token")
    if any(column.low is not None for column in columns):
        table.add_row("  from", *(_bound(column.low) for column in columns), _SURE)
        table.add_row("  to", *(_bound(column.high) for column in columns), "")
    for values, unit in _perplexities(scores, unseen_types):
        table.add_row("perplexity", *map(perplexity, values), unit)
    table.add_row("entropy", *(f"{score.bits_per_character:.4f}" for score in scores), "bits per character")
    table.add_row("entropy", *(f"{score.bits_per_byte:.4f}" for score in scores), "bits per byte")
    return table


def _perplexities(scores: list[Score], unseen_types: int | None) -> Iterator[tuple[list[float], str]]:
    yield [score.token_perplexity for score in scores], "per token"
    if any(score.oov_tokens for score in scores):
        yield [score.known_token_perplexity for score in scores], "per token, without <unk>"
    if unseen_types is not None:
        shared = [score.open_token_perplexity(unseen_types) for score in scores]
        yield shared, f"per token, <unk> shared by {unseen_types:,} types"
    yield [score.word_perplexity for score in scores], "per word"
    yield [score.word_perplexity_with_line_ends for score in scores], "per word or line end"


def _bound(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"


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


def _warning(split: Split) -> str:
    return (
        f"not exact: in {split.streams:,} streams, each read from {split.overlap_tokens} tokens before it; "
        f"nats per token may be off by {split.nats_per_token_gap:.1e}"
    )
