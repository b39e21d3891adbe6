"""`rnncli info`: what a model is."""

from typing import Annotated

import typer

from rnncli.cli import options


def info(
    model: options.NamedModel = None,
    *,
    gradients: Annotated[
        bool, typer.Option("--gradients", help="Also measure gradient norms through time.")
    ] = False,
    json: options.Json = False,
    config: options.Settings = None,
) -> None:
    """Show what a model is: its architecture, its text, how it was trained, how good it is.

    Example: rnncli info novel
    """
    from rnncli.console import tables, terminal, terminal_plots
    from rnncli.storage.model_dir import ModelDir
    from rnncli.workflows.plot import measure_gradient_norms

    model_dir = ModelDir.find(model)
    described = model_dir.describe()
    found = measure_gradient_norms(model_dir) if gradients else None
    if json:
        norms = {} if found is None else {"gradient_norm_by_layer_and_distance": found.norms}
        terminal.print_json({**described.record(), **norms})
        return
    tables.show_model(described)
    if found is not None:
        terminal_plots.show_gradients(found, described.config.training.bptt)
