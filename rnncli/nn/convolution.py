"""Several symbols seen together, before the first layer. Shapes: B lanes, T time, E width, K taps."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnncli.nn.config import ModelConfig
from rnncli.nn.state import BlockState


class Convolution(nn.Module):
    """y_t = x_t + relu(b + sum_k W_k x_{t-K+1+k}), causal; its memory is the last K - 1 inputs (B, K - 1, E).

    (Waibel et al. 1989, Phoneme recognition using time-delay neural networks.)
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        e = config.embedding_size
        self.taps = config.convolution
        self.weight = nn.Parameter(torch.zeros(e, e, self.taps))
        self.bias = nn.Parameter(torch.zeros(e))

    def initial_state(self, batch_size: int) -> BlockState:
        return (self.bias.new_zeros(batch_size, self.taps - 1, len(self.bias)),)

    def forward(self, inputs: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
        seen = torch.cat([state[0], inputs.to(state[0].dtype)], 1)
        together = seen.unfold(1, self.taps, 1).flatten(2)  # (B, T, E K)
        outputs = inputs + F.linear(together, self.weight.flatten(1), self.bias).relu()
        return outputs, (seen[:, seen.shape[1] - self.taps + 1 :],)
