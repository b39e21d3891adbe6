"""`rnncli doctor`: facts about this machine for a bug report."""

from typing import Annotated

import typer

from rnncli.cli import options


def doctor(
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Also measure speeds, which takes some seconds.")
    ] = True,
    json: options.Json = False,
    config: options.Settings = None,
) -> None:
    """Show what a bug report needs: versions, devices, kernels, threads, measured speeds.

    Example: rnncli doctor --json > doctor.json
    """
    from rnncli.console import tables, terminal
    from rnncli.workflows.diagnostics import diagnose

    found = diagnose(measure=measure)
    if json:
        terminal.print_json(found.record())
    else:
        tables.show_diagnostics(found)
