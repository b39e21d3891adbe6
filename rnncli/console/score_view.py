"""A Score as a table; a network, its n-gram and their mixture side by side."""

from rich.table import Table
from rich.text import Text

from rnncli.console.safe_text import one_line
from rnncli.console.terminal import stdout_console
from rnncli.console.units import perplexity
from rnncli.reports import Compared, Score


def show(name: str, score: Score | Compared) -> None:
    """The text's size once, what a model says of it in a column a model."""
    if isinstance(score, Compared):
        columns = {"network": score.network, f"{score.order}-gram": score.ngram, "mixture": score.mixture}
        size = score.mixture
    else:
        columns, size = {"": score}, score
    console = stdout_console()
    console.print(Text(one_line(name), style="bold"))
    console.print(_table([[f"{value:,}"] for value in _sizes(size)], _SIZES, _size_units(size)))
    table = _table([list(row) for row in zip(*map(_figures, columns.values()), strict=True)], *_FIGURES)
    if isinstance(score, Compared):
        table.columns[0].header = Text("")
        for column, title in zip(table.columns[1:-1], columns, strict=True):
            column.header = Text(title, style="bold")
        table.show_header = True
    console.print(table)
    if isinstance(score, Compared):
        console.print(Text(_verdict(score)))


_SIZES = ("tokens", "words", "characters", "bytes")
_FIGURES = (
    ("total", "loss", "perplexity", "perplexity", "entropy", "entropy"),
    ("nats", "nats per token", "per token", "per word", "bits per character", "bits per byte"),
)


def _sizes(score: Score) -> tuple[int, ...]:
    return score.tokens, score.words, score.characters, score.bytes


def _size_units(score: Score) -> tuple[str, ...]:
    known = f"{score.oov_tokens:,} of them <unk>" if score.oov_tokens else "all known"
    return known, "between white space; line ends not counted", "code points", "of UTF-8"


def _figures(score: Score) -> tuple[str, ...]:
    return (
        f"{score.nats:,.1f}",
        f"{score.nats_per_token:.4f}",
        perplexity(score.token_perplexity),
        perplexity(score.word_perplexity),
        f"{score.bits_per_character:.4f}",
        f"{score.bits_per_byte:.4f}",
    )


def _table(rows: list[list[str]], labels: tuple[str, ...], units: tuple[str, ...]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", width=max(map(len, (*_SIZES, *_FIGURES[0]))))
    for _ in rows[0]:
        table.add_column(justify="right", min_width=12)
    table.add_column(style="dim")
    for label, values, unit in zip(labels, rows, units, strict=True):
        table.add_row(label, *values, unit)
    return table


def _verdict(score: Compared) -> str:
    """Whether the network beats the n-gram, and what the two are together."""
    ahead = score.ngram.nats_per_token - score.network.nats_per_token
    gained = min(score.network.nats_per_token, score.ngram.nats_per_token) - score.mixture.nats_per_token
    who = (
        f"the network beats the {score.order}-gram"
        if ahead > 0
        else f"the {score.order}-gram beats the network"
    )
    return f"{who} by {abs(ahead):.4f} nats per token; together they gain {gained:.4f} on the better of them"
