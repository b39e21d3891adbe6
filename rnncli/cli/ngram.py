"""`rnncli ngram`: a traditional model beside a network, mixed with it from then on."""

import logging
from pathlib import Path
from typing import Annotated

import typer

from rnncli.cli import options

_log = logging.getLogger(__name__)


def ngram(
    model: options.NamedModel = None,
    order: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Tokens that it looks at together, the predicted one among them.",
            show_default="7 for characters and bytes, else 5",
        ),
    ] = None,
    arpa: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write it in the format of SRILM and KenLM.", dir_okay=False),
    ] = None,
    from_arpa: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Take it from there; nothing is fitted.", dir_okay=False),
    ] = None,
    device: options.Device = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
    config: options.Settings = None,
) -> None:
    """Put an n-gram beside a model's network, mixed with it from then on.

    It is an interpolated modified Kneser-Ney model of the text that the
    network was trained on. The held-out part says how much either counts.
    What comes of it is what rnncli eval shows.

    Example: rnncli ngram novel --order 7
    """
    from rnncli.console import score_view, terminal
    from rnncli.errors import ConfigError
    from rnncli.export.arpa import write_arpa
    from rnncli.storage.lock import held
    from rnncli.storage.model_dir import ModelDir
    from rnncli.storage.runs import load_model
    from rnncli.workflows.devices import pick_device
    from rnncli.workflows.evaluate import beside_network, scored_part
    from rnncli.workflows.ngram import add_ngram, import_arpa
    from rnncli.workflows.splits import own_part

    if order is not None and from_arpa is not None:
        raise ConfigError("both --order and --from-arpa are given", hint="the file has an order of its own")
    folder = ModelDir.find(model)
    _log.info("model %s", folder.path)
    network = load_model(folder, pick_device(device))
    with held(folder.path):
        if from_arpa is None:
            add_ngram(folder, network, order)
        else:
            import_arpa(folder, network, from_arpa)
    if arpa is not None:
        kept = folder.ngram()
        assert kept is not None
        write_arpa(arpa, kept[0], folder.tokenizer())
    name, part = own_part(folder, "valid")
    score = scored_part(network, part, beside_network(folder, weighed_on_it=True))
    if json:
        terminal.print_json({"model": folder.path.name, "text": name, **score.record()})
    else:
        score_view.show(name, score)
