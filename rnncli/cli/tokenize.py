"""`rnncli tokenize`: text -> tokenizer + token store, a report, or ids."""

from pathlib import Path
from typing import Annotated

import typer

from rnncli.cli import options


def tokenize(
    context: typer.Context,
    corpus: Annotated[
        list[str] | None, typer.Argument(metavar="TEXT...", help=f"Texts: {options.TEXTS}.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="The token store.", show_default="TEXT.tok"),
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Describe the text; without -o, make no store.")
    ] = False,
    encode: Annotated[bool, typer.Option("--encode", help="Text to ids on stdout, a line a line.")] = False,
    decode: Annotated[bool, typer.Option("--decode", help="Ids to text on stdout.")] = False,
    encoding: options.Encoding = None,
    errors: options.Errors = None,
    newlines: options.Newlines = None,
    level: options.Level = None,
    vocab_size: options.VocabSize = None,
    subword_kind: options.SubwordKind = None,
    pattern: options.Pattern = None,
    tokenizer: options.TokenizerFrom = None,
    unit: options.Unit = None,
    workers: options.Workers = None,
    valid: options.Valid = None,
    valid_fraction: options.ValidFraction = None,
    test_fraction: options.TestFraction = None,
    split: options.Split = None,
    split_seed: options.SplitSeed = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
    config: options.Settings = None,
) -> None:
    """Cut a text into tokens once, for training on it many times.

    Example: rnncli tokenize novel.txt -o novel.tok && rnncli train novel.tok
    """
    from rnncli.cli import tokenizing
    from rnncli.console import corpus_view, terminal

    if encode or decode:
        tokenizing.refuse_beside_streaming(context)
        tokenizing.stream(corpus or ["-"], context.params)
        return
    if not corpus:
        raise typer.BadParameter("name a text, or - for stdin", param_hint="TEXT...")
    described, record = tokenizing.tokenize(corpus, output, context.params, report)
    if json:
        terminal.print_json(corpus_view.tokenized_record(described, record))
        return
    if described is not None:
        corpus_view.show_report(described)
    if record is not None:
        corpus_view.show_store(record)
