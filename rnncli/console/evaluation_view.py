"""Evaluations as tables: the size of the text, a column per model, and their differences."""

import math
from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from rnncli.console.formatting import perplexity
from rnncli.console.terminal import stdout_console
from rnncli.metrics import Score
from rnncli.results import ChunkedScoring, DynamicScore, Evaluation, LossGroup, ModelScore, PairedDifference
from rnncli.safe_text import one_line

_BAR = 24
# Terminal columns of a loss group besides its label and its bar.
_NUMBERS = 32
_INTERVAL = "95% confidence interval"


def show_evaluation(name: str, evaluation: Evaluation) -> None:
    """Print an evaluation; scores of dynamic evaluation come last, under a title of their own."""
    console = stdout_console()
    console.print(Text(one_line(name), style="bold"))
    several = len(evaluation.models) > 1
    same_tokens = len({(column.score.tokens, column.score.oov_tokens) for column in evaluation.models}) == 1
    console.print(_sizes(evaluation.score, same_tokens))
    titles = [one_line(column.name) for column in evaluation.models] if several else None
    console.print(_figures(evaluation.models, titles, evaluation.oov_types, same_tokens))
    for difference in evaluation.differences:
        console.print(Text(_sentence(difference)))
    unknown = {column.name: column.score.oov_rate for column in evaluation.models}
    if several and len(set(unknown.values())) > 1:
        name, oov_rate = max(unknown.items(), key=lambda each: each[1])
        warning = (
            f"{name} reads {oov_rate:.1%} of its tokens as <unk>, which costs less than predicting the word"
        )
        console.print(Text(one_line(warning), style="yellow"))
    if evaluation.chunked is not None:
        console.print(Text(_warning(evaluation.chunked), style="yellow"))
    if evaluation.by is not None:
        _show_loss_groups(evaluation.by, evaluation.loss_groups)
    if evaluation.dynamic is not None:
        _show_dynamic(evaluation.dynamic)


def _show_loss_groups(by: str, groups: tuple[LossGroup, ...]) -> None:
    """Print a bar for the nats per token of each group, and its fraction of the total loss."""
    console = stdout_console()
    console.print(Text(f"by {by}", style="bold"))
    table = Table.grid(padding=(0, 2))
    # The label gets the columns that bar and numbers leave.
    name_width = min(max(console.width - _BAR - _NUMBERS, 8), 40)
    table.add_column(max_width=name_width, no_wrap=True, overflow="ellipsis")
    table.add_column(justify="right", no_wrap=True)
    table.add_column(width=_BAR)
    for _ in range(2):
        table.add_column(justify="right", no_wrap=True)
    table.add_row(
        "", Text("tokens", style="dim"), "", Text("nats", style="dim"), Text("of total", style="dim")
    )
    largest = max(group.nats_per_token for group in groups)
    for group in groups:
        bar = "█" * round(_BAR * group.nats_per_token / largest) if 0.0 < largest < math.inf else ""
        table.add_row(
            Text(one_line(group.label)),
            f"{group.tokens:,}",
            Text(bar, style="cyan"),
            f"{group.nats_per_token:.4f}",
            f"{group.fraction_of_nll:.1%}",
        )
    console.print(table)


def _show_dynamic(dynamic: DynamicScore) -> None:
    """Print the scores of a model that learns from the text while it scores it."""
    console = stdout_console()
    console.print(Text(f"dynamic: {dynamic.method}", style="bold"))
    console.print(Text("the model learns from the text while scoring it: do not compare with static scores"))
    console.print(_figures((ModelScore("", dynamic.score, None, None),), None, None, same_tokens=True))


def _sizes(score: Score, same_tokens: bool) -> Table:
    """Return the sizes of the text, with its tokens if all models have the same."""
    table = _table(1)
    if same_tokens:
        known = (
            f"{score.oov_tokens:,} of them <unk>, {score.oov_rate:.2%}"
            if score.oov_tokens
            else "none out of vocabulary"
        )
        table.add_row("tokens", f"{score.tokens:,}", known)
    for label, value, unit in (
        ("words", score.words, f"separated by whitespace, and {score.line_ends:,} line ends"),
        ("characters", score.characters, "code points"),
        ("bytes", score.bytes, "of UTF-8"),
    ):
        table.add_row(label, f"{value:,}", unit)
    return table


def _figures(
    columns: tuple[ModelScore, ...], titles: list[str] | None, oov_types: int | None, same_tokens: bool
) -> Table:
    """Return a row per metric and a column per model."""
    table = _table(len(columns))
    if titles:
        table.add_row("", *(Text(title, style="bold") for title in titles), "")
    scores = [column.score for column in columns]
    if not same_tokens:
        table.add_row("tokens", *(f"{score.tokens:,}" for score in scores), "")
        table.add_row("", *(f"{score.oov_rate:.2%}" for score in scores), "of them <unk>")
    table.add_row("NLL", *(f"{score.nll_nats:,.1f}" for score in scores), "nats")
    table.add_row("loss", *(f"{score.nats_per_token:.4f}" for score in scores), "nats per token")
    if any(column.ci_low is not None for column in columns):
        table.add_row("  from", *(_bound(column.ci_low) for column in columns), _INTERVAL)
        table.add_row("  to", *(_bound(column.ci_high) for column in columns), "")
    for values, unit in _perplexities(scores, oov_types):
        table.add_row("perplexity", *map(perplexity, values), unit)
    table.add_row("entropy", *(f"{score.bits_per_character:.4f}" for score in scores), "bits per character")
    table.add_row("entropy", *(f"{score.bits_per_byte:.4f}" for score in scores), "bits per byte")
    return table


def _perplexities(scores: list[Score], oov_types: int | None) -> Iterator[tuple[list[float], str]]:
    yield [score.token_perplexity for score in scores], "per token"
    if any(score.oov_tokens for score in scores):
        yield [score.in_vocabulary_token_perplexity for score in scores], "per token, without <unk>"
    if oov_types is not None:
        open_vocabulary = [score.open_vocabulary_token_perplexity(oov_types) for score in scores]
        yield open_vocabulary, f"per token, <unk> shared by {oov_types:,} types"
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


def _sentence(difference: PairedDifference) -> str:
    sure = ""
    if difference.ci_low is not None and difference.ci_high is not None:
        sure = f" (95%: {difference.ci_low:.4f} to {difference.ci_high:.4f})"
    gap = f"{difference.nats_per_unit:.4f} nats per {difference.unit}{sure}"
    return one_line(f"{difference.better} beats {difference.worse} by {gap}")


def _warning(split: ChunkedScoring) -> str:
    return (
        f"not exact: in {split.chunks:,} chunks, each read from {split.overlap_tokens} tokens before it; "
        f"nats per token may be off by {split.nats_per_token_error:.1e}"
    )
