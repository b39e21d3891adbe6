"""`rnncli doctor`: what a report of a bug should say of a machine."""

from typing import Annotated

import typer

from rnncli.cli import options


def doctor(
    measure: Annotated[
        bool, typer.Option("--measure/--no-measure", help="Take some seconds to measure speeds too.")
    ] = True,
    json: options.Json = False,
    config: options.Settings = None,
) -> None:
    """Say what matters of this machine for a report: versions, devices, kernels, threads, measured speeds.

    Example: rnncli doctor --json > doctor.json
    """
    from rnncli.console import checkup_view, terminal
    from rnncli.workflows import diagnostics
    from rnncli.workflows.devices import pick_device

    pick_device("cpu")  # what is measured is computed as a training computes
    facts = diagnostics.facts()
    speeds = diagnostics.speeds() if measure else {}
    if json:
        terminal.print_json({**facts, "measured": speeds})
    else:
        checkup_view.show(facts, speeds)
