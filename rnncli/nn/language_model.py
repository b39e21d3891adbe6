"""The model: networks side by side, one distribution. Shapes: B lanes, T time, K members, D width, V symbols.

tokens (B, T) -> each member's outputs (B, T, D), joined (B, T, K D) -> mean of their distributions (B, T, V)
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from rnncli.nn.config import ModelConfig
from rnncli.nn.loss import mean_nats
from rnncli.nn.network import DropoutMasks, Network
from rnncli.nn.state import State


class LanguageModel(nn.Module):
    """P(next token | all before): the mean of what the members say, mostly of one.

    Members differ in their first weights and their dropout. Each is trained on its own loss, and what
    each has memorised or misread is not what the others have: the mean of their probabilities is
    better than the best of them (Lakshminarayanan et al. 2017, Deep ensembles). The memory is an
    argument and a result, never an attribute; it has the layers of one member after another's.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.members = nn.ModuleList(Network(config) for _ in range(config.members))

    @classmethod
    def initialized(cls, config: ModelConfig, rng: torch.Generator) -> "LanguageModel":
        """Fresh weights from `rng` and nothing else."""
        model = cls(config)
        for member in model._networks():
            member.initialize(rng)
        return model

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    def initial_state(self, batch_size: int) -> State:
        """The state before any text: zeros, B lanes."""
        return _joined([member.initial_state(batch_size) for member in self._networks()])

    def forward(
        self, tokens: Tensor, state: State, masks: DropoutMasks | None = None
    ) -> tuple[Tensor, State]:
        """tokens (B, T) -> logits (B, T, V) and the state after T.

        Token ids run from 0 to V; V is `config.start`, "text begins". Dropout acts where masks are
        given, that is in training, and nowhere else.
        """
        hidden, after = self.hidden(tokens, state, masks)
        return self.logits(hidden), after

    def hidden(self, tokens: Tensor, state: State, masks: DropoutMasks | None = None) -> tuple[Tensor, State]:
        """tokens (B, T) -> the members' last outputs (B, T, K D) and the state after T."""
        depth = len(self.config.memories)
        outputs, after = [], []
        for number, member in enumerate(self._networks()):
            own = State(state.blocks[number * depth : (number + 1) * depth])
            hidden, own_after = member.hidden(tokens, own, masks)
            outputs.append(hidden)
            after.append(own_after)
        return torch.cat(outputs, -1) if len(outputs) > 1 else outputs[0], _joined(after)

    def logits(self, hidden: Tensor) -> Tensor:
        """hidden (..., K D) -> logits (..., V): the expensive half where the vocabulary is large.

        Of several members they are the logarithms of the mean probabilities.
        """
        first, *others = (member.logits(own) for member, own in self._shares(hidden))
        if not others:
            return first
        total = torch.log_softmax(first.float(), -1)
        for one in others:
            total = torch.logaddexp(total, torch.log_softmax(one.float(), -1))
        return total - math.log(len(self.members))

    def mean_nats(self, hidden: Tensor, targets: Tensor, tokens: int) -> Tensor:
        """The loss of training: the mean over the members of each one's own mean -ln p(target), a scalar.

        hidden (B, T, K D), targets (B, T), negative where there is none; the sums are divided by `tokens`.
        """
        losses = [
            mean_nats(own.flatten(0, -2), member.output_matrix, member.output_bias, targets.flatten(), tokens)
            for member, own in self._shares(hidden)
        ]
        return torch.stack(losses).mean() if len(losses) > 1 else losses[0]

    def _networks(self) -> Iterator[Network]:
        for member in self.members:
            assert isinstance(member, Network)
            yield member

    def _shares(self, hidden: Tensor) -> Iterator[tuple[Network, Tensor]]:
        """Each member with its own outputs (..., D)."""
        return zip(self._networks(), torch.split(hidden, self.config.hidden_size, -1), strict=True)


def _joined(states: list[State]) -> State:
    return State(tuple(layer for state in states for layer in state.blocks))
