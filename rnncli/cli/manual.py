"""`rnncli manual`: every command and option, from the program itself, as a page for man or for the web."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from rnncli.cli import options


class Form(StrEnum):
    """Who reads it."""

    man = "man"
    markdown = "markdown"


def manual(
    context: typer.Context,
    format: Annotated[Form, typer.Option(help="For man, or for people who read Markdown.")] = Form.man,
    config: options.Settings = None,
) -> None:
    """Print the manual: every command and every option.

    Example: rnncli manual > rnncli.1 && man ./rnncli.1
    """
    from rnncli.cli import manual_pages
    from rnncli.console import terminal

    root: Any = context.find_root().command
    described = manual_pages.described(root)
    shown = manual_pages.as_man(described) if format is Form.man else manual_pages.as_markdown(described)
    terminal.print_document(shown)
