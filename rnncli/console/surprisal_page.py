"""Scored lines as one self-contained page: text coloured by surprisal, values under the pointer."""

import math
from collections.abc import Iterable
from html import escape

from rnncli.console.page import page
from rnncli.evaluation.surprisal import ScoredLine

# As dark as it gets: what one symbol in four thousand has.
_DARKEST_BITS = 12.0
_STYLE = """p { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
span { border-radius: 2px; }
span:hover { outline: 1px solid #333; }
.key span { padding: 0 0.6em; }
"""


def surprisal_page(title: str, lines: Iterable[ScoredLine]) -> bytes:
    """HTML of the lines, each token with its surprisal in bits, its rank, and the entropy before it."""
    key = "".join(f'<span style="{_colour(bits)}">{bits}</span>' for bits in (0, 1, 2, 4, 6, 8, 10, 12))
    body = "".join(f"<p>{_line(line)}</p>\n" for line in lines)
    return page(title, _STYLE, f'<p class="key">bits: {key}</p>\n<hr>\n{body}')


def _line(line: ScoredLine) -> str:
    spans = []
    for unit, piece in zip(line.tokens, line.pieces, strict=True):
        bits, entropy = unit.nats / math.log(2.0), unit.entropy / math.log(2.0)
        said = f"{unit.text!r}: {bits:.2f} bits, rank {unit.rank:,}, entropy {entropy:.2f} bits"
        shown = "↵" if piece == "\n" else piece or "·"
        spans.append(f'<span style="{_colour(bits)}" title="{escape(said)}">{escape(shown)}</span>')
    return "".join(spans)


def _colour(bits: float) -> str:
    return f"background: rgb(214 72 40 / {min(bits / _DARKEST_BITS, 1.0):.2f})"
