"""A page of HTML that needs nothing else."""

from html import escape

_FRAME = """<!doctype html>
<html><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 1rem/1.7 Georgia, "Noto Serif CJK SC", serif; max-width: 56rem; margin: 2rem auto;
  padding: 0 1rem; color: #1a1a1a; background: #fff; }}
h1 {{ font-size: 1.2rem; }}
{style}</style></head><body>
<h1>{title}</h1>
{body}</body></html>
"""


def page(title: str, style: str, body: str) -> bytes:
    """`style` and `body` are CSS and HTML as they are; what cannot be UTF-8 is shown escaped."""
    whole = _FRAME.format(title=escape(title), style=style, body=body)
    return whole.encode("utf-8", "backslashreplace")
