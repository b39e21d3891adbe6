"""The cost model: steps, time and memory of a run, from its configuration and a measured throughput.

Times are in seconds, throughputs in training tokens per second.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np

from rnncli.data.dataset import TokenDataset
from rnncli.data.splits import line_bounds
from rnncli.evaluation.config import CHUNKS, sampled_cost
from rnncli.events import Planned
from rnncli.nn.cell_registry import CELLS
from rnncli.nn.config import ModelConfig
from rnncli.nn.loss import MAX_LOGITS
from rnncli.training.config import TrainConfig

# Scoring needs no gradients. Measured: 2.4 times as fast as training with a vocabulary of 66, 1.9 with 9,590.
_SCORING_SPEEDUP = 2.0
# Python, torch, its libraries and their caches, measured at the end of small runs.
_BASE_MEMORY_BYTES = 490_000_000
# Time to fit an n-gram, per token and order. Measured with characters: 0.2 microseconds at orders 5 to 8.
_NGRAM_SECONDS = 3e-7
# Copies of the weights in memory: themselves, gradients, two moments, the best weights, and temporaries of
# the gradients. On the CPU also the bytes of a checkpoint, which has three copies, and of the best weights.
# `python -m benchmarks.memory` measures peaks beside these predictions.
_TRAINING_COPIES, _SAVING_COPIES = 8, 4
# Copies on disk: two checkpoints and one that is being written, each of weights and two moments; and the best
# weights, twice while they are replaced.
_DISK_COPIES = 3 * 3 + 2


@dataclass(frozen=True)
class LineSize:
    """The lines of a training split that is trained line by line.

    Attributes:
        count: Number of lines.
        longest: Length of the longest line, in tokens.
    """

    count: int
    longest: int


@dataclass(frozen=True)
class CorpusSize:
    """What the planner needs to know about a tokenized text.

    Attributes:
        name: Name of the text.
        encoding: How it is encoded and compressed, in words.
        level: Tokenization level.
        vocab_size: Size of the vocabulary.
        train_tokens: Tokens of the training split.
        valid_tokens: Tokens of the validation split.
        lines: The lines of the training split if it is trained line by line, else None.
    """

    name: str
    encoding: str
    level: str
    vocab_size: int
    train_tokens: int
    valid_tokens: int
    lines: LineSize | None = None

    @classmethod
    def of(cls, dataset: TokenDataset) -> Self:
        """Return the sizes of a token dataset."""
        train, lines = dataset.train, None
        if train.line_starts is not None:
            _, lengths = line_bounds(train.ids, train.line_starts, np.arange(len(train.line_starts)))
            lines = LineSize(len(lengths), int(lengths.max()))
        return cls(
            dataset.name,
            dataset.origin.encoding,
            dataset.tokenizer.level,
            dataset.tokenizer.vocab_size,
            train.tokens,
            dataset.valid.tokens,
            lines,
        )


def step_tokens(corpus: CorpusSize, batch_size: int, bptt: int) -> float:
    """Return the mean number of tokens that one step trains on."""
    if corpus.lines is None:
        return batch_size * bptt
    return batch_size * min(corpus.train_tokens / corpus.lines.count, bptt)


def predict(
    corpus: CorpusSize,
    model: ModelConfig,
    training: TrainConfig,
    device: str,
    *,
    tokens_per_second: float,
    used_seconds: float,
    done_steps: int = 0,
    reserve_seconds: float = 0.0,
    reasons: tuple[str, ...] = (),
    unusable: tuple[str, ...] = (),
) -> Planned:
    """Predict the steps, epochs, time and memory of a whole run.

    Args:
        corpus: The sizes of the text.
        model: The architecture.
        training: The training configuration.
        device: Type of the device.
        tokens_per_second: Throughput of training.
        used_seconds: Time of the run that is over.
        done_steps: Steps of the run that are done.
        reserve_seconds: Time of the run that is reserved for what comes after training.
        reasons: Reasons for the decisions of the planner, to be shown.
        unusable: Backends that cannot be used here, and why, to be shown.
    """
    seconds = steps = None
    tokens_per_step = step_tokens(corpus, training.batch_size, training.bptt)
    if not training.open_ended:
        each = validation_seconds(training, corpus, tokens_per_second)
        validating = _validations_left(training, used_seconds, done_steps) * each
        seconds = budget_seconds(
            corpus,
            training,
            tokens_per_second,
            used_seconds=used_seconds,
            done_steps=done_steps,
            validating_seconds=validating,
        )
        training_seconds = seconds - used_seconds - validating
        if training.seconds is not None:
            left = training.seconds - reserve_seconds - used_seconds - validating
            training_seconds = min(training_seconds, left)
        steps = done_steps + max(1, round(training_seconds * tokens_per_second / tokens_per_step))
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
        train_tokens=None if steps is None else round(steps * tokens_per_step),
        epochs=None if steps is None else steps * tokens_per_step / corpus.train_tokens,
        seconds=seconds,
        patience=training.patience,
        tokens_per_second=tokens_per_second,
        memory_bytes=memory_bytes(model, training, device),
        reasons=reasons,
        unusable=unusable,
    )


def budget_seconds(
    corpus: CorpusSize,
    training: TrainConfig,
    tokens_per_second: float,
    *,
    used_seconds: float = 0.0,
    done_steps: int = 0,
    validating_seconds: float = 0.0,
) -> float:
    """Return how long a run lasts from its beginning: until its time or its steps are used.

    Args:
        corpus: The sizes of the text.
        training: The training configuration; it has a budget.
        tokens_per_second: Throughput of training.
        used_seconds: Time of the run that is over.
        done_steps: Steps of the run that are done.
        validating_seconds: Time that the validations to come take.
    """
    limits = [] if training.seconds is None else [training.seconds]
    if training.steps is not None:
        steps_left = max(training.steps - done_steps, 0)
        left = steps_left * step_tokens(corpus, training.batch_size, training.bptt) / tokens_per_second
        limits.append(used_seconds + left + validating_seconds)
    return min(limits)


def _validations_left(training: TrainConfig, used_seconds: float, done_steps: int) -> float:
    """Return the validations in the rest of the budget; all of them before the first step."""
    used = [done_steps / training.steps] if training.steps else []
    if training.seconds is not None and done_steps:
        used.append(used_seconds / training.seconds)
    return training.validations * (1.0 - min(max(used, default=0.0), 1.0))


def validation_seconds(training: TrainConfig, corpus: CorpusSize, tokens_per_second: float) -> float:
    """Return how long one validation takes, from the throughput of training."""
    tokens = sampled_cost(corpus.valid_tokens, training.validation_tokens)
    return tokens / (_SCORING_SPEEDUP * tokens_per_second)


def ngram_seconds(training: TrainConfig, corpus: CorpusSize, order: int, tokens_per_second: float) -> float:
    """Return how long it takes to fit an n-gram and its interpolation weights; 0 for order 0 (none).

    The weights are fitted on the tokens that a validation scores.
    """
    if not order:
        return 0.0
    fitting = _NGRAM_SECONDS * order * corpus.train_tokens
    return fitting + validation_seconds(training, corpus, tokens_per_second)


def affordable_validation_tokens(corpus: CorpusSize, tokens_per_second: float, seconds: float) -> int:
    """Return how many tokens a validation of so many seconds scores, with the cost of its warm-up."""
    affordable = int(seconds * _SCORING_SPEEDUP * tokens_per_second)
    tokens = corpus.valid_tokens
    while tokens > 1 and sampled_cost(corpus.valid_tokens, tokens) > affordable:
        tokens = int(tokens * 0.9)
    return tokens


def disk_bytes(model: ModelConfig) -> int:
    """Return the largest size of the checkpoints and weights of a run on disk, without its text."""
    return 4 * _DISK_COPIES * model.parameters


def memory_bytes(model: ModelConfig, training: TrainConfig, device: str) -> int:
    """Return the peak memory of training: copies of the weights, activations, logits and hidden states."""
    tokens = training.batch_size * training.bptt
    activations = model.ensemble_size * (
        2 * model.embedding_size
        + sum(
            (2 * cell.gates + 4 + (4 * model.mogrifier if cell.has_mogrifier else 0)) * model.hidden_size
            + (cell.input_taps * input_size if cell.input_taps > 1 else 0)
            for cell, input_size in zip(map(CELLS.__getitem__, model.cells), model.input_sizes, strict=True)
        )
        + model.convolution * model.embedding_size
        + (4 * model.hidden_size + 3 * (model.attention + training.bptt) if model.attention else 0)
    )
    if training.activation_regularization or training.temporal_regularization:
        activations += 4 * model.ensemble_size * model.hidden_size
    logits = 3 * min(tokens * model.vocab_size, MAX_LOGITS)  # logits, softmax, gradient
    copies = _TRAINING_COPIES + (_SAVING_COPIES if device == "cpu" else 0)
    # States before and after a batch, and their gradients; a validation has more rows.
    states = 4 * max(training.batch_size, CHUNKS) * model.state_floats
    floats = copies * model.parameters + tokens * activations + logits + states
    return _BASE_MEMORY_BYTES + 4 * floats
