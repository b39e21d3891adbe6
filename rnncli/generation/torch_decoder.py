"""A torch model as a LogitsDecoder, for devices that NumPy does not support.

Shapes:
  B: batch size
  N: tokens of a prompt
  V: vocabulary size
"""

import numpy as np
import numpy.typing as npt
import torch

from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.nn.rnn import State

# Tokens of a prompt that are read in one call.
_CHUNK_TOKENS = 1024


class TorchDecoder:
    """The interface of NumPyDecoder (numpy_decoder/decoder.py) on the device of the model."""

    def __init__(self, model: RNNLanguageModel) -> None:
        self.config = model.config
        self._model = model

    def initial_state(self, batch_size: int) -> State:
        """Return the state at the beginning of a text: zeros."""
        return self._model.initial_state(batch_size)

    @torch.inference_mode()
    def step(self, tokens: npt.NDArray[np.integer], state: State) -> tuple[npt.NDArray[np.float32], State]:
        """Return the logits (B, V) after one more token of each text (B,), and the state."""
        hidden, after = self._model.hidden(self._to_device(tokens[:, None]), state)
        return self._logits(hidden), after

    @torch.inference_mode()
    def read(self, tokens: npt.NDArray[np.integer], state: State) -> tuple[npt.NDArray[np.float32], State]:
        """Return the logits (1, V) after some tokens (N,), N > 0, of a single text, and the state."""
        for start in range(0, len(tokens), _CHUNK_TOKENS):
            chunk = self._to_device(tokens[None, start : start + _CHUNK_TOKENS])
            hidden, state = self._model.hidden(chunk, state)
        return self._logits(hidden), state

    def select(self, state: State, rows: npt.NDArray[np.intp]) -> State:
        """Return the state of some rows of the batch, in their order; a row may occur several times."""
        indices = torch.from_numpy(rows).to(self._model.device)
        return state.map(lambda tensor: tensor[indices])

    def _to_device(self, tokens: npt.NDArray[np.integer]) -> torch.Tensor:
        return torch.from_numpy(tokens.astype(np.int64)).to(self._model.device)

    def _logits(self, hidden: torch.Tensor) -> npt.NDArray[np.float32]:
        logits: npt.NDArray[np.float32] = self._model.logits(hidden[:, -1]).float().cpu().numpy()
        return logits
