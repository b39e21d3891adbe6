"""What a model directory says of its model, for `rnncli info` and its JSON output."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from rnncli.metrics import Score
from rnncli.storage.record import ModelRecord


@dataclass(frozen=True)
class CurvePoint:
    """The validation loss after so many steps."""

    step: int
    valid_nats_per_token: float


@dataclass(frozen=True)
class ModelDescription:
    """What `rnncli info` shows of a model; without weights, `tensors` is empty."""

    path: str
    config: ModelRecord
    tensors: Mapping[str, tuple[int, ...]]
    best_step: int | None
    valid: Score | None
    curve: tuple[CurvePoint, ...]

    def record(self) -> dict[str, object]:
        """Return the description by the keys of JSON output."""
        return {
            "path": self.path,
            **asdict(self.config),
            "architecture": self.config.model.architecture,
            "parameters": self.config.model.parameters,
            "tensors": {name: list(shape) for name, shape in self.tensors.items()},
            "best_step": self.best_step,
            "valid": None if self.valid is None else self.valid.record(),
            "curve": [asdict(point) for point in self.curve],
        }
