"""Neuron probes: which neurons track quotes, brackets, or the position in a line or word.

Source: Karpathy, Johnson and Fei-Fei 2015, "Visualizing and Understanding Recurrent Networks".

Shapes:
  N: tokens of a text
  U: neurons
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from rnncli.nn.ensemble import RNNLanguageModel

# Enough lines and quotes for a meaningful correlation, computed in seconds.
TOKENS = 4_000
_OPENING, _CLOSING = "([{（［｛【《〈", ")]}）］｝】》〉"
_QUOTES_OPEN, _QUOTES_CLOSE, _QUOTES_BOTH = "“「『«", "”」』»", '"'
# Larger distances are not distinguished.
_MAX_LINE_POSITION, _MAX_WORD_POSITION = 80, 10
_NEURONS_PER_FEATURE = 3


@dataclass(frozen=True)
class NeuronProbe:
    """A neuron whose activation is correlated with a feature of the text.

    Attributes:
        feature: The feature.
        neuron: The neuron, such as "layers.0:17".
        r: Pearson's correlation coefficient.
    """

    feature: str
    neuron: str
    r: float


@dataclass(frozen=True)
class Activations:
    """The activations of neurons on a text.

    Attributes:
        neurons: The names of the neurons, such as "layers.0:17" (U,).
        token_texts: The text of each token (N,).
        values: The activation of each neuron after each token (N, U).
    """

    neurons: tuple[str, ...]
    token_texts: tuple[str, ...]
    values: npt.NDArray[np.float32]

    def of(self, neuron: str) -> npt.NDArray[np.float32]:
        """Return the activations of one neuron (N,).

        Raises:
            KeyError: There is no such neuron.
        """
        if neuron not in self.neurons:
            raise KeyError(neuron)
        return self.values[:, self.neurons.index(neuron)]


@torch.inference_mode()
def record_activations(
    model: RNNLanguageModel,
    ids: npt.NDArray[np.integer],
    token_texts: tuple[str, ...],
    resets: frozenset[int] = frozenset(),
) -> Activations:
    """Record the hidden states h of all recurrent layers on a text.

    Args:
        model: The network.
        ids: The token ids (N,).
        token_texts: The text of each token (N,).
        resets: The positions of tokens before which the state is reset; it always is before the first.
    """
    layers = list(model.config.state_shapes)
    members = range(model.config.ensemble_size)
    names = [
        (f"members.{member}." if len(members) > 1 else "") + layer for member in members for layer in layers
    ]
    recurrent = [number for number, name in enumerate(names) if "layers." in name]
    tokens = torch.from_numpy(ids.astype(np.int64))[None].to(model.device)
    bos = tokens.new_full((1, 1), model.config.bos_id)
    rows = []
    for position in range(tokens.shape[1]):
        if position == 0 or position in resets:
            _, state = model.hidden(bos, model.initial_state(1))
        _, state = model.hidden(tokens[:, position : position + 1], state)
        rows.append(torch.cat([state.layers[number][0][0] for number in recurrent]).float().cpu().numpy())
    hidden_size = model.config.hidden_size
    neurons = tuple(f"{names[number]}:{neuron}" for number in recurrent for neuron in range(hidden_size))
    return Activations(neurons, token_texts, np.stack(rows))


def text_features(token_texts: tuple[str, ...]) -> dict[str, npt.NDArray[np.float32]]:
    """Compute the features that neurons may track.

    Args:
        token_texts: The text of each token (N,).

    Returns:
        For each feature, its value after each token (N,).
    """
    quotes = _Nesting(_QUOTES_OPEN, _QUOTES_CLOSE, _QUOTES_BOTH)
    return {
        "inside quotes": _per_token(token_texts, quotes.after),
        "inside brackets": _per_token(token_texts, _Nesting(_OPENING, _CLOSING).after),
        "position in the line": _per_token(token_texts, _Distance("\n", _MAX_LINE_POSITION).after),
        "position in the word": _per_token(token_texts, _Distance(" \n\t", _MAX_WORD_POSITION).after),
    }


def neuron_probes(activations: Activations) -> tuple[NeuronProbe, ...]:
    """Find the neurons whose activations have the highest correlation with each feature.

    Args:
        activations: The activations on a text.

    Returns:
        The neurons by feature, those with the highest correlation first; features that are constant on this
        text are left out.
    """
    values = activations.values.astype(np.float64)
    centered = values - values.mean(0)
    norms = np.sqrt((centered**2).sum(0))
    probes = []
    for name, feature in text_features(activations.token_texts).items():
        own = feature - feature.mean(dtype=np.float64)
        norm = float(np.sqrt((own**2).sum()))
        if norm == 0.0:
            continue
        r = np.divide(own @ centered, norm * norms, out=np.zeros(len(norms)), where=norms > 0.0)
        for neuron in np.argsort(-np.abs(r), kind="stable")[:_NEURONS_PER_FEATURE].tolist():
            probes.append(NeuronProbe(name, activations.neurons[neuron], float(r[neuron])))
    return tuple(probes)


class _Nesting:
    """Whether a quote or bracket is open; a line end closes those whose two ends look the same."""

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


class _Distance:
    """The number of characters since the last of some characters, at most `most`."""

    def __init__(self, characters: str, most: int) -> None:
        self._characters, self._most, self._count = characters, most, 0

    def after(self, character: str) -> float:
        self._count = 0 if character in self._characters else min(self._count + 1, self._most)
        return float(self._count)


def _per_token(token_texts: tuple[str, ...], after: Callable[[str], float]) -> npt.NDArray[np.float32]:
    """The value of a feature after the last character of each token (N,)."""

    def values() -> Iterator[float]:
        value = 0.0
        for text in token_texts:
            for character in text:
                value = after(character)
            yield value

    return np.fromiter(values(), np.float32, len(token_texts))
