"""`rnncli info`: what a model is."""

from typing import TYPE_CHECKING, Annotated

import typer

from rnncli.cli import options

if TYPE_CHECKING:
    from rnncli.results import GradientReach
    from rnncli.storage.model_dir import ModelDir


def info(
    model: options.NamedModel = None,
    gradients: Annotated[
        bool, typer.Option("--gradients", help="Also measure how the gradient fades through time.")
    ] = False,
    json: options.Json = False,
    config: options.Settings = None,
) -> None:
    """Say what a model is: its shapes, its text, how it was trained, how good it is.

    Example: rnncli info novel
    """
    from rnncli.console import gradient_view, model_view, terminal
    from rnncli.storage.model_dir import ModelDir

    folder = ModelDir.find(model)
    described, reach = folder.describe(), _gradient_reach(folder) if gradients else None
    if json:
        norms = {} if reach is None else {"gradient_norm_by_layer_and_distance": reach.norms}
        terminal.print_json({**described, **norms})
        return
    model_view.show_model(described)
    if reach is not None:
        gradient_view.show_gradients(reach, described["training"]["bptt"])


def _gradient_reach(folder: "ModelDir") -> "GradientReach":
    """Measured on the part of the text that the model has not learned from."""
    from rnncli.analysis.gradient_norms import gradient_reach, stretches
    from rnncli.storage.runs import load_model
    from rnncli.workflows.devices import pick_device
    from rnncli.workflows.splits import own_part

    model = load_model(folder, pick_device("cpu"))
    _, part = own_part(folder, "valid")
    return gradient_reach(model, stretches(part.ids, part.line_starts))
