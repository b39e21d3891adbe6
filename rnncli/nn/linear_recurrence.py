"""Gated linear recurrences: gates that know the input alone. Shapes: B lanes, T time, E input, D width.

h_t = a_t h_{t-1} + b_t, where a_t and b_t do not depend on h. All matrix products of a window are one, and
what is left from step to step is one multiplication and one addition a unit.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnncli.nn.config import GATES, QRNN_TAPS, RGLRU_SHARPNESS, ModelConfig
from rnncli.nn.state import BlockState

# Of what a root is taken: at zero its gradient would be infinite.
_SMALLEST = 1e-12
# Memories at first last from one step to so many, evenly by their logarithms.
_LONGEST = 64.0


class LinearLayer(nn.Module):
    """weight (G D, E) and bias (G D) give all gates of a window at once."""

    cell: ClassVar[str]

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__()
        self.gates = GATES[self.cell]
        self.weight = nn.Parameter(torch.zeros(self.gates * config.hidden_size, input_size))
        self.bias = nn.Parameter(torch.zeros(self.gates * config.hidden_size))

    def initial_state(self, batch_size: int) -> BlockState:
        return (self.weight.new_zeros(batch_size, len(self.bias) // self.gates),)

    def forward(self, inputs: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
        products = F.linear(inputs.transpose(0, 1), self.weight, self.bias).float()
        decay, new, opens = self._recurrence(products.chunk(self.gates, -1))
        states = scan(decay, new, state[0].float())
        outputs = states if opens is None else states * opens
        return outputs.transpose(0, 1), (states[-1],)

    def _recurrence(self, gates: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor | None]:
        """Gates (T, B, D) each -> a and b of the recurrence, and what its result is multiplied with."""
        raise NotImplementedError

    @torch.no_grad()
    def initialize(self, rng: torch.Generator) -> None:
        """What is not drawn like other weights: how long a memory lasts at first."""
        raise NotImplementedError


class MinGruLayer(LinearLayer):
    """z = σ(W_z x),  h' = (1 - z) h + z W_n x (Feng et al. 2024, Were RNNs all we needed?, minGRU)."""

    cell = "mingru"

    def _recurrence(self, gates: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor | None]:
        update, candidate = gates
        return torch.sigmoid(-update), torch.sigmoid(update) * candidate, None

    @torch.no_grad()
    def initialize(self, rng: torch.Generator) -> None:
        update, _ = self.bias.chunk(2)
        update.copy_(-_horizons(update, rng).log())  # z = 1 / (1 + horizon)


class MinLstmLayer(LinearLayer):
    """f, i = σ(W x) made to sum to one,  h' = f h + i W_n x (Feng et al. 2024, minLSTM)."""

    cell = "minlstm"

    def _recurrence(self, gates: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor | None]:
        forget, add, candidate = gates
        # σ(f) / (σ(f) + σ(i)), also where both are all but zero.
        keep = torch.sigmoid(F.logsigmoid(forget) - F.logsigmoid(add))
        return keep, (1.0 - keep) * candidate, None

    @torch.no_grad()
    def initialize(self, rng: torch.Generator) -> None:
        _, add, _ = self.bias.chunk(3)
        add.copy_(-(2.0 * _horizons(add, rng) - 1.0).log())  # beside f = 1 / 2


class RgLruLayer(LinearLayer):
    """Real-gated linear recurrent unit with the output gate of its block (De et al. 2024, Griffin, 2.4).

    r, i = σ(W x),  a = exp(-8 softplus(Λ) r),  h' = a h + sqrt(1 - a²) i (W_u x),  y = gelu(W_o x) h'
    """

    cell = "rglru"

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__(config, input_size)
        self.decay = nn.Parameter(torch.zeros(config.hidden_size))

    def _recurrence(self, gates: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor | None]:
        value, reset, add, opens = gates
        log_decay = -RGLRU_SHARPNESS * F.softplus(self.decay) * torch.sigmoid(reset)
        grown = torch.sqrt((-torch.expm1(2.0 * log_decay)).clamp(min=_SMALLEST))
        return log_decay.exp(), grown * torch.sigmoid(add) * value, F.gelu(opens, approximate="tanh")

    @torch.no_grad()
    def initialize(self, rng: torch.Generator) -> None:
        # At r = 1/2 a memory keeps exp(-1 / horizon) of itself.
        rate = 2.0 / (RGLRU_SHARPNESS * _horizons(self.decay, rng))
        self.decay.copy_(rate.expm1().log())


