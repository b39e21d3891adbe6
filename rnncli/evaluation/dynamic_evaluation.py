"""Dynamic evaluation and the neural cache: a network that learns from the text while scoring it.

    segment 1   score, then learn
    segment 2                      score, then learn
    segment 3                                         score, ...

A token is always scored before the model learns from it. But the model is a different one for every segment,
so the scores are not comparable with static scores.

Sources:
  Krause et al. 2018, "Dynamic Evaluation of Neural Sequence Models", section 4.
  Grave et al. 2017, "Improving Neural Language Models with a Continuous Cache", equation 2.

Shapes:
  N: tokens of a text
  T: tokens of one segment
  C: tokens in the cache
  H: size of a hidden state
"""

from collections.abc import Iterator
from copy import deepcopy

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from rnncli.data.splits import ConcatenatedIds
from rnncli.data.tokenizers.base import Ids
from rnncli.evaluation.config import CacheOptions, DynamicOptions
from rnncli.evaluation.token_metrics import nll_and_entropy
from rnncli.nn.ensemble import RNNLanguageModel

# Segments of the training split on which gradient magnitudes are measured.
_SAMPLED_SEGMENTS = 64
_SEGMENT_TOKENS = 32


def dynamic_metrics(
    model: RNNLanguageModel,
    ids: Ids | ConcatenatedIds,
    train_ids: Ids | ConcatenatedIds,
    *,
    dynamic: DynamicOptions | None,
    cache: CacheOptions | None,
) -> Iterator[npt.NDArray[np.float32]]:
    """Score a text with dynamic evaluation, a neural cache, or both.

    Args:
        model: The network; it is not changed.
        ids: The token ids (N,).
        train_ids: The training split, on which gradient magnitudes are measured.
        dynamic: How to learn from the text; None: not at all.
        cache: The cache; None: no cache.

    Yields:
        For each segment, -ln p under the network, its entropy, and -ln p under the cache alone (T, 3). The
        last is infinite without a cache, and for a token that is not in the cache.
    """
    learner = _DynamicLearner(model, train_ids, dynamic) if dynamic else None
    network = learner.model if learner else model
    neural_cache = _NeuralCache(cache, model.config.ensemble_size, model.device) if cache else None
    tokens = dynamic.tokens if dynamic else _SEGMENT_TOKENS
    state, previous_id = network.initial_state(1), network.config.bos_id
    for first in range(0, len(ids), tokens):
        targets = torch.from_numpy(ids[first : first + tokens].astype(np.int64)).to(model.device)
        inputs = torch.cat([targets.new_tensor([previous_id]), targets])[:-1]
        with torch.set_grad_enabled(learner is not None):
            hidden, after = network.hidden(inputs[None], state)
        with torch.no_grad():
            metrics = nll_and_entropy(network.logits(hidden[0]), targets)
            cache_nll = (
                neural_cache.nll(hidden[0].float(), targets)
                if neural_cache
                else torch.full_like(metrics[:, 0], torch.inf)
            )
        yield torch.cat([metrics, cache_nll[:, None]], dim=1).cpu().numpy()
        if learner:
            learner.learn(hidden, targets)
        state, previous_id = after.detach(), int(targets[-1])


class _DynamicLearner:
    """A copy of the model that takes gradient steps, and decays towards its trained weights."""

    def __init__(
        self, model: RNNLanguageModel, train_ids: Ids | ConcatenatedIds, options: DynamicOptions
    ) -> None:
        self.model = deepcopy(model).requires_grad_(True)
        for module in self.model.modules():
            if isinstance(module, nn.RNNBase):
                module.flatten_parameters()  # cuDNN needs contiguous weights, which deepcopy does not keep
        self._options = options
        self._parameters = list(self.model.parameters())
        self._trained = [parameter.detach().clone() for parameter in self._parameters]
        squares = [torch.zeros_like(parameter) for parameter in self._parameters]
        count = max(1, min(_SAMPLED_SEGMENTS, (len(train_ids) - 1) // options.tokens))
        last = max(len(train_ids) - options.tokens - 1, 0)
        for start in np.linspace(0, last, count).astype(np.int64):
            segment = train_ids[start : start + options.tokens + 1].astype(np.int64)
            tokens = torch.from_numpy(segment).to(model.device)
            hidden, _ = self.model.hidden(tokens[None, :-1], self.model.initial_state(1))
            self._backward(hidden, tokens[1:])
            for square, parameter in zip(squares, self._parameters, strict=True):
                square += _gradient(parameter).square() / count
        self._magnitudes = [_magnitudes(square) for square in squares]
        # Weights with large gradients decay faster, but never past their trained values.
        self._decay_rates = [
            (options.decay * magnitude / magnitude.mean()).clamp_(max=1.0 / options.tokens)
            for magnitude in self._magnitudes
        ]

    def learn(self, hidden: Tensor, targets: Tensor) -> None:
        """Take one step on a segment that has been scored."""
        self._backward(hidden, targets)
        with torch.no_grad():
            for parameter, trained, magnitude, decay_rate in zip(
                self._parameters, self._trained, self._magnitudes, self._decay_rates, strict=True
            ):
                parameter.addcdiv_(_gradient(parameter), magnitude, value=-self._options.lr)
                parameter.addcmul_(trained - parameter, decay_rate)

    def _backward(self, hidden: Tensor, targets: Tensor) -> None:
        self.model.zero_grad()
        self.model.mean_nll(hidden, targets[None], len(targets)).backward()  # type: ignore[no-untyped-call]


class _NeuralCache:
    """The last hidden states of the network (C, H), and the token that followed each (C,)."""

    def __init__(self, options: CacheOptions, ensemble_size: int, device: torch.device) -> None:
        # The hidden states of ensemble members are concatenated: their dot products are averaged.
        self._size, self._flatness = options.size, options.flatness / ensemble_size
        self._keys: Tensor | None = None
        self._tokens = torch.zeros(0, dtype=torch.long, device=device)

    def nll(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return -ln p of targets (T,) given hidden states (T, H), then add both to the cache."""
        cached = len(self._tokens)
        keys = hidden if self._keys is None else torch.cat([self._keys, hidden])
        tokens = torch.cat([self._tokens, targets])
        scores = self._flatness * hidden @ keys.T
        steps = torch.arange(len(tokens), device=hidden.device)
        # The token that follows hidden state t is the one to predict: it is not in the cache yet.
        now = cached + torch.arange(len(targets), device=hidden.device)[:, None]
        scores.masked_fill_((steps >= now) | (steps < now - self._size), -torch.inf)
        total = torch.logsumexp(scores, 1)
        same = torch.logsumexp(scores.masked_fill(tokens != targets[:, None], -torch.inf), 1)
        self._keys, self._tokens = keys[-self._size :], tokens[-self._size :]
        return torch.where(torch.isfinite(same), total - same, torch.inf)


def _gradient(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def _magnitudes(squares: Tensor) -> Tensor:
    """Root mean squares of gradients, bounded below so that a weight with a rare gradient changes slowly."""
    return squares.sqrt() + squares.mean().sqrt() + 1e-12
