"""`rnncli eval`: perplexity, bits per character and byte."""

from typing import Annotated

import typer

from rnncli.cli import options


def eval(
    text: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TEXT...]", help="Texts to score; - is stdin; without any, the model's held-out part."
        ),
    ] = None,
    model: options.Model = None,
    encoding: options.Encoding = None,
    device: options.Device = "auto",
    json: options.Json = False,
    quiet: options.Quiet = False,
    config: options.Settings = None,
) -> None:
    """Score a text: every token exactly once, with its full history.

    Example: rnncli eval other.txt --model novel --json
    """
    from rnncli.cli import corpora
    from rnncli.cli.device import pick_device
    from rnncli.console import score_view, terminal
    from rnncli.errors import CorpusError
    from rnncli.inference.evaluation import evaluate
    from rnncli.storage.model_dir import ModelDir
    from rnncli.text import reading

    note = terminal.notes(quiet)
    folder = ModelDir.find(model)
    note(f"model {folder.path}")
    network = folder.model(pick_device(device))
    tokenizer = folder.tokenizer()
    if text:
        given = reading.read(text, encoding)
        name, content = given.name, given.content
        ids, counts = tokenizer.encode(content), reading.count(content)
        unseen = corpora.describe_unseen(tokenizer, content)
        if unseen:
            note(f"{name} has symbols that the model does not know, scored as <unk>: {unseen}")
        note(f"{name} read as {given.encoding}")
        if not len(ids):
            raise CorpusError(f"{name} has nothing to score", hint="give a text with characters in it")
    else:
        store = folder.corpus()
        name, ids, counts = f"held-out part of {store.name}", store.ids(store.valid), store.valid.counts
    score = evaluate(network, ids, counts, tokenizer.unknown_id)
    if json:
        terminal.print_json({"model": folder.path.name, "text": name, **score.record()})
    else:
        score_view.show_score(name, score)
