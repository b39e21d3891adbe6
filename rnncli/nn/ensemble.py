"""RNNLanguageModel: an ensemble of networks that makes one distribution over the next token.

Shapes:
    B: batch size
    T: time steps
    K: ensemble members
    D: hidden size
    V: vocabulary size

    tokens (B, T) -> hidden states of all members, concatenated (B, T, K D) -> mean probabilities (B, T, V)
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from rnncli.nn.config import ModelConfig
from rnncli.nn.loss import mean_nll
from rnncli.nn.rnn import RNN, DropoutMasks, State


class RNNLanguageModel(nn.Module):
    """P(next token | all tokens before it): the mean over the ensemble members, of which there is often one.

    Members differ in their initial weights and their dropout masks. Each is trained on its own loss, and
    since their errors differ, the mean of their probabilities is better than the best of them
    (Lakshminarayanan et al. 2017, Simple and scalable predictive uncertainty estimation using deep
    ensembles). The state is an argument and a result, never an attribute.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.members = nn.ModuleList(RNN(config) for _ in range(config.ensemble_size))

    @classmethod
    def initialized(cls, config: ModelConfig, rng: torch.Generator) -> "RNNLanguageModel":
        """Return a model with initial weights, which depend on `rng` alone."""
        model = cls(config)
        for member in model._rnns():
            member.initialize(rng)
        return model

    @property
    def device(self) -> torch.device:
        """The device of the weights."""
        return next(self.parameters()).device

    def initial_state(self, batch_size: int) -> State:
        """Return the state at the beginning of a text: zeros."""
        return _concatenated([member.initial_state(batch_size) for member in self._rnns()])

    def forward(
        self, tokens: Tensor, state: State, masks: DropoutMasks | None = None
    ) -> tuple[Tensor, State]:
        """Compute the logits of the next token after each step.

        Args:
            tokens: Token ids (B, T), from 0 to V, where V is config.bos_id.
            state: The state before them.
            masks: Dropout masks; without them (outside training) there is no dropout.

        Returns:
            Logits (B, T, V) and the state after step T.
        """
        hidden, after = self.hidden(tokens, state, masks)
        return self.logits(hidden), after

    def hidden(self, tokens: Tensor, state: State, masks: DropoutMasks | None = None) -> tuple[Tensor, State]:
        """Return the last outputs of all members (B, T, K D) and the state after step T: see `forward`."""
        depth = len(self.config.state_shapes)
        outputs, after = [], []
        for number, member in enumerate(self._rnns()):
            own = State(state.layers[number * depth : (number + 1) * depth])
            hidden, own_after = member.hidden(tokens, own, masks)
            outputs.append(hidden)
            after.append(own_after)
        return torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0], _concatenated(after)

    def logits(self, hidden: Tensor) -> Tensor:
        """Map hidden states (..., K D) to logits (..., V); with a large vocabulary most of the cost is here.

        The logits of an ensemble are the logarithms of the mean probabilities.
        """
        first, *others = (member.logits(own) for member, own in self._split(hidden))
        if not others:
            return first
        total = torch.log_softmax(first.float(), -1)
        for one in others:
            total = torch.logaddexp(total, torch.log_softmax(one.float(), -1))
        return total - math.log(len(self.members))

    def mean_nll(self, hidden: Tensor, targets: Tensor, tokens: int) -> Tensor:
        """Return the training loss: the mean over the members of each one's mean NLL, in nats.

        Args:
            hidden: Hidden states (B, T, K D).
            targets: Token ids (B, T), negative where there is none.
            tokens: The number that each member's sum is divided by.
        """
        losses = [
            mean_nll(
                own.flatten(0, -2), member.output_matrix, member.output_bias, targets.flatten(), tokens=tokens
            )
            for member, own in self._split(hidden)
        ]
        return torch.stack(losses).mean() if len(losses) > 1 else losses[0]

    def _rnns(self) -> Iterator[RNN]:
        """The members with their type, which nn.ModuleList does not keep."""
        for member in self.members:
            assert isinstance(member, RNN)
            yield member

    def _split(self, hidden: Tensor) -> Iterator[tuple[RNN, Tensor]]:
        """Each member with its own hidden states (..., D)."""
        return zip(self._rnns(), torch.split(hidden, self.config.hidden_size, -1), strict=True)


def _concatenated(states: list[State]) -> State:
    return State(tuple(layer for state in states for layer in state.layers))
