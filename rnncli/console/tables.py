"""Small results as tables: diagnostics, completions, a comparison of structures, memorization, a model."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from rnncli.console.formatting import duration, size
from rnncli.console.terminal import stdout_console
from rnncli.results import GeneratedText, Memorization, RankingRow
from rnncli.safe_text import one_line
from rnncli.storage.description import ModelDescription

if TYPE_CHECKING:  # it brings torch
    from rnncli.workflows.diagnostics import Diagnostics

_PROBABILITY_WIDTH = 24
# Characters of the prompt that are shown before each completion.
_PROMPT_CHARACTERS = 24
_SPARKS = "▁▂▃▄▅▆▇█"

_SPEEDS = {
    "matrix_products_gflops": ("products", "GFLOP/s"),
    "training_tokens_per_second": ("training", "tokens/s, one layer of lstm with 512 units"),
}


def show_diagnostics(found: "Diagnostics") -> None:
    """Print the facts and measured speeds of a machine."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in _diagnostic_rows(found):
        table.add_row(name, Text(one_line(value)))
    stdout_console().print(table)


def _diagnostic_rows(found: "Diagnostics") -> list[tuple[str, str]]:
    memory = "unknown memory" if found.memory_bytes is None else f"{size(found.memory_bytes)} of memory"
    variables = [f"{name}={value}" for name, value in found.environment.items()]
    missing = [name for name, version in found.packages.items() if version is None]
    return [
        ("rnncli", f"{found.rnncli} on {found.python}"),
        ("system", found.system),
        ("processor", f"{found.processor}, {found.logical_processors} logical ones, {memory}"),
        ("threads", ", ".join([str(found.threads), *variables])),
        ("devices", ", ".join(found.devices)),
        ("kernels", found.kernels),
        *(("not used", one) for one in found.unusable),
        ("packages", ", ".join(f"{name} {version}" for name, version in found.packages.items() if version)),
        *([("not there", ", ".join(missing))] if missing else []),
        ("encodings", ", ".join(f"{name} {value}" for name, value in found.encodings.items())),
        *((_SPEEDS[kind][0], _listed(values, _SPEEDS[kind][1])) for kind, values in found.measured.items()),
    ]


def _listed(values: Mapping[str, float], unit: str) -> str:
    return ", ".join(f"{name} {value:,.0f}" for name, value in values.items()) + f" {unit}"


def show_completions(prompt: str, unit: str, found: Sequence[GeneratedText]) -> None:
    """Print one row per completion: its probability as a number and a bar, and the text after the prompt."""
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    table.add_column(width=_PROBABILITY_WIDTH)
    table.add_column(overflow="fold")
    before = prompt.rsplit("\n", 1)[-1][-_PROMPT_CHARACTERS:]
    most = max((math.exp(-text.nll_nats) for text in found), default=1.0)
    for text in found:
        probability = math.exp(-text.nll_nats)
        table.add_row(
            f"{probability:.2%}",
            Text("█" * round(_PROBABILITY_WIDTH * probability / most), style="cyan"),
            Text.assemble((one_line(before), "dim"), (_visible_continuation(text.text), "bold")),
        )
    console = stdout_console()
    console.print(table)
    whole = sum(math.exp(-text.nll_nats) for text in found)
    console.print(Text(f"{whole:.1%} of all that could follow, by {unit}", style="dim"))


def _visible_continuation(text: str) -> str:
    """Make a completion visible that is only whitespace or empty (the end of a line)."""
    if not text:
        return "∎"
    return one_line(text).replace(" ", "␣") if not text.strip() else one_line(text)


def show_ranking(rows: Sequence[RankingRow]) -> None:
    """Print the ranking, best first; only rows with equal training time are comparable."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("architecture", no_wrap=True)
    for title in ("seconds", "bits/char", "tok/s", "parameters", "generates/s"):
        table.add_column(title, justify="right")
    for row in rows:
        table.add_row(
            row.architecture,
            f"{row.seconds:.0f}",
            f"{row.bits_per_character:.4f}",
            f"{row.tokens_per_second:,.0f}",
            f"{row.parameters:,}",
            f"{row.characters_generated_per_second:,.0f}",
        )
    console = stdout_console()
    console.print(table)
    caption = "bits per character on a sample of the validation split; generates/s: characters per second"
    console.print(Text(caption, style="dim"))


def show_memorization(found: Memorization) -> None:
    """Print the fraction of the text that overlaps with the training split, and the longest overlaps."""
    console = stdout_console()
    console.print(Text(one_line(found.name), style="bold"))
    usual = (
        ""
        if found.valid_overlap_fraction is None
        else f"; of the validation split {found.valid_overlap_fraction:.1%}"
    )
    console.print(
        Text(
            f"{found.overlap_fraction:.1%} of {found.characters:,} characters occur in the training split, "
            f"in runs of {found.min_length} and more{usual}"
        )
    )
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right")
    table.add_column(justify="right")
    table.add_column(max_width=60, no_wrap=True, overflow="ellipsis")
    if found.longest:
        table.add_row(*(Text(title, style="dim") for title in ("length", "line", "the longest")))
    for run in found.longest:
        table.add_row(f"{run.length:,}", f"{run.train_line:,}", Text(one_line(run.text)))
    console.print(table)


def show_model(model: ModelDescription) -> None:
    """Print the description of a model."""
    record, training, valid = model.config, model.config.training, model.valid
    rows = [
        ("model", f"{model.path}, {record.status}, saved {record.saved_at[:19]} UTC"),
        ("shape", f"{record.model.architecture}, {record.model.parameters:,} parameters"),
        ("level", f"{record.level}, vocabulary of {record.model.vocab_size:,}"),
        ("text", f"{record.corpus}, SHA-256 {record.corpus_sha256[:16]}"),
        (
            "trained",
            f"{record.step:,} steps in {duration(record.seconds)}, batches of {training.batch_size} x "
            f"{training.bptt} tokens, {training.precision}, {training.kernels} kernels, "
            + (f"threads {training.threads}, " if training.threads else "")
            + f"seed {training.seed}",
        ),
    ]
    if valid is not None:
        rows.append(
            (
                "validation",
                f"{valid.nats_per_token:.4f} nats per token, {valid.bits_per_character:.4f} bits per "
                f"character, on {valid.tokens:,} tokens during training; rnncli eval is exact",
            )
        )
    if model.curve:
        losses = [point.valid_nats_per_token for point in model.curve]
        rows.append(("curve", f"{sparkline(losses)}  {losses[0]:.3f} -> {min(losses):.3f} nats per token"))
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, Text(one_line(value)))
    for name, shape in model.tensors.items():
        table.add_row("", Text(f"{one_line(name)} {' x '.join(map(str, shape))}", style="dim"))
    stdout_console().print(table)


def sparkline(values: list[float]) -> str:
    """Draw one block per value; the lowest value has the lowest block."""
    low, high = min(values), max(values)
    scale = (len(_SPARKS) - 1) / (high - low) if high > low else 0.0
    return "".join(_SPARKS[round((value - low) * scale)] for value in values)
