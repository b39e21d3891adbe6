"""A state that was written and read again goes on as if nothing had happened."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rnncli.data.batching import Batches, LineBatches, StreamBatches
from rnncli.data.text_units import line_starts
from rnncli.errors import ModelError
from rnncli.metrics import Score
from rnncli.nn.config import ModelConfig
from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.storage.checkpoints import read_state, serialize_state
from rnncli.training.config import TrainConfig
from rnncli.training.state import TrainState
from rnncli.training.step import train_step
from rnncli.training.trainer import Trainer
from tests.conftest import Eager

CPU = torch.device("cpu")
MODEL = ModelConfig(vocab_size=4, cell="gru", hidden_size=12, embedding_size=6, num_layers=2, dropout=0.3)
CONFIG = TrainConfig(steps=40, batch_size=3, bptt=8, validations=4)
IDS = np.tile(np.array([0, 1, 2, 3, 3], np.uint8), 60)
LANES = StreamBatches(IDS, MODEL.bos_id, 3, 8)
# Some lines are longer than a window of 3, some have nothing but their end.
LINES = LineBatches(IDS, line_starts=line_starts(IDS, 3), bos_id=MODEL.bos_id, batch_size=3, bptt=3)


def score(model: RNNLanguageModel) -> Score:
    return Score(1e-6 * float(model.members[0].embedding.weight.detach().abs().sum()), 1, 1, 1, 1)


@pytest.mark.parametrize(("cell", "members"), [("rnn", 1), ("gru", 1), ("lstm", 1), ("lstm", 2)])
@pytest.mark.parametrize("stop", [1, 9, 10, 13, 39])
@pytest.mark.parametrize("windows", [LANES, LINES], ids=["lanes", "lines"])
def test_a_resumed_run_ends_with_the_same_bits(
    cell: str, members: int, stop: int, windows: Batches, own_folder: Path
) -> None:
    model = replace(MODEL, cell=cell, ensemble_size=members)
    whole = TrainState.new(model, CONFIG, CPU)
    list(Trainer(state=whole, batches=windows, config=CONFIG, validate=score).run())

    stopped = TrainState.new(model, CONFIG, CPU)
    for event in Trainer(state=stopped, batches=windows, config=CONFIG, validate=score, clock=Eager()).run():
        if event.step >= stop:
            break
    path = own_folder / "state.safetensors"
    path.write_bytes(serialize_state(stopped))
    resumed = read_state(path, model, CONFIG, CPU, saved=stopped.best)
    assert resumed.step == stop
    list(Trainer(state=resumed, batches=windows, config=CONFIG, validate=score).run())
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    assert whole.best is not None
    assert resumed.best is not None
    assert whole.best.step == resumed.best.step


def test_a_run_can_be_written_before_its_first_step(own_folder: Path) -> None:
    state = TrainState.new(MODEL, CONFIG, CPU)
    (own_folder / "state").write_bytes(serialize_state(state))
    assert read_state(own_folder / "state", MODEL, CONFIG, CPU, saved=None).step == 0


def test_a_run_of_other_shapes_is_refused(own_folder: Path) -> None:
    state = TrainState.new(MODEL, CONFIG, CPU)
    train_step(state, LANES[0], CONFIG, 0.01)
    (own_folder / "state").write_bytes(serialize_state(state))
    with pytest.raises(ModelError, match="does not have the shape"):
        read_state(own_folder / "state", replace(MODEL, embedding_size=7), CONFIG, CPU, saved=None)
    with pytest.raises(ModelError, match="does not have the shape"):
        read_state(own_folder / "state", replace(MODEL, cell="lstm"), CONFIG, CPU, saved=None)
