"""A model of torch as what writes, for devices that numpy does not know. Shapes: B lanes, V symbols."""

import numpy as np
import numpy.typing as npt
import torch

from rnncli.nn.language_model import LanguageModel
from rnncli.nn.state import State

_WINDOW = 1024


class TorchEngine:
    """The methods of numpy_decoder/decoder.py, on the device of the model."""

    def __init__(self, model: LanguageModel) -> None:
        self.config = model.config
        self._model = model

    def initial_state(self, lanes: int) -> State:
        return self._model.initial_state(lanes)

    @torch.inference_mode()
    def step(self, tokens: npt.NDArray[np.integer], state: State) -> tuple[npt.NDArray[np.float32], State]:
        """tokens (B,) -> logits (B, V) of what follows them, and the state after them."""
        hidden, after = self._model.hidden(self._moved(tokens[:, None]), state)
        return self._logits(hidden), after

    @torch.inference_mode()
    def read(self, tokens: npt.NDArray[np.integer], state: State) -> tuple[npt.NDArray[np.float32], State]:
        """tokens (N,), N > 0, and the state of one lane -> logits (1, V) of what follows, and the state."""
        for start in range(0, len(tokens), _WINDOW):
            hidden, state = self._model.hidden(self._moved(tokens[None, start : start + _WINDOW]), state)
        return self._logits(hidden), state

    def lanes(self, state: State, chosen: npt.NDArray[np.intp]) -> State:
        """The state of some lanes, in their order."""
        places = torch.from_numpy(chosen).to(self._model.device)
        return state.map(lambda tensor: tensor[places])

    def _moved(self, tokens: npt.NDArray[np.integer]) -> torch.Tensor:
        return torch.from_numpy(tokens.astype(np.int64)).to(self._model.device)

    def _logits(self, hidden: torch.Tensor) -> npt.NDArray[np.float32]:
        found: npt.NDArray[np.float32] = self._model.logits(hidden[:, -1]).float().cpu().numpy()
        return found
