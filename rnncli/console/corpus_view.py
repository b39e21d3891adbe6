"""A token store as a table and as JSON."""

from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from rnncli.console.safe_text import one_line
from rnncli.console.terminal import stdout_console
from rnncli.text.store import TokenStore
from rnncli.text.tokenizers import fingerprint


def store_record(store: TokenStore, path: Path) -> dict[str, Any]:
    """What a token store is, as JSON keys."""
    train, valid = store.train, store.valid
    return {
        "path": str(path),
        "name": store.name,
        "encoding": store.encoding,
        "level": store.tokenizer.level,
        "vocab_size": store.tokenizer.vocab_size,
        "characters": train.characters + valid.characters,
        "words": train.words + valid.words,
        "bytes": train.bytes + valid.bytes,
        "tokens": train.tokens + valid.tokens,
        "train_tokens": train.tokens,
        "valid_tokens": valid.tokens,
        "oov_tokens": store.oov_tokens,
        "tokenizer_fingerprint": fingerprint(store.tokenizer),
    }


def show_store(record: dict[str, Any]) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in (
        ("store", record["path"]),
        ("text", f"{record['name']}, {record['encoding']}"),
        (
            "size",
            f"{record['characters']:,} characters, {record['words']:,} words, {record['bytes']:,} bytes",
        ),
        ("level", f"{record['level']}, {record['vocab_size']:,} symbols"),
        (
            "tokens",
            f"{record['tokens']:,}, {record['valid_tokens']:,} held out, {record['oov_tokens']:,} unknown",
        ),
    ):
        table.add_row(name, Text(one_line(value)))
    stdout_console().print(table)
