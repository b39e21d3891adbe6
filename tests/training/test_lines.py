"""Line-by-line training: padding changes neither loss nor gradient."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from rnncli.data.batching import PADDING, Batch, LineBatches
from rnncli.data.text_units import line_starts
from rnncli.events import Evaluated, Stepped
from rnncli.metrics import Score
from rnncli.nn.config import ModelConfig
from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.training.config import TrainConfig
from rnncli.training.state import TrainState
from rnncli.training.step import train_step
from rnncli.training.trainer import Trainer

CPU = torch.device("cpu")
END = 4
MODEL = ModelConfig(vocab_size=5, hidden_size=12, embedding_size=6, num_layers=2, dropout=0.0)
CONFIG = TrainConfig(steps=80, batch_size=3, bptt=16, learning_rate=0.02, validations=2, gradient_clip=1e9)
IDS = np.array([0, 1, 2, 3, END, 0, END, 2, 2, END, 1, 3, 1, 3, 1, 3, 1, END, END] * 10, np.uint8)
STARTS = line_starts(IDS, END)


def lines(bptt: int = 16) -> LineBatches:
    return LineBatches(IDS, line_starts=STARTS, bos_id=MODEL.bos_id, batch_size=3, bptt=bptt)


def wider(batch: Batch, columns: int) -> Batch:
    """Return the same lines with more padding."""
    rows = len(batch.inputs)
    more_inputs = np.zeros((rows, columns), np.int64)
    more_targets = np.full((rows, columns), PADDING, np.int64)
    return Batch(
        np.concatenate([batch.inputs, more_inputs], axis=1),
        np.concatenate([batch.targets, more_targets], axis=1),
        batch.reset,
    )


def gradients(state: TrainState) -> list[torch.Tensor]:
    return [p.grad.clone() for p in state.model.parameters() if p.grad is not None]


def no_score(model: RNNLanguageModel) -> Score:
    return Score(1.0, 1, 1, 1, 1)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_the_loss_is_the_mean_over_tokens_without_padding(cell: str) -> None:
    model = ModelConfig(vocab_size=5, hidden_size=12, embedding_size=6, cell=cell, dropout=0.0)
    state, batch = TrainState.new(model, CONFIG, CPU), lines()[0]
    assert (batch.targets == PADDING).any()
    assert batch.tokens == int((batch.targets != PADDING).sum())
    nats = []
    with torch.no_grad():
        for inputs, targets in zip(batch.inputs, batch.targets, strict=True):
            real = int((targets != PADDING).sum())
            logits, _ = state.model(torch.from_numpy(inputs[None, :real]), state.model.initial_state(1))
            chosen = torch.log_softmax(logits[0].double(), 1)[torch.arange(real), targets[:real]]
            nats += (-chosen).tolist()
    loss, *_ = train_step(state, batch, CONFIG, 0.0)
    assert float(loss) == pytest.approx(sum(nats) / len(nats), rel=1e-5)
    assert len(nats) == batch.tokens


@pytest.mark.parametrize("columns", [1, 8, 50])
def test_more_padding_changes_neither_loss_nor_gradient(columns: int) -> None:
    batch = lines()[0]
    narrow, wide = TrainState.new(MODEL, CONFIG, CPU), TrainState.new(MODEL, CONFIG, CPU)
    loss, _, norm = train_step(narrow, batch, CONFIG, 0.01)
    wide_loss, _, wide_norm = train_step(wide, wider(batch, columns), CONFIG, 0.01)
    assert float(loss) == pytest.approx(float(wide_loss), rel=1e-6)
    assert norm == pytest.approx(wide_norm, rel=1e-5)
    for one, other in zip(gradients(narrow), gradients(wide), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)


def test_the_inputs_in_the_padding_do_not_matter() -> None:
    batch = lines()[0]
    inputs = batch.inputs.copy()
    inputs[batch.targets == PADDING] = 3
    one, other = TrainState.new(MODEL, CONFIG, CPU), TrainState.new(MODEL, CONFIG, CPU)
    loss, *_ = train_step(one, batch, CONFIG, 0.01)
    other_loss, *_ = train_step(other, Batch(inputs, batch.targets, batch.reset), CONFIG, 0.01)
    assert float(loss) == float(other_loss)
    for a, b in zip(gradients(one), gradients(other), strict=True):
        assert torch.equal(a, b)


def test_no_state_passes_from_one_batch_of_lines_to_the_next() -> None:
    """Even if the hidden state has huge values."""
    clean, wild = TrainState.new(MODEL, CONFIG, CPU), TrainState.new(MODEL, CONFIG, CPU)
    wild.hidden_state = wild.hidden_state.map(lambda tensor: torch.full_like(tensor, 1e6))
    assert lines()[1].reset.all()
    after_clean, after_wild = (train_step(state, lines()[1], CONFIG, 0.01) for state in (clean, wild))
    assert (after_clean.loss, after_clean.gradient_norm) == (after_wild.loss, after_wild.gradient_norm)


def test_lines_are_learned() -> None:
    config = replace(CONFIG, steps=300, gradient_clip=1.0)
    state = TrainState.new(MODEL, config, CPU)
    events = [
        r
        for r in Trainer(state=state, batches=lines(), config=config, validate=no_score).run()
        if isinstance(r, Evaluated)
    ]
    assert events[0].train_nats_per_token > events[-1].train_nats_per_token
    assert events[-1].train_nats_per_token < 0.9, "less than the 1.6 of pure chance"
    assert state.skipped_steps == 0


def test_the_reported_throughput_does_not_count_padding() -> None:
    def tick() -> Iterator[float]:
        instant = 0.0
        while True:
            yield instant
            instant += 1.0

    ticks = tick()
    steps = [
        event
        for event in Trainer(
            state=TrainState.new(MODEL, CONFIG, CPU),
            batches=lines(),
            config=CONFIG,
            validate=no_score,
            clock=lambda: next(ticks),
        ).run()
        if isinstance(event, Stepped)
    ]
    most = max(lines()[k].tokens for k in range(lines().batches_per_epoch))
    assert steps
    assert all(0.0 < event.tokens_per_second <= most for event in steps)
    assert any(event.tokens_per_second < lines()[0].targets.size for event in steps)


def test_a_line_longer_than_a_batch_is_learned_in_several_batches_with_its_state() -> None:
    state = TrainState.new(MODEL, CONFIG, CPU)
    events = [
        r
        for r in Trainer(state=state, batches=lines(bptt=3), config=CONFIG, validate=no_score).run()
        if isinstance(r, Evaluated)
    ]
    assert state.skipped_steps == 0
    assert events[-1].train_nats_per_token < events[0].train_nats_per_token
