"""A machine as a table."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from rnncli.console.terminal import stdout_console
from rnncli.console.units import size
from rnncli.safe_text import one_line

_SPEEDS = {
    "matrix_products_gflops": ("products", "GFLOP/s"),
    "training_tokens_per_second": ("training", "tokens/s, one layer of lstm with 512 units"),
}


def show(facts: Mapping[str, Any], speeds: Mapping[str, Mapping[str, float]]) -> None:
    """`facts` and `speeds` as workflows/diagnostics.py finds them."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in _rows(facts, speeds):
        table.add_row(name, Text(one_line(value)))
    stdout_console().print(table)


def _rows(facts: Mapping[str, Any], speeds: Mapping[str, Mapping[str, float]]) -> list[tuple[str, str]]:
    memory = "unknown memory" if facts["memory_bytes"] is None else f"{size(facts['memory_bytes'])} of memory"
    packages = facts["packages"]
    variables = [f"{name}={value}" for name, value in facts["environment"].items()]
    missing = [name for name, version in packages.items() if version is None]
    return [
        ("rnncli", f"{facts['rnncli']} on {facts['python']}"),
        ("system", facts["system"]),
        ("processor", f"{facts['processor']}, {facts['logical_processors']} logical ones, {memory}"),
        ("threads", ", ".join([str(facts["threads"]), *variables])),
        ("devices", ", ".join(facts["devices"])),
        ("kernels", facts["kernels"]),
        *(("not used", one) for one in facts["dropped"]),
        ("packages", ", ".join(f"{name} {version}" for name, version in packages.items() if version)),
        *([("not there", ", ".join(missing))] if missing else []),
        ("encodings", ", ".join(f"{name} {value}" for name, value in facts["encodings"].items())),
        *((_SPEEDS[kind][0], _listed(found, _SPEEDS[kind][1])) for kind, found in speeds.items()),
    ]


def _listed(values: Mapping[str, float], unit: str) -> str:
    return ", ".join(f"{name} {value:,.0f}" for name, value in values.items()) + f" {unit}"
