"""`rnncli tokenize`: text -> tokenizer + token store."""

from pathlib import Path
from typing import Annotated

import typer

from rnncli.cli import options


def tokenize(
    context: typer.Context,
    corpus: Annotated[
        list[str], typer.Argument(metavar="TEXT...", help="Text files, in this order; - is stdin.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="The token store; without it, TEXT.tok."),
    ] = None,
    level: options.Level = None,
    vocab_size: options.VocabSize = None,
    subword_kind: options.SubwordKind = None,
    valid_fraction: options.ValidFraction = None,
    encoding: options.Encoding = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    config: options.Settings = None,
) -> None:
    """Cut a text into tokens once, for training on it many times.

    Example: rnncli tokenize novel.txt -o novel.tok && rnncli train novel.tok
    """
    from rnncli.cli import corpora
    from rnncli.console import corpus_view, terminal
    from rnncli.errors import StorageError
    from rnncli.text import reading
    from rnncli.text.tokenizers import natural_level

    text = reading.read(corpus, encoding)
    wished = corpora.text_config(natural_level(text.content), context.params)
    target = output or Path(Path("stdin" if corpus[0] == reading.STDIN else corpus[0]).stem + ".tok")
    if target.exists():
        raise StorageError(f"{target} exists already", hint="remove it, or name another folder with -o")
    store = corpora.build(text, wished, terminal.notes(quiet))
    store.write(target)
    record = corpus_view.store_record(store, target)
    if json:
        terminal.print_json(record)
    else:
        corpus_view.show_store(record)
