"""A run that was written and read again goes on as if nothing had happened."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rnncli.data.batching import Lanes, Windows
from rnncli.data.lines import Lines, line_starts
from rnncli.errors import ModelError
from rnncli.nn.config import Cell, ModelConfig
from rnncli.nn.language_model import LanguageModel
from rnncli.results import Score
from rnncli.storage.checkpoint import packed_run, read_run
from rnncli.training.config import TrainConfig
from rnncli.training.step import Run, train_step
from rnncli.training.trainer import train
from tests.conftest import Eager

CPU = torch.device("cpu")
MODEL = ModelConfig(vocab_size=4, cell="gru", hidden_size=12, embedding_size=6, num_layers=2, dropout=0.3)
CONFIG = TrainConfig(steps=40, batch_size=3, bptt=8, validations=4)
IDS = np.tile(np.array([0, 1, 2, 3, 3], np.uint8), 60)
LANES = Lanes(IDS, MODEL.start, 3, 8)
# Some lines are longer than a window of 3, some have nothing but their end.
LINES = Lines(IDS, line_starts(IDS, 3), MODEL.start, 3, 3)


def score(model: LanguageModel) -> Score:
    return Score(1e-6 * float(model.members[0].embedding.weight.detach().abs().sum()), 1, 1, 1, 1)


@pytest.mark.parametrize(("cell", "members"), [("rnn", 1), ("gru", 1), ("lstm", 1), ("lstm", 2)])
@pytest.mark.parametrize("stop", [1, 9, 10, 13, 39])
@pytest.mark.parametrize("windows", [LANES, LINES], ids=["lanes", "lines"])
def test_a_resumed_run_ends_with_the_same_bits(
    cell: Cell, members: int, stop: int, windows: Windows, own_folder: Path
) -> None:
    model = replace(MODEL, cell=cell, members=members)
    whole = Run.new(model, CONFIG, CPU)
    list(train(whole, windows, CONFIG, score))

    stopped = Run.new(model, CONFIG, CPU)
    for report in train(stopped, windows, CONFIG, score, clock=Eager()):
        if report.step >= stop:
            break
    path = own_folder / "run.safetensors"
    path.write_bytes(packed_run(stopped))
    resumed = read_run(path, model, CONFIG, CPU, stopped.best)
    assert resumed.step == stop
    list(train(resumed, windows, CONFIG, score))
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name
    assert whole.best is not None
    assert resumed.best is not None
    assert whole.best.step == resumed.best.step


def test_a_run_can_be_written_before_its_first_step(own_folder: Path) -> None:
    run = Run.new(MODEL, CONFIG, CPU)
    (own_folder / "run").write_bytes(packed_run(run))
    assert read_run(own_folder / "run", MODEL, CONFIG, CPU, None).step == 0


def test_a_run_of_other_shapes_is_refused(own_folder: Path) -> None:
    run = Run.new(MODEL, CONFIG, CPU)
    train_step(run, LANES[0], CONFIG, 0.01)
    (own_folder / "run").write_bytes(packed_run(run))
    with pytest.raises(ModelError, match="not of the shape"):
        read_run(own_folder / "run", replace(MODEL, embedding_size=7), CONFIG, CPU, None)
    with pytest.raises(ModelError, match="not of the shape"):
        read_run(own_folder / "run", replace(MODEL, cell="lstm"), CONFIG, CPU, None)
