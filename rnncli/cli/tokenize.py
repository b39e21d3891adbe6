"""`rnncli tokenize`: text -> tokenizer + token dataset, a report, or token ids."""

from pathlib import Path
from typing import Annotated

import typer

from rnncli.cli import options
from rnncli.data.config import TokenizeOptions

_STREAM_OPTIONS = (
    "texts",
    "encode",
    "decode",
    "tokenizer",
    "encoding",
    "errors",
    "newlines",
    "config",
    "quiet",
)


def tokenize(
    context: typer.Context,
    texts: options.OptionalTexts = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="The token dataset.", show_default="TEXT.tok"),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Describe the text; without -o, make no token dataset.")
    ] = False,
    encode: Annotated[
        bool,
        typer.Option("--encode", help="Encode text to token ids on stdout, one line per input line."),
    ] = False,
    decode: Annotated[bool, typer.Option("--decode", help="Decode token ids to text on stdout.")] = False,
    *,
    chosen: TokenizeOptions,
    json: options.Json = False,
    quiet: options.Quiet = False,
    config: options.Settings = None,
) -> None:
    """Tokenize a text once, to train on it many times.

    Example: rnncli tokenize novel.txt -o novel.tok && rnncli train novel.tok
    """
    if encode and decode:
        raise typer.BadParameter("give --encode or --decode, not both", param_hint="--encode")
    if encode or decode:
        options.refuse_others(context, _STREAM_OPTIONS, "has no meaning with --encode or --decode")
        if chosen.text.tokenizer is None:
            raise typer.BadParameter("name a token dataset or a model", param_hint="--tokenizer")
    elif not texts:
        raise typer.BadParameter("name a text, or - for stdin", param_hint="TEXT")
    from rnncli.console import dataset_view, terminal
    from rnncli.workflows import tokenize

    if chosen.text.tokenizer is not None and (encode or decode):
        convert = tokenize.encode if encode else tokenize.decode
        for piece in convert(texts or ["-"], chosen.text.tokenizer, chosen.read):
            terminal.write_bytes(piece)
        return
    result = tokenize.tokenize_texts(texts or [], output, chosen, report=report)
    dataset_view.print_tokenized(result, json)
