"""Torch layers of the cells with a linear recurrence: mingru, minlstm, rglru and qrnn.

    h_t = a_t h_{t-1} + b_t, where a_t and b_t depend on the inputs and not on h

So the matrix products of all steps are one, and from step to step only one multiplication and one addition
per unit are left.

Shapes:
  B: batch size
  T: time steps
  E: input size
  D: hidden size
  G: gates
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnncli.nn.cell_registry import RGLRU_SHARPNESS, implements
from rnncli.nn.config import ModelConfig
from rnncli.nn.layers import LayerState, RecurrentLayer

LINEAR_LAYERS: dict[str, type[RecurrentLayer]] = {}

# The least number of which a square root is taken: at zero its gradient would be infinite.
_SMALLEST = 1e-12
# Initial time constants range from one step to this many.
_LONGEST = 64.0


class LinearLayer(RecurrentLayer):
    """A layer whose gates are all computed at once by weight (G D, E) and bias (G D)."""

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__(config, input_size)
        shapes = self.cell.weights(self.sizes)
        self.weight = nn.Parameter(torch.zeros(shapes["weight"]))
        self.bias = nn.Parameter(torch.zeros(shapes["bias"]))

    def forward(self, inputs: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        products = F.linear(inputs.transpose(0, 1), self.weight, self.bias).float()
        decay, new, output_gate = self._recurrence(products.chunk(self.cell.gates, -1))
        states = scan(decay, new, state[0].float())
        outputs = states if output_gate is None else states * output_gate
        return outputs.transpose(0, 1), (states[-1],)

    def _recurrence(self, gates: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor | None]:
        """Map gates (T, B, D) to a and b of the recurrence, and to the output gate if there is one."""
        raise NotImplementedError


@implements("mingru", LINEAR_LAYERS)
class MinGruLayer(LinearLayer):
    """minGRU: z = σ(W_z x),  h' = (1 - z) h + z W_n x.

    Feng et al. 2024, Were RNNs all we needed?, section 3.1.
    """

    def _recurrence(self, gates: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor | None]:
        update, candidate = gates
        return torch.sigmoid(-update), torch.sigmoid(update) * candidate, None

    @torch.no_grad()
    def initialize(self, rng: torch.Generator) -> None:
        update, _ = self.bias.chunk(2)
        update.copy_(-_time_constants(update, rng).log())  # z = 1 / (1 + time constant)


@implements("minlstm", LINEAR_LAYERS)
class MinLstmLayer(LinearLayer):
    """minLSTM: f, i = σ(W x) normalized to sum to one,  h' = f h + i W_n x.

    Feng et al. 2024, Were RNNs all we needed?, section 3.2.
    """

    def _recurrence(self, gates: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor | None]:
        forget, add, candidate = gates
        # σ(f) / (σ(f) + σ(i)), accurate even where both are nearly zero.
        keep = torch.sigmoid(F.logsigmoid(forget) - F.logsigmoid(add))
        return keep, (1.0 - keep) * candidate, None

    @torch.no_grad()
    def initialize(self, rng: torch.Generator) -> None:
        _, add, _ = self.bias.chunk(3)
        add.copy_(-(2.0 * _time_constants(add, rng) - 1.0).log())  # where σ(f) = 1 / 2


@implements("rglru", LINEAR_LAYERS)
class RgLruLayer(LinearLayer):
    """The real-gated linear recurrent unit with the output gate of its block.

        r, i = σ(W x),  a = exp(-8 softplus(Λ) r),  h' = a h + sqrt(1 - a²) i (W_u x),  y = gelu(W_o x) h'

    De et al. 2024, Griffin, section 2.4.
    """

    def __init__(self, config: ModelConfig, input_size: int) -> None:
        super().__init__(config, input_size)
        self.decay = nn.Parameter(torch.zeros(self.cell.weights(self.sizes)["decay"]))

    def _recurrence(self, gates: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor | None]:
        value, reset, add, output_gate = gates
        log_decay = -RGLRU_SHARPNESS * F.softplus(self.decay) * torch.sigmoid(reset)
        scale = torch.sqrt((-torch.expm1(2.0 * log_decay)).clamp(min=_SMALLEST))
        return log_decay.exp(), scale * torch.sigmoid(add) * value, F.gelu(output_gate, approximate="tanh")

    @torch.no_grad()
    def initialize(self, rng: torch.Generator) -> None:
        # So that a = exp(-1 / time constant) at r = 1/2.
        rate = 2.0 / (RGLRU_SHARPNESS * _time_constants(self.decay, rng))
        self.decay.copy_(rate.expm1().log())


@implements("qrnn", LINEAR_LAYERS)
class QrnnLayer(LinearLayer):
    """The quasi-recurrent network with fo-pooling; X is the last K inputs, K = cell.input_taps.

        z = tanh(W_z X),  f, o = σ(W X),  h' = f h + (1 - f) z,  y = o h'

    Bradbury et al. 2016, Quasi-recurrent neural networks. weight is (3 D, K E), the current input last;
    the K - 1 inputs before it are part of the state (B, K - 1, E).
    """

    def forward(self, inputs: Tensor, state: LayerState) -> tuple[Tensor, LayerState]:
        taps = self.cell.input_taps
        padded = torch.cat([state[1], inputs.to(state[1].dtype)], 1)
        receptive_fields = padded.unfold(1, taps, 1).transpose(2, 3).flatten(2)  # (B, T, K E)
        outputs, (after,) = super().forward(receptive_fields, state[:1])
        return outputs, (after, padded[:, padded.shape[1] - taps + 1 :])

    def _recurrence(self, gates: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor | None]:
        candidate, forget, output_gate = gates
        new = torch.sigmoid(-forget) * torch.tanh(candidate)
        return torch.sigmoid(forget), new, torch.sigmoid(output_gate)

    @torch.no_grad()
    def initialize(self, rng: torch.Generator) -> None:
        _, forget, _ = self.bias.chunk(3)
        forget.copy_(_time_constants(forget, rng).log())  # f = time constant / (1 + time constant)


def _time_constants(like: Tensor, rng: torch.Generator) -> Tensor:
    """Sample time constants (D,) in steps, log-uniformly.

    Tallec and Ollivier 2018, Can recurrent neural networks warp time?
    """
    return _LONGEST ** torch.rand(like.shape, generator=rng)


def scan(decay: Tensor, new: Tensor, h: Tensor) -> Tensor:
    """Compute h_t = decay_t h_{t-1} + new_t for all steps.

    Args:
        decay: (T, B, D).
        new: (T, B, D).
        h: The hidden state before the first step (B, D).

    Returns:
        The hidden states (T, B, D).
    """
    states: Tensor = _Scan.apply(decay, new, h)  # type: ignore[no-untyped-call]
    return states


class _Scan(torch.autograd.Function):
    """The gradient is the same recurrence backwards: g_t = d loss / d h_t + decay_{t+1} g_{t+1}."""

    @staticmethod
    def forward(ctx: Any, decay: Tensor, new: Tensor, h: Tensor) -> Tensor:
        states = run_scan(decay, new, h)
        ctx.save_for_backward(decay, states, h)
        return states

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:
        decay, states, h = ctx.saved_tensors
        later = torch.cat([decay[1:], torch.zeros_like(decay[:1])])
        total = run_scan(later.flip(0), gradients[0].flip(0), torch.zeros_like(h)).flip(0)
        before = torch.cat([h[None], states[:-1]])
        return total * before, total, total[0] * decay[0]


def run_scan(decay: Tensor, new: Tensor, h: Tensor) -> Tensor:
    """Compute `scan` without gradients, in the way that suits the device."""
    return stepwise(decay, new, h) if decay.device.type == "cpu" else doubling(decay, new, h)


def stepwise(decay: Tensor, new: Tensor, h: Tensor) -> Tensor:
    """Compute `scan` one step after another: on a CPU the numbers of one step stay in the cache."""
    states = torch.empty_like(new)
    for a, b, after in zip(decay.unbind(), new.unbind(), states.unbind(), strict=True):
        h = torch.addcmul(b, a, h, out=after)
    return states


def doubling(decay: Tensor, new: Tensor, h: Tensor) -> Tensor:
    """Compute `scan` in log T rounds over all steps, each twice as far: for GPUs.

    Hillis and Steele 1986, Data parallel algorithms.
    """
    a, b = decay, torch.cat([new[:1] + decay[:1] * h, new[1:]])
    reach = 1
    while reach < len(b):
        b = torch.cat([b[:reach], b[reach:] + a[reach:] * b[:-reach]])
        a = torch.cat([a[:reach], a[reach:] * a[:-reach]])
        reach *= 2
    return b
