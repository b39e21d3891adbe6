"""A Score as a table."""

from rich.table import Table
from rich.text import Text

from rnncli.console.safe_text import one_line
from rnncli.console.terminal import stdout_console
from rnncli.console.units import perplexity
from rnncli.reports import Score


def show_score(name: str, score: Score) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(justify="right")
    table.add_column(style="dim")
    for label, value, unit in (
        (
            "tokens",
            f"{score.tokens:,}",
            f"{score.oov_tokens:,} of them <unk>" if score.oov_tokens else "all known",
        ),
        ("words", f"{score.words:,}", "between white space; line ends not counted"),
        ("characters", f"{score.characters:,}", "code points"),
        ("bytes", f"{score.bytes:,}", "of UTF-8"),
        ("total", f"{score.nats:,.1f}", "nats"),
        ("loss", f"{score.nats_per_token:.4f}", "nats per token"),
        ("perplexity", perplexity(score.token_perplexity), "per token"),
        ("perplexity", perplexity(score.word_perplexity), "per word"),
        ("entropy", f"{score.bits_per_character:.4f}", "bits per character"),
        ("entropy", f"{score.bits_per_byte:.4f}", "bits per byte"),
    ):
        table.add_row(label, value, unit)
    console = stdout_console()
    console.print(Text(one_line(name), style="bold"))
    console.print(table)
