"""A model as a table."""

from typing import Any

from rich.table import Table
from rich.text import Text

from rnncli.console.terminal import stdout_console
from rnncli.console.units import duration
from rnncli.safe_text import one_line

_SPARKS = "▁▂▃▄▅▆▇█"


def show_model(model: dict[str, Any]) -> None:
    """`model` as storage describes it."""
    training, valid = model["training"], model["valid"]
    rows = [
        ("model", f"{model['path']}, {model['status']}, saved {model['saved_at'][:19]} UTC"),
        ("shape", f"{model['architecture']}, {model['parameters']:,} parameters"),
        ("level", f"{model['level']}, {model['model']['vocab_size']:,} symbols"),
        ("text", f"{model['corpus']}, SHA-256 {model['corpus_sha256'][:16]}"),
        (
            "trained",
            f"{model['step']:,} steps in {duration(model['seconds'])}, {training['batch_size']} lanes "
            f"of {training['bptt']}, {training['precision']}, {training['kernels']} kernels, "
            + (f"threads {training['threads']}, " if training["threads"] else "")
            + f"seed {training['seed']}",
        ),
    ]
    if valid is not None:
        rows.append(
            (
                "held out",
                f"{valid['nats_per_token']:.4f} nats per token, {valid['bits_per_character']:.4f} bits per "
                f"character, as watched on {valid['tokens']:,} tokens; rnncli eval is exact",
            )
        )
    if model["curve"]:
        losses = [point["valid_nats_per_token"] for point in model["curve"]]
        rows.append(("curve", f"{sparkline(losses)}  {losses[0]:.3f} -> {min(losses):.3f} nats per token"))
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, Text(one_line(value)))
    for name, shape in model["tensors"].items():
        table.add_row("", Text(f"{one_line(name)} {' x '.join(map(str, shape))}", style="dim"))
    stdout_console().print(table)


def sparkline(values: list[float]) -> str:
    """One block a value, the lowest the smallest."""
    low, high = min(values), max(values)
    scale = (len(_SPARKS) - 1) / (high - low) if high > low else 0.0
    return "".join(_SPARKS[round((value - low) * scale)] for value in values)
