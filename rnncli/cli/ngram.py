"""`rnncli ngram`: an n-gram model, interpolated with a network from then on."""

import logging

from rnncli.cli import options
from rnncli.ngram.config import NgramOptions

_log = logging.getLogger(__name__)


def ngram(
    model: options.NamedModel = None,
    *,
    chosen: NgramOptions,
    device: options.Device = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
    config: options.Settings = None,
) -> None:
    """Interpolate a model's network with an n-gram model.

    The n-gram model is estimated from the network's training split, with interpolated modified
    Kneser-Ney smoothing, and weighted on the validation split. Then both are scored, as by rnncli eval.

    Example: rnncli ngram novel --order 7
    """
    from rnncli.console import evaluation_view, terminal
    from rnncli.storage.model_dir import ModelDir
    from rnncli.workflows.devices import pick_device
    from rnncli.workflows.ngram import interpolate_ngram

    model_dir = ModelDir.find(model)
    _log.info("model %s", model_dir.path)
    name, score = interpolate_ngram(model_dir, chosen, pick_device(device))
    if json:
        terminal.print_json({"model": model_dir.path.name, "text": name, **score.record()})
    else:
        evaluation_view.show_evaluation(name, score)
