"""Options of plots."""

from dataclasses import dataclass
from typing import Literal

from rnncli.errors import ConfigError
from rnncli.options import OptionGroup, option

FigureName = Literal[
    "loss",
    "learning-rate",
    "gradient-norms",
    "throughput",
    "vanishing-gradients",
    "context-ablation",
    "neurons",
    "embeddings",
]


@dataclass(frozen=True, kw_only=True)
class PlotOptions(OptionGroup):
    """Which figure to plot."""

    figure: FigureName = option(
        "loss",
        help="loss, learning-rate, gradient-norms and throughput during training; gradients through time "
        "(vanishing-gradients), loss by context length (context-ablation), what neurons track (neurons), "
        "token embeddings in a plane (embeddings).",
        metavar="NAME",
    )
    neuron: str | None = option(
        None,
        help="Neuron to show with --figure neurons, for example layers.0:17.",
        metavar="BLOCK:N",
        shown="the one that tracks something most closely",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neuron is not None and self.figure != "neurons":
            raise ConfigError(
                "--neuron needs --figure neurons", hint="leave out --neuron, or add --figure neurons"
            )
