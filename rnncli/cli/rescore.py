"""`rnncli rescore`: the best hypothesis of each n-best list, by given scores and the model's."""

import logging
from typing import Annotated

import typer

from rnncli.cli import options
from rnncli.data.config import ReadOptions
from rnncli.evaluation.config import RescoreOptions

_log = logging.getLogger(__name__)


def rescore(
    hypotheses: Annotated[
        str,
        typer.Argument(metavar="LIST|-", help="Hypotheses as lines: utt-1 the words."),
    ],
    model: options.Model = None,
    *,
    rescoring: RescoreOptions,
    read: ReadOptions,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
    config: options.Settings = None,
) -> None:
    """Choose the best hypothesis of n-best lists by a model and other scores.

    Costs are negative natural logarithms, as rnncli score --format kaldi
    writes them. With --dev and --reference, the weights are tuned to give
    the fewest errors there. No hypothesis is dropped or moved.

    Example: rnncli rescore test.txt --scores acoustic.txt --weights 1,0.8,0
    """
    from rnncli.console import terminal
    from rnncli.storage.model_dir import ModelDir
    from rnncli.workflows.rescore import rescore

    model_dir = ModelDir.find(model)
    _log.info("model %s", model_dir.path)
    rows = rescore(model_dir, hypotheses, options=rescoring, read=read, device=device)
    terminal.write("".join(row + "\n" for row in rows))
