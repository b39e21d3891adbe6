"""What a person asked for, by the names of the settings."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from rnncli.errors import ConfigError
from rnncli.nn.config import ModelConfig
from rnncli.training.config import DEFAULT_SECONDS, TrainConfig


@dataclass(frozen=True)
class Wishes:
    """What a person asked for; fields of ModelConfig and TrainConfig that are not named are free."""

    model: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    epochs: float | None = None

    def __post_init__(self) -> None:
        if self.epochs is not None and self.training.get("steps") is not None:
            raise ConfigError("both --steps and --epochs are given", hint="give one of them")
        if self.open_ended and "validations" in self.training:
            raise ConfigError(
                "validations have no meaning without a budget",
                hint="add --time, --steps or --epochs, or leave them out",
            )
        if self.epochs is not None and not 0.0 < self.epochs < 1e9:
            raise ConfigError(f"epochs is {self.epochs}", hint="it is more than 0, for example 10")
        # Values out of range are refused here, before a text is read and the machine measured.
        widths = {"embedding_size": 1, "hidden_size": 1} if self.model.get("tied_embeddings") else {}
        ModelConfig(**{"vocab_size": 2, **widths, **self.model})
        TrainConfig(**{"steps": 1, **self.training})

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Wishes":
        """From settings by name; None and names of neither config are passed over."""
        given = {name: value for name, value in settings.items() if value not in (None, "auto")}
        given.pop("vocab_size", None)  # at most so many: a wish about the text, not the model's own size
        model = {entry.name: given[entry.name] for entry in fields(ModelConfig) if entry.name in given}
        if model.get("tied_embeddings"):  # one width names both
            for one, other in (("hidden_size", "embedding_size"), ("embedding_size", "hidden_size")):
                if one in model:
                    model.setdefault(other, model[one])
        if model.get("mogrifier"):  # the only cell that has one
            model.setdefault("cell", "lstm")
        if "," in model.get("cell", ""):  # as many as are named
            model.setdefault("num_layers", model["cell"].count(",") + 1)
        training = {entry.name: given[entry.name] for entry in fields(TrainConfig) if entry.name in given}
        if training.get("kernels") == "fused":
            training.setdefault("precision", "bf16")  # the only one they have
        return cls(model, training, given.get("epochs"))

    @property
    def seconds(self) -> float | None:
        """The time budget; the default where nothing else ends the run."""
        ended = self.epochs is not None or "steps" in self.training or "patience" in self.training
        return self.training.get("seconds", None if ended else DEFAULT_SECONDS)

    def after(self, seconds: float) -> "Wishes":
        """The same for what is left of the time when so many seconds of it are over."""
        if self.seconds is None:
            return self
        return replace(self, training={**self.training, "seconds": max(self.seconds - seconds, 1e-3)})

    @property
    def open_ended(self) -> bool:
        """Whether nothing but patience ends the run."""
        return self.seconds is None and self.epochs is None and "steps" not in self.training
