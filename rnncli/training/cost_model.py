"""What a run will take: steps, seconds and memory, from its settings and a measured speed."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from rnncli.data.dataset import TokenStore
from rnncli.data.lines import line_bounds
from rnncli.evaluation.scoring import LANES, sampled_cost
from rnncli.events import Planned
from rnncli.nn.config import GATES, QRNN_TAPS, ModelConfig
from rnncli.nn.loss import MOST_LOGITS
from rnncli.training.config import TrainConfig

# Scoring needs no gradients; measured 2.4 times as fast as training with 66 symbols, 1.9 with 9,590.
_SCORING_SPEEDUP = 2.0
# Python, torch, its libraries and what they set aside, measured at the end of small runs.
_BASE_MEMORY_BYTES = 490_000_000
# Of an n-gram, for every token and order: measured with characters and orders 5 to 8 at 0.2.
_NGRAM_SECONDS = 3e-7
# Weights, gradients, two moments, the best; and what gradients are added up from. In the memory of the CPU
# also the bytes of a checkpoint, which has three, and of the best weights. `python -m benchmarks.memory` has
# measured peaks beside what this foresees.
_TRAINING_COPIES, _SAVING_COPIES = 8, 4
# On disk: two checkpoints and one that is being written, each of weights and two moments; and the best
# weights, twice while they are replaced.
_COPIES_ON_DISK = 3 * 3 + 2


@dataclass(frozen=True)
class LineSize:
    """Of a training part whose lines are samples of their own: how many, and the longest, in tokens."""

    number: int
    longest: int


@dataclass(frozen=True)
class CorpusSize:
    """What a plan needs to know of a tokenized text."""

    name: str
    encoding: str
    level: str
    vocab_size: int
    train_tokens: int
    valid_tokens: int
    lines: LineSize | None = None

    @classmethod
    def of(cls, store: TokenStore) -> Self:
        train, lines = store.train, None
        if train.line_starts is not None:
            _, lengths = line_bounds(train.ids, train.line_starts, np.arange(len(train.line_starts)))
            lines = LineSize(len(lengths), int(lengths.max()))
        return cls(
            store.name,
            store.origin.encoding,
            store.tokenizer.level,
            store.tokenizer.vocab_size,
            train.tokens,
            store.valid.tokens,
            lines,
        )


def step_tokens(corpus: CorpusSize, batch_size: int, bptt: int) -> float:
    """Tokens that one step learns from, on average."""
    if corpus.lines is None:
        return batch_size * bptt
    return batch_size * min(corpus.train_tokens / corpus.lines.number, bptt)


def predict(
    corpus: CorpusSize,
    model: ModelConfig,
    training: TrainConfig,
    device: str,
    tokens_per_second: float,
    used_seconds: float,
    done_steps: int = 0,
    reserve_seconds: float = 0.0,
    reasons: tuple[str, ...] = (),
    dropped: tuple[str, ...] = (),
) -> Planned:
    """The whole run at this speed, of which `used_seconds` and `done_steps` are over.

    `reserve_seconds` of its time are for what comes after the training.
    """
    seconds = steps = None
    tokens_a_step = step_tokens(corpus, training.batch_size, training.bptt)
    if not training.open_ended:
        each = validation_seconds(training, corpus, tokens_per_second)
        validating = _validations_left(training, used_seconds, done_steps) * each
        seconds = budget_seconds(corpus, training, tokens_per_second, used_seconds, done_steps, validating)
        training_seconds = seconds - used_seconds - validating
        if training.seconds is not None:
            left = training.seconds - reserve_seconds - used_seconds - validating
            training_seconds = min(training_seconds, left)
        steps = done_steps + max(1, round(training_seconds * tokens_per_second / tokens_a_step))
    return Planned(
        corpus=corpus.name,
        encoding=corpus.encoding,
        level=corpus.level,
        vocab_size=corpus.vocab_size,
        corpus_tokens=corpus.train_tokens + corpus.valid_tokens,
        valid_tokens=corpus.valid_tokens,
        validation_tokens=min(training.validation_tokens, corpus.valid_tokens),
        architecture=model.architecture,
        parameters=model.parameters,
        batch_size=training.batch_size,
        bptt=training.bptt,
        precision=training.precision,
        kernels=training.kernels,
        threads=training.threads,
        device=device,
        steps=steps,
        train_tokens=None if steps is None else round(steps * tokens_a_step),
        epochs=None if steps is None else steps * tokens_a_step / corpus.train_tokens,
        seconds=seconds,
        patience=training.patience,
        tokens_per_second=tokens_per_second,
        memory_bytes=memory_bytes(model, training, device),
        reasons=reasons,
        dropped=dropped,
    )


def budget_seconds(
    corpus: CorpusSize,
    training: TrainConfig,
    speed: float,
    used_seconds: float,
    done_steps: int,
    validating: float,
) -> float:
    """How long a run lasts from its beginning, at `speed` tokens per second and with `validating` seconds."""
    limits = [] if training.seconds is None else [training.seconds]
    if training.steps is not None:
        steps_left = max(training.steps - done_steps, 0)
        left = steps_left * step_tokens(corpus, training.batch_size, training.bptt) / speed
        limits.append(used_seconds + left + validating)
    return min(limits)


def _validations_left(training: TrainConfig, used_seconds: float, done_steps: int) -> float:
    """Those of what is left of the budget; all of them before the first step, however long that took."""
    shares = [done_steps / training.steps] if training.steps else []
    if training.seconds is not None and done_steps:
        shares.append(used_seconds / training.seconds)
    return training.validations * (1.0 - min(max(shares, default=0.0), 1.0))


def validation_seconds(training: TrainConfig, corpus: CorpusSize, speed: float) -> float:
    """How long one validation takes where training visits `speed` tokens per second."""
    return sampled_cost(corpus.valid_tokens, training.validation_tokens) / (_SCORING_SPEEDUP * speed)


def ngram_seconds(training: TrainConfig, corpus: CorpusSize, order: int, speed: float) -> float:
    """How long it takes to fit an n-gram, and its weights on what a validation scores; of order 0 none."""
    if not order:
        return 0.0
    return _NGRAM_SECONDS * order * corpus.train_tokens + validation_seconds(training, corpus, speed)


def affordable_validation_tokens(corpus: CorpusSize, speed: float, seconds: float) -> int:
    """How many held-out tokens a validation of `seconds` scores, warm-up paid for."""
    readable = int(seconds * _SCORING_SPEEDUP * speed)
    tokens = corpus.valid_tokens
    while tokens > 1 and sampled_cost(corpus.valid_tokens, tokens) > readable:
        tokens = int(tokens * 0.9)
    return tokens


def disk_bytes(model: ModelConfig) -> int:
    """Return how much a run needs for its checkpoints and weights at any time, without its text."""
    return 4 * _COPIES_ON_DISK * model.parameters


def memory_bytes(model: ModelConfig, training: TrainConfig, device: str) -> int:
    """Copies of the weights, and what a window keeps for its gradient: the most at any time."""
    tokens = training.batch_size * training.bptt
    activations = model.members * (
        2 * model.embedding_size
        + sum(
            (2 * GATES[cell] + 4 + (4 * model.mogrifier if cell == "lstm" else 0)) * model.hidden_size
            + (QRNN_TAPS * inputs if cell == "qrnn" else 0)
            for cell, inputs in zip(model.cells, model.input_widths, strict=True)
        )
        + model.convolution * model.embedding_size
        + (4 * model.hidden_size + 3 * (model.attention + training.bptt) if model.attention else 0)
    )
    if training.activation_regularization or training.temporal_regularization:
        activations += 4 * model.members * model.hidden_size
    logits = 3 * min(tokens * model.vocab_size, MOST_LOGITS)  # themselves, their softmax, its gradient
    copies = _TRAINING_COPIES + (_SAVING_COPIES if device == "cpu" else 0)
    # Before and after a window and for its gradient; a validation has more lanes.
    memories = 4 * max(training.batch_size, LANES) * model.memory_floats
    floats = copies * model.parameters + tokens * activations + logits + memories
    return _BASE_MEMORY_BYTES + 4 * floats
