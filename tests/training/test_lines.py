"""Learning from padded windows: padding costs nothing and teaches nothing."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
import torch

from rnncli.data.batching import PADDING, Window
from rnncli.data.lines import Lines, line_starts
from rnncli.events import Evaluated, Stepped
from rnncli.nn.config import Cell, ModelConfig
from rnncli.nn.language_model import LanguageModel
from rnncli.results import Score
from rnncli.training.config import TrainConfig
from rnncli.training.step import Run, train_step
from rnncli.training.trainer import train

CPU = torch.device("cpu")
END = 4
MODEL = ModelConfig(vocab_size=5, hidden_size=12, embedding_size=6, num_layers=2, dropout=0.0)
CONFIG = TrainConfig(steps=80, batch_size=3, bptt=16, learning_rate=0.02, validations=2, gradient_clip=1e9)
IDS = np.array([0, 1, 2, 3, END, 0, END, 2, 2, END, 1, 3, 1, 3, 1, 3, 1, END, END] * 10, np.uint8)
STARTS = line_starts(IDS, END)


def lines(bptt: int = 16) -> Lines:
    return Lines(IDS, STARTS, MODEL.start, 3, bptt)


def wider(window: Window, columns: int) -> Window:
    """The same lines with more padding behind them."""
    rows = len(window.inputs)
    more_inputs = np.zeros((rows, columns), np.int64)
    more_targets = np.full((rows, columns), PADDING, np.int64)
    return Window(
        np.concatenate([window.inputs, more_inputs], axis=1),
        np.concatenate([window.targets, more_targets], axis=1),
        window.fresh,
    )


def gradients(run: Run) -> list[torch.Tensor]:
    return [p.grad.clone() for p in run.model.parameters() if p.grad is not None]


def no_score(model: LanguageModel) -> Score:
    return Score(1.0, 1, 1, 1, 1)


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_the_loss_is_the_mean_over_real_tokens(cell: Cell) -> None:
    model = ModelConfig(vocab_size=5, hidden_size=12, embedding_size=6, cell=cell, dropout=0.0)
    run, window = Run.new(model, CONFIG, CPU), lines()[0]
    assert (window.targets == PADDING).any()
    assert window.tokens == int((window.targets != PADDING).sum())
    nats = []
    with torch.no_grad():
        for inputs, targets in zip(window.inputs, window.targets, strict=True):
            real = int((targets != PADDING).sum())
            logits, _ = run.model(torch.from_numpy(inputs[None, :real]), run.model.initial_state(1))
            chosen = torch.log_softmax(logits[0].double(), 1)[torch.arange(real), targets[:real]]
            nats += (-chosen).tolist()
    loss, *_ = train_step(run, window, CONFIG, 0.0)
    assert float(loss) == pytest.approx(sum(nats) / len(nats), rel=1e-5)
    assert len(nats) == window.tokens


@pytest.mark.parametrize("columns", [1, 8, 50])
def test_more_padding_changes_neither_loss_nor_gradient(columns: int) -> None:
    window = lines()[0]
    narrow, wide = Run.new(MODEL, CONFIG, CPU), Run.new(MODEL, CONFIG, CPU)
    loss, _, norm = train_step(narrow, window, CONFIG, 0.01)
    wide_loss, _, wide_norm = train_step(wide, wider(window, columns), CONFIG, 0.01)
    assert float(loss) == pytest.approx(float(wide_loss), rel=1e-6)
    assert norm == pytest.approx(wide_norm, rel=1e-5)
    for one, other in zip(gradients(narrow), gradients(wide), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-7)


def test_what_stands_in_the_padding_of_the_inputs_teaches_nothing() -> None:
    window = lines()[0]
    inputs = window.inputs.copy()
    inputs[window.targets == PADDING] = 3
    one, other = Run.new(MODEL, CONFIG, CPU), Run.new(MODEL, CONFIG, CPU)
    loss, *_ = train_step(one, window, CONFIG, 0.01)
    other_loss, *_ = train_step(other, Window(inputs, window.targets, window.fresh), CONFIG, 0.01)
    assert float(loss) == float(other_loss)
    for a, b in zip(gradients(one), gradients(other), strict=True):
        assert torch.equal(a, b)


def test_nothing_passes_from_one_window_of_lines_to_the_next() -> None:
    """Even where the memory of the run holds something wild."""
    clean, wild = Run.new(MODEL, CONFIG, CPU), Run.new(MODEL, CONFIG, CPU)
    wild.state = wild.state.map(lambda tensor: torch.full_like(tensor, 1e6))
    assert lines()[1].fresh.all()
    after_clean, after_wild = (train_step(run, lines()[1], CONFIG, 0.01) for run in (clean, wild))
    assert (after_clean.nats, after_clean.norm) == (after_wild.nats, after_wild.norm)


def test_lines_are_learned() -> None:
    config = replace(CONFIG, steps=300, gradient_clip=1.0)
    run = Run.new(MODEL, config, CPU)
    reports = [r for r in train(run, lines(), config, no_score) if isinstance(r, Evaluated)]
    assert reports[0].train_nats_per_token > reports[-1].train_nats_per_token
    assert reports[-1].train_nats_per_token < 0.9, "less than the 1.6 of pure chance"
    assert run.skipped_steps == 0


def test_the_speed_that_is_reported_is_that_of_real_tokens() -> None:
    def tick() -> Iterator[float]:
        instant = 0.0
        while True:
            yield instant
            instant += 1.0

    ticks = tick()
    steps = [
        report
        for report in train(Run.new(MODEL, CONFIG, CPU), lines(), CONFIG, no_score, clock=lambda: next(ticks))
        if isinstance(report, Stepped)
    ]
    most = max(lines()[k].tokens for k in range(lines().windows_per_epoch))
    assert steps
    assert all(0.0 < report.tokens_per_second <= most for report in steps)
    assert any(report.tokens_per_second < lines()[0].targets.size for report in steps)


def test_a_line_longer_than_the_window_is_learned_in_stretches_without_a_break() -> None:
    run = Run.new(MODEL, CONFIG, CPU)
    reports = [r for r in train(run, lines(bptt=3), CONFIG, no_score) if isinstance(r, Evaluated)]
    assert run.skipped_steps == 0
    assert reports[-1].train_nats_per_token < reports[0].train_nats_per_token
