"""The data of figures, independent of how they are plotted."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Curve:
    """One curve of a line chart.

    Attributes:
        name: Its name in the legend.
        x: Increasing x coordinates.
        y: y coordinates; one that is not finite makes a gap.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class LineChart:
    """Curves on a common pair of axes.

    Attributes:
        title: The title of the figure.
        x_label: The label of the x axis.
        y_label: The label of the y axis.
        curves: The curves.
        log_x: Whether the x axis is logarithmic.
        log_y: Whether the y axis is logarithmic.
    """

    title: str
    x_label: str
    y_label: str
    curves: tuple[Curve, ...]
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True)
class EmbeddingMap:
    """Tokens at the positions of their embeddings in a plane.

    Attributes:
        title: The title of the figure.
        caption: What the distances mean.
        tokens: The texts of the tokens.
        positions: Their coordinates (x, y).
    """

    title: str
    caption: str
    tokens: tuple[str, ...]
    positions: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class ActivationText:
    """A text with the activation of one neuron after each token.

    Attributes:
        title: The title of the figure.
        caption: What the neuron tracks.
        token_texts: The text of each token.
        activations: The activation after each token, from -1 to 1.
    """

    title: str
    caption: str
    token_texts: tuple[str, ...]
    activations: tuple[float, ...]


Figure = LineChart | EmbeddingMap | ActivationText
