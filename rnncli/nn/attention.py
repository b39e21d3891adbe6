"""Attention to the network's own past. Shapes: B lanes, T time, D width, W steps of memory.

         <------ memory (W) ------> <--- inputs (T) --->
step t attends to                |___________t
                                  t - W
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rnncli.nn.config import ModelConfig
from rnncli.nn.state import BlockState


class Attention(nn.Module):
    """y_t = x_t + O sum_j softmax_j(x_j · Q x_t / sqrt(D)) x_j, over j from t - W to t.

    One head, and the past itself as keys and values (after Merity 2019, Single headed attention RNN). Its
    memory is what it has seen (B, W, D), and which of it is more than the emptiness before a text (B, W).
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.steps = config.attention
        self.query = nn.Parameter(torch.zeros(config.hidden_size, config.hidden_size))
        self.output = nn.Parameter(torch.zeros(config.hidden_size, config.hidden_size))

    def initial_state(self, batch_size: int) -> BlockState:
        return (
            self.query.new_zeros(batch_size, self.steps, len(self.query)),
            self.query.new_zeros(batch_size, self.steps),
        )

    def forward(self, inputs: Tensor, state: BlockState) -> tuple[Tensor, BlockState]:
        lanes, time, width = inputs.shape
        seen = torch.cat([state[0], inputs.to(state[0].dtype)], 1)
        there = torch.cat([state[1], state[1].new_ones(lanes, time)], 1)
        distances = (
            torch.arange(seen.shape[1], device=seen.device) - torch.arange(time, device=seen.device)[:, None]
        )
        near = (distances >= 0) & (distances <= self.steps)
        scores = F.linear(inputs, self.query) @ seen.transpose(1, 2)
        scores = scores.float() / math.sqrt(width)
        weights = scores.masked_fill(~(near & (there[:, None] > 0)), -math.inf).softmax(-1)
        outputs = inputs + F.linear(weights.to(inputs.dtype) @ seen.to(inputs.dtype), self.output)
        return outputs, (seen[:, -self.steps :], there[:, -self.steps :])
