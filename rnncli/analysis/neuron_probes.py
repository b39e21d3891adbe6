"""What single units keep track of: quotes, brackets, the place in a line. Shapes: N tokens, U units."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from rnncli.nn.language_model import LanguageModel

# Enough lines and quotes for a correlation to mean something, in seconds.
TOKENS = 4_000
_OPENING, _CLOSING = "([{（［｛【《〈", ")]}）］｝】》〉"
_QUOTES_OPEN, _QUOTES_CLOSE, _QUOTES_BOTH = "“「『«", "”」』»", '"'
# Positions beyond these are as good as each other.
_LONGEST_LINE, _LONGEST_WORD = 80, 10


@dataclass(frozen=True)
class Tracked:
    """A unit whose activation goes up (or down, where r is negative) with a feature: Pearson's r."""

    feature: str
    unit: str
    r: float


@dataclass(frozen=True)
class Activations:
    """values (N, U) of units by name ("layers.0:17"), after each piece of a text."""

    units: tuple[str, ...]
    pieces: tuple[str, ...]
    values: npt.NDArray[np.float32]

    def of(self, unit: str) -> npt.NDArray[np.float32]:
        """(N,); raises KeyError."""
        if unit not in self.units:
            raise KeyError(unit)
        return self.values[:, self.units.index(unit)]


@torch.inference_mode()
def activations(
    model: LanguageModel,
    ids: npt.NDArray[np.integer],
    pieces: tuple[str, ...],
    emptied: frozenset[int] = frozenset(),
) -> Activations:
    """ids (N,) and the text of each -> h of every recurrent layer after each, from an empty memory.

    It is `emptied` again before some, where lines are texts of their own.
    """
    blocks = list(model.config.memories)
    members = range(model.config.members)
    owner = [
        (f"members.{member}." if len(members) > 1 else "") + block for member in members for block in blocks
    ]
    recurrent = [place for place, name in enumerate(owner) if "layers." in name]
    tokens = torch.from_numpy(ids.astype(np.int64))[None].to(model.device)
    begins = tokens.new_full((1, 1), model.config.start)
    rows = []
    for place in range(tokens.shape[1]):
        if place == 0 or place in emptied:
            _, state = model.hidden(begins, model.initial_state(1))
        _, state = model.hidden(tokens[:, place : place + 1], state)
        rows.append(torch.cat([state.blocks[one][0][0] for one in recurrent]).float().cpu().numpy())
    width = model.config.hidden_size
    units = tuple(f"{owner[one]}:{unit}" for one in recurrent for unit in range(width))
    return Activations(units, pieces, np.stack(rows))


def features(pieces: tuple[str, ...]) -> dict[str, npt.NDArray[np.float32]]:
    """By name what holds after each piece (N,): inside quotes or brackets, how far into line and word."""
    return {
        "inside quotes": _per_piece(pieces, _Nesting(_QUOTES_OPEN, _QUOTES_CLOSE, _QUOTES_BOTH).after),
        "inside brackets": _per_piece(pieces, _Nesting(_OPENING, _CLOSING).after),
        "position in the line": _per_piece(pieces, _Since("\n", _LONGEST_LINE).after),
        "position in the word": _per_piece(pieces, _Since(" \n\t", _LONGEST_WORD).after),
    }


def tracked(found: Activations, each: int = 3) -> tuple[Tracked, ...]:
    """By feature the units that go with it most closely; features that do not vary are left out."""
    values = found.values.astype(np.float64)
    centred = values - values.mean(0)
    sizes = np.sqrt((centred**2).sum(0))
    result = []
    for name, feature in features(found.pieces).items():
        own = feature - feature.mean(dtype=np.float64)
        size = float(np.sqrt((own**2).sum()))
        if size == 0.0:
            continue
        r = np.divide(own @ centred, size * sizes, out=np.zeros(len(sizes)), where=sizes > 0.0)
        for unit in np.argsort(-np.abs(r), kind="stable")[:each].tolist():
            result.append(Tracked(name, found.units[unit], float(r[unit])))
    return tuple(result)


class _Nesting:
    """Whether something that was opened has not been closed; a line's end closes what `both` opens."""

    def __init__(self, opening: str, closing: str, both: str = "") -> None:
        self._opening, self._closing, self._both = opening, closing, both
        self._depth, self._open = 0, False

    def after(self, character: str) -> float:
        if character in self._both:
            self._open = not self._open
        elif character in self._opening:
            self._depth += 1
        elif character in self._closing:
            self._depth = max(0, self._depth - 1)
        elif character == "\n":
            self._open = False
        return float(self._open or self._depth > 0)


class _Since:
    """How many characters ago one of `marks` was, at most `most`."""

    def __init__(self, marks: str, most: int) -> None:
        self._marks, self._most, self._count = marks, most, 0

    def after(self, character: str) -> float:
        self._count = 0 if character in self._marks else min(self._count + 1, self._most)
        return float(self._count)


def _per_piece(pieces: tuple[str, ...], after: Callable[[str], float]) -> npt.NDArray[np.float32]:
    def last() -> Iterator[float]:
        value = 0.0
        for piece in pieces:
            for character in piece:
                value = after(character)
            yield value

    return np.fromiter(last(), np.float32, len(pieces))
