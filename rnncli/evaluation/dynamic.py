"""A network that goes on learning from the text it scores. Shapes: N ids, T of a stretch, C kept, H width.

stretch 1   scored, then learned from
stretch 2                              scored, then learned from
stretch 3                                                         scored, ...

A token is always predicted before anything is learned from it. But the figures are those of another model at
every stretch, and never to be compared with static ones.
"""

from collections.abc import Iterator
from copy import deepcopy

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from rnncli.data.shards import Shards
from rnncli.data.tokenizers.base import Ids
from rnncli.evaluation.config import Adaptation, Cache
from rnncli.evaluation.metrics import nats_and_entropy
from rnncli.nn.language_model import LanguageModel

# Stretches of the training part from which the usual size of each weight's gradient is known.
_SAMPLED_STRETCHES = 64
_STRETCH = 32


def adaptive_measures(
    model: LanguageModel,
    ids: Ids | Shards,
    train_ids: Ids | Shards,
    adaptation: Adaptation | None,
    cache: Cache | None,
) -> Iterator[npt.NDArray[np.float32]]:
    """Of ids (N,), a stretch at a time (T, 3): -ln p of the network, its entropy, -ln p of the cache.

    The model that is given stays as it is. Without a cache its column is infinite. Dynamic evaluation is
    that of Krause et al. (2018, section 4), with the gradients' usual size from `train_ids`; the cache that
    of Grave et al. (2017, equation 2).
    """
    learner = _Learner(model, train_ids, adaptation) if adaptation else None
    network = learner.model if learner else model
    memory = _Memory(cache, model.config.members, model.device) if cache else None
    tokens = adaptation.tokens if adaptation else _STRETCH
    state, before = network.initial_state(1), network.config.start
    for first in range(0, len(ids), tokens):
        targets = torch.from_numpy(ids[first : first + tokens].astype(np.int64)).to(model.device)
        inputs = torch.cat([targets.new_tensor([before]), targets])[:-1]
        with torch.set_grad_enabled(learner is not None):
            hidden, after = network.hidden(inputs[None], state)
        with torch.no_grad():
            measures = nats_and_entropy(network.logits(hidden[0]), targets)
            nats = (
                memory.nats(hidden[0].float(), targets)
                if memory
                else torch.full_like(measures[:, 0], torch.inf)
            )
        yield torch.cat([measures, nats[:, None]], dim=1).cpu().numpy()
        if learner:
            learner.learn(hidden, targets)
        state, before = after.detach(), int(targets[-1])


class _Learner:
    """A copy of the model, its first weights, and how large its gradients are."""

    def __init__(self, model: LanguageModel, train_ids: Ids | Shards, config: Adaptation) -> None:
        self.model = deepcopy(model).requires_grad_(True)
        for module in self.model.modules():
            if isinstance(module, nn.RNNBase):
                module.flatten_parameters()  # cuDNN wants them in one piece, which copying takes apart
        self._config = config
        self._parameters = list(self.model.parameters())
        self._first = [parameter.detach().clone() for parameter in self._parameters]
        squares = [torch.zeros_like(parameter) for parameter in self._parameters]
        count = max(1, min(_SAMPLED_STRETCHES, (len(train_ids) - 1) // config.tokens))
        for place in np.linspace(0, max(len(train_ids) - config.tokens - 1, 0), count).astype(np.int64):
            text = torch.from_numpy(train_ids[place : place + config.tokens + 1].astype(np.int64)).to(
                model.device
            )
            hidden, _ = self.model.hidden(text[None, :-1], self.model.initial_state(1))
            self._backward(hidden, text[1:])
            for square, parameter in zip(squares, self._parameters, strict=True):
                square += _gradient(parameter).square() / count
        self._sizes = [_sizes(square) for square in squares]
        # Weights whose gradients are large are pulled back more strongly, but none beyond the first ones.
        self._pulls = [
            (config.decay * size / size.mean()).clamp_(max=1.0 / config.tokens) for size in self._sizes
        ]

    def learn(self, hidden: Tensor, targets: Tensor) -> None:
        """One step from a stretch that has been scored."""
        self._backward(hidden, targets)
        with torch.no_grad():
            for parameter, first, size, pull in zip(
                self._parameters, self._first, self._sizes, self._pulls, strict=True
            ):
                parameter.addcdiv_(_gradient(parameter), size, value=-self._config.rate)
                parameter.addcmul_(first - parameter, pull)

    def _backward(self, hidden: Tensor, targets: Tensor) -> None:
        self.model.zero_grad()
        self.model.mean_nats(hidden, targets[None], len(targets)).backward()  # type: ignore[no-untyped-call]


class _Memory:
    """The last outputs of the network (C, H) and the token that followed each (C,)."""

    def __init__(self, config: Cache, members: int, device: torch.device) -> None:
        # Outputs of several members lie side by side: their products are means, whatever their number.
        self._config, self._sharpness = config, config.sharpness / members
        self._keys: Tensor | None = None
        self._tokens = torch.zeros(0, dtype=torch.long, device=device)

    def nats(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """-ln p (T,) of each target under what stood before it; infinite where it did not stand there."""
        old = len(self._tokens)
        keys = hidden if self._keys is None else torch.cat([self._keys, hidden])
        tokens = torch.cat([self._tokens, targets])
        scores = self._sharpness * hidden @ keys.T
        steps = torch.arange(len(tokens), device=hidden.device)
        # The token after the output of step t is what is to be predicted from it: not yet remembered.
        now = old + torch.arange(len(targets), device=hidden.device)[:, None]
        scores.masked_fill_((steps >= now) | (steps < now - self._config.size), -torch.inf)
        total = torch.logsumexp(scores, 1)
        same = torch.logsumexp(scores.masked_fill(tokens != targets[:, None], -torch.inf), 1)
        size = self._config.size
        self._keys, self._tokens = keys[-size:], tokens[-size:]
        return torch.where(torch.isfinite(same), total - same, torch.inf)


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def _sizes(squares: Tensor) -> Tensor:
    """Roots of mean squares; none so small that a weight whose gradient is mostly zero would leap."""
    return squares.sqrt() + squares.mean().sqrt() + 1e-12
