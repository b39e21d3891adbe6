"""Self-contained HTML pages: a frame, and scored lines colored by surprisal."""

import math
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # it brings torch
    from rnncli.evaluation.surprisal import ScoredLine

# Surprisal with the darkest color: a probability of 1 in 4,096.
_DARKEST_BITS = 12.0

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
    """Build a page of CSS `style` and HTML `body`; lone surrogates are escaped."""
    whole = _FRAME.format(title=escape(title), style=style, body=body)
    return whole.encode("utf-8", "backslashreplace")


_STYLE = """p { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
span { border-radius: 2px; }
span:hover { outline: 1px solid #333; }
.key span { padding: 0 0.6em; }
"""


def surprisal_page(title: str, lines: Iterable["ScoredLine"]) -> bytes:
    """Build a page of lines; each token shows its surprisal and entropy in bits and its rank on hover."""
    key = "".join(f'<span style="{_color(bits)}">{bits}</span>' for bits in (0, 1, 2, 4, 6, 8, 10, 12))
    body = "".join(f"<p>{_line(line)}</p>\n" for line in lines)
    return page(title, _STYLE, f'<p class="key">bits: {key}</p>\n<hr>\n{body}')


def _line(line: "ScoredLine") -> str:
    spans = []
    for unit, piece in zip(line.tokens, line.token_texts, strict=True):
        bits, entropy = unit.nll_nats / math.log(2.0), unit.entropy / math.log(2.0)
        tooltip = f"{unit.text!r}: {bits:.2f} bits, rank {unit.rank:,}, entropy {entropy:.2f} bits"
        shown = "↵" if piece == "\n" else piece or "·"
        spans.append(f'<span style="{_color(bits)}" title="{escape(tooltip)}">{escape(shown)}</span>')
    return "".join(spans)


def _color(bits: float) -> str:
    return f"background: rgb(214 72 40 / {min(bits / _DARKEST_BITS, 1.0):.2f})"