class QrnnLayer(LinearLayer):
    """z = tanh(W_z X),  f, o = σ(W X),  h' = f h + (1 - f) z,  y = o h', X the last K = QRNN_TAPS inputs.

    (Bradbury et al. 2016, Quasi-recurrent neural networks, fo-pooling.) weight (3 D, K E), the latest x last;
    K - 1 of them are memory too (B, K - 1, E).
    """

    cell = "qrnn"

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__(config, QRNN_TAPS * input_size)

    def initial_state(self, batch_size: int) -> BlockState:
        input_size = self.weight.shape[1] // QRNN_TAPS
        inputs = self.weight.new_zeros(batch_size, QRNN_TAPS - 1, input_size)
        return *super().initial_state(batch_size), inputs

    def forward(self, inputs: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
        seen = torch.cat([state[1], inputs.to(state[1].dtype)], 1)
        together = seen.unfold(1, QRNN_TAPS, 1).transpose(2, 3).flatten(2)  # (B, T, K E)
        outputs, (after,) = super().forward(together, state[:1])
        return outputs, (after, seen[:, seen.shape[1] - QRNN_TAPS + 1 :])

    def _recurrence(self, gates: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor | None]:
        candidate, forget, opens = gates
        return torch.sigmoid(forget), torch.sigmoid(-forget) * torch.tanh(candidate), torch.sigmoid(opens)

    @torch.no_grad()
    def initialize(self, rng: torch.Generator) -> None:
        _, forget, _ = self.bias.chunk(3)
        forget.copy_(_horizons(forget, rng).log())  # f = horizon / (1 + horizon)


def _horizons(like: Tensor, rng: torch.Generator) -> Tensor:
    """(D,) steps, log-uniform (Tallec and Ollivier 2018, Can recurrent neural networks warp time?)."""
    return _LONGEST ** torch.rand(like.shape, generator=rng)


def scan(decay: Tensor, new: Tensor, h: Tensor) -> Tensor:
    """decay and new (T, B, D), h (B, D) before them -> h_t = decay_t h_{t-1} + new_t (T, B, D)."""
    states: Tensor = _Scan.apply(decay, new, h)  # type: ignore[no-untyped-call]
    return states


class _Scan(torch.autograd.Function):
    """The gradient is the same recurrence, backwards: g_t = d loss / d h_t + decay_{t+1} g_{t+1}."""

    @staticmethod
    def forward(ctx: Any, decay: Tensor, new: Tensor, h: Tensor) -> Tensor:
        states = _run(decay, new, h)
        ctx.save_for_backward(decay, states, h)
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        decay, states, h = ctx.saved_tensors
        later = torch.cat([decay[1:], torch.zeros_like(decay[:1])])
        total = _run(later.flip(0), gradients[0].flip(0), torch.zeros_like(h)).flip(0)
        before = torch.cat([h[None], states[:-1]])
        return total * before, total, total[0] * decay[0]


def _run(decay: Tensor, new: Tensor, h: Tensor) -> Tensor:
    return stepwise(decay, new, h) if decay.device.type == "cpu" else doubling(decay, new, h)


def stepwise(decay: Tensor, new: Tensor, h: Tensor) -> Tensor:
    """One step after another: on a processor a step's numbers stay in the cache."""
    states = torch.empty_like(new)
    for a, b, after in zip(decay.unbind(), new.unbind(), states.unbind(), strict=True):
        h = torch.addcmul(b, a, h, out=after)
    return states


def doubling(decay: Tensor, new: Tensor, h: Tensor) -> Tensor:
    """In log T rounds over the whole window, each twice as far (Hillis and Steele 1986): for a GPU."""
    a, b = decay, torch.cat([new[:1] + decay[:1] * h, new[1:]])
    reach = 1
    while reach < len(b):
        b = torch.cat([b[:reach], b[reach:] + a[reach:] * b[:-reach]])
        a = torch.cat([a[:reach], a[reach:] * a[:-reach]])
        reach *= 2
    return b
