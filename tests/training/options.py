"""Overrides by the names of options, as the command line and Python have them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rnncli.nn.config import ModelOptions
from rnncli.options import OptionGroup, build
from rnncli.training.config import BudgetOptions, TrainingOptions
from rnncli.training.overrides import Overrides


@dataclass(frozen=True, kw_only=True)
class _Chosen(OptionGroup):
    model: ModelOptions = field(default_factory=ModelOptions)
    training: TrainingOptions = field(default_factory=TrainingOptions)
    budget: BudgetOptions = field(default_factory=BudgetOptions)


def overrides_of(settings: Mapping[str, object]) -> Overrides:
    """Overrides of option values by name; `seconds` is the time."""
    chosen = build(
        _Chosen, {"time" if name == "seconds" else name: value for name, value in settings.items()}
    )
    return Overrides.of(chosen.model, chosen.training, chosen.budget)
