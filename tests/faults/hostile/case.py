"""A hostile model, and how commands may answer it."""

from collections.abc import Mapping
from dataclasses import dataclass

from tests.faults.hostile.spoiling import Edit

Codes = tuple[int, ...]
REFUSED, USED, EITHER = (1,), (0,), (0, 1)


@dataclass(frozen=True)
class Hostile:
    """A way to spoil a model, and the right exit codes of commands; `reaches`: what they may open."""

    name: str
    make: Edit
    expected: Mapping[str, Codes]
    base: str = "x"
    called: str = "x"
    reaches: tuple[str, ...] = ()


BOTH = {"info": REFUSED, "generate": REFUSED}
SILENT = {"generate": REFUSED, "info": EITHER}
FREE, TOLD = {"generate": EITHER, "info": EITHER}, {"info": EITHER, "generate": EITHER}
FINE = {"generate": USED, "info": USED}
RESUME, STOP, WRITTEN = {"resume": EITHER}, {"resume": REFUSED}, {"ngram": EITHER, "resume": EITHER}
# Without a further budget all is read before it is refused.
GO_ON = {"go on": REFUSED, "resume": EITHER}


def family(expected: Mapping[str, Codes], made: Mapping[str, Edit], base: str = "x") -> list[Hostile]:
    """Models by name that are all to be answered alike."""
    return [Hostile(name, make, expected, base) for name, make in made.items()]
