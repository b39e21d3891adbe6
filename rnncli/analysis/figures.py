"""What a picture shows, before anybody draws it: frozen values that cross rooms."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """Points by growing x; a y that is not finite is a gap."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class LineChart:
    """Lines on one pair of axes; logarithmic where a factor means the same everywhere."""

    title: str
    x_label: str
    y_label: str
    lines: tuple[Line, ...]
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True)
class SymbolMap:
    """Symbols at places (x, y) of a plane; `caption` says what near and far mean."""

    title: str
    caption: str
    symbols: tuple[str, ...]
    places: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class UnitText:
    """A text in pieces, each with the activation of one unit, from -1 to 1."""

    title: str
    caption: str
    pieces: tuple[str, ...]
    activations: tuple[float, ...]


Picture = LineChart | SymbolMap | UnitText
