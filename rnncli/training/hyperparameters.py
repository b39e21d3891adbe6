"""Hyperparameters: which network, how large, and with which batches, learning rate and regularization.

The numbers come from the search that docs/recipes.md describes. Throughputs are in training tokens per
second.
"""

from dataclasses import dataclass, replace

from rnncli.nn.config import BLOCK, ModelConfig
from rnncli.options import overridden
from rnncli.training.config import TrainConfig
from rnncli.training.cost_model import CorpusSize, memory_bytes, step_tokens
from rnncli.training.hardware import HardwareProfile
from rnncli.training.overrides import Overrides

HIDDEN_SIZES = (64, 96, 128, 192, 256, 384, 512, 640, 768, 1024)
# Throughput falls more slowly than the number of operations grows, since larger matrix products use a
# processor better. Measured exponents: from 0.6, with matrix units, to 0.95, without.
_THROUGHPUT_EXPONENT = 0.8
# A smaller network learns less in the same time; a larger one is trained on too few tokens or, on a short
# text, only memorizes it sooner. Subwords need fewer tokens per parameter, words do not.
_TOKENS_PER_PARAMETER, _SUBWORDS_PER_PARAMETER = 3.0, 2.0
_MAX_PARAMETERS_PER_TOKEN = 20
# The best learning rate falls with the hidden size: 6e-3 at 384, 4e-3 at 512.
_LR_TIMES_HIDDEN_SIZE, _MAX_LR = 2.0, 8e-3
# The peak learning rate of fine-tuning is so many times that of training.
_FINE_TUNING_FACTOR = 0.5
# The more epochs, the more regularization: dropout and weight decay grow with their number up to a maximum.
_DROPOUT_PER_EPOCH, _WEIGHT_DECAY_PER_EPOCH = 0.02, 0.035
_MIN_DROPOUT, _MAX_DROPOUT = 0.1, 0.3
_MIN_WEIGHT_DECAY, _MAX_WEIGHT_DECAY = 0.01, 0.3
# Coefficients of activation regularization (AR) and temporal activation regularization (TAR): half as much is
# as good, twice as much is not. With fewer epochs they make a model worse, as they do on a short text, where
# dropout is high.
_AR, _TAR = 2.0, 1.0
_MIN_EPOCHS_FOR_AR, _MIN_EPOCHS_FOR_AR_LARGE_VOCABULARY = 4.0, 3.0
# From here on the logits cost more than the recurrence, and tied embeddings save half of them.
_LARGE_VOCABULARY = 2_000
_SHORT_TEXT_TOKENS = 300_000
# Two layers learn more from as many tokens than one layer with as many weights, unless the budget makes them
# narrow. Measured with lstm and characters.
_DEEP_CELL, _DEPTH, _MIN_DEEP_HIDDEN_SIZE = "lstm", 2, 384
_SHORT_TEXT_DROPOUT = 0.5
# After about twenty epochs a model only memorizes. The shortest texts, with their dropout, need this many
# tokens all the same.
_ENOUGH_EPOCHS, _MAX_EPOCHS, _ENOUGH_TOKENS = 20, 60, 2_000_000
# Two networks with half the epochs each are better than one, once these are enough and the networks have more
# weights than the text has tokens. The eighth still helps a little; each makes generation and scoring slower.
_EPOCHS_PER_MEMBER, _EPOCHS_PER_MEMBER_LARGE_VOCABULARY, MAX_ENSEMBLE_SIZE = 5.5, 4.4, 8
# Line-by-line training: the tokens of a batch, the longest line that is not divided, and the most rows.
_LINES_BATCH_TOKENS, _MAX_LINE_LENGTH, _MAX_LINES = 2048, 256, 512
# A text should fill this many batches.
_MIN_BATCHES = 8


@dataclass(frozen=True)
class Decision:
    """A decision of the planner that the text, the budget or the machine caused.

    Attributes:
        name: What was decided: hidden_size, ensemble_size, epochs, level, threads or kernels.
        value: The value that was chosen.
        reason: Why, as a clause.
    """

    name: str
    value: int | str
    reason: str

    def __str__(self) -> str:
        return f"{_PHRASES[self.name].format(self.value)}: {self.reason}"


_PHRASES = {
    "hidden_size": "hidden size {}",
    "ensemble_size": "ensemble of {}",
    "epochs": "{} epochs",
    "level": "level {}",
    "threads": "threads {}",
    "kernels": "{} kernels for the loss and gated layers",
}


def choose_model_config(
    corpus: CorpusSize, overrides: Overrides, profile: HardwareProfile
) -> tuple[ModelConfig, tuple[Decision, ...]]:
    """Choose the largest network that the budget pays for, of two layers if these are large enough.

    Returns:
        The architecture, without what depends on its measured throughput, and why it is no larger.
    """
    large, short = corpus.vocab_size >= _LARGE_VOCABULARY, corpus.train_tokens < _SHORT_TEXT_TOKENS
    cell = overrides.model.cell or ("gru" if large else ModelConfig.cell)
    if cell == _DEEP_CELL and not (large or short):
        deep, decisions = _largest(corpus, overrides, profile, cell=cell, num_layers=_DEPTH)
        if deep.hidden_size >= _MIN_DEEP_HIDDEN_SIZE:
            return deep, decisions
    return _largest(corpus, overrides, profile, cell=cell, num_layers=ModelConfig.num_layers)


def _largest(
    corpus: CorpusSize, overrides: Overrides, profile: HardwareProfile, *, cell: str, num_layers: int
) -> tuple[ModelConfig, tuple[Decision, ...]]:
    """Choose the largest hidden size that the budget pays for, and say why it is no larger."""
    large = corpus.vocab_size >= _LARGE_VOCABULARY
    tokens_per_parameter = _SUBWORDS_PER_PARAMETER if corpus.level == "subword" else _TOKENS_PER_PARAMETER

    def with_hidden_size(hidden_size: int) -> ModelConfig:
        tied = overrides.model.tied_embeddings
        if tied is None:
            tied = large and overrides.model.embedding_size is None
        chosen = ModelConfig(
            vocab_size=corpus.vocab_size,
            cell=cell,
            num_layers=overrides.model.num_layers or num_layers,
            hidden_size=hidden_size,
            tied_embeddings=tied,
            embedding_size=hidden_size if tied else min(hidden_size, ModelConfig.embedding_size),
        )
        return overridden(chosen, overrides.model)

    def affordable_tokens(model: ModelConfig) -> float | None:
        if overrides.seconds is None:
            return None
        return _predicted_throughput(model, profile) * overrides.seconds

    def ensemble_size(model: ModelConfig) -> int:
        tokens = affordable_tokens(model)
        return overrides.model.ensemble_size or (1 if tokens is None else _ensemble_size(tokens, corpus))

    def why_not(larger: ModelConfig, chosen: ModelConfig) -> str | None:
        """Return why the larger network is not chosen, as a clause; None if it may be."""
        if larger.recurrent_parameters > _MAX_PARAMETERS_PER_TOKEN * corpus.train_tokens:
            return "a larger one would only memorize a text this short"
        needed_bytes = memory_bytes(larger, choose_training(corpus, overrides, larger), profile.device)
        if profile.memory_bytes is not None and needed_bytes > profile.memory_bytes:
            return "a larger one would not fit into memory"
        tokens = _training_tokens(affordable_tokens(larger), corpus, overrides)
        if tokens < tokens_per_parameter * larger.recurrent_parameters:
            wider_one = "a larger one" if block == 1 else "the next size of the fused kernels"
            return f"{wider_one} would see too few tokens"
        if corpus.train_tokens < chosen.recurrent_parameters and ensemble_size(larger) == 1 < ensemble_size(
            chosen
        ):
            return "a larger one would leave no time for an ensemble"
        return None

    # The fused kernels compute blocks of units; with a large vocabulary they are by far the fastest.
    free = overrides.training.kernels is None and overrides.training.precision is None
    fused = profile.fused and large and overrides.seconds is not None and free
    block = BLOCK if fused or overrides.training.kernels == "fused" else 1
    if overrides.model.hidden_size is not None:
        return with_hidden_size(overrides.model.hidden_size), ()
    first, *others = [size for size in HIDDEN_SIZES if size % block == 0]
    chosen = with_hidden_size(first)
    for hidden_size in others:
        larger = with_hidden_size(hidden_size)
        reason = why_not(larger, chosen)
        if reason is not None:
            return chosen, (Decision("hidden_size", chosen.hidden_size, reason),)
        chosen = larger
    return chosen, ()


def choose_training(corpus: CorpusSize, overrides: Overrides, model: ModelConfig) -> TrainConfig:
    """Choose batches, learning rate and regularization; the planner chooses the budget later."""
    batch_size, bptt = _batch_shape(corpus, overrides)
    short = corpus.train_tokens < _SHORT_TEXT_TOKENS
    chosen = TrainConfig(
        steps=1,  # until the budget is chosen
        patience=overrides.patience,
        save_steps=overrides.save_steps,
        save_seconds=overrides.save_seconds,
        batch_size=batch_size,
        bptt=bptt,
        learning_rate=_peak_lr(model),
        activation_regularization=0.0 if short else _AR,
        temporal_regularization=0.0 if short else _TAR,
    )
    return overridden(chosen, overrides.training)


def against_overfitting(
    model: ModelConfig,
    training: TrainConfig,
    corpus: CorpusSize,
    overrides: Overrides,
    *,
    tokens_per_second: float,
    max_ensemble_size: int,
) -> tuple[ModelConfig, TrainConfig, tuple[Decision, ...]]:
    """Choose ensemble size, dropout, weight decay and activation regularization by the number of epochs.

    Args:
        model: The architecture.
        training: The training configuration.
        corpus: The sizes of the text.
        overrides: What the user chose.
        tokens_per_second: Measured throughput of this very model.
        max_ensemble_size: How many such networks fit into memory.
    """
    decisions: tuple[Decision, ...] = ()
    affordable = overrides.seconds * tokens_per_second if overrides.seconds is not None else None
    if overrides.model.ensemble_size is None and affordable is not None:
        model = replace(model, ensemble_size=min(_ensemble_size(affordable, corpus), max_ensemble_size))
        if model.ensemble_size > 1:
            reason = "better than one network that reads the text more often"
            decisions = (Decision("ensemble_size", model.ensemble_size, reason),)
            affordable /= model.ensemble_size
    epochs = _training_tokens(affordable, corpus, overrides) / corpus.train_tokens
    if overrides.model.dropout is None:
        by_epochs = _clamped(_DROPOUT_PER_EPOCH * epochs, _MIN_DROPOUT, _MAX_DROPOUT)
        short = corpus.train_tokens < _SHORT_TEXT_TOKENS
        model = replace(model, dropout=_SHORT_TEXT_DROPOUT if short else by_epochs)
    if overrides.training.weight_decay is None:
        decay = _clamped(_WEIGHT_DECAY_PER_EPOCH * epochs, _MIN_WEIGHT_DECAY, _MAX_WEIGHT_DECAY)
        training = replace(training, weight_decay=decay)
    large = corpus.vocab_size >= _LARGE_VOCABULARY
    if epochs < (_MIN_EPOCHS_FOR_AR_LARGE_VOCABULARY if large else _MIN_EPOCHS_FOR_AR):
        if overrides.training.activation_regularization is None:
            training = replace(training, activation_regularization=0.0)
        if overrides.training.temporal_regularization is None:
            training = replace(training, temporal_regularization=0.0)
    return model, training, decisions


def fine_tuning_lr(model: ModelConfig) -> float:
    """Return the peak learning rate of fine-tuning."""
    return _FINE_TUNING_FACTOR * _peak_lr(model)


def enough_epochs(corpus: CorpusSize) -> int:
    """Return after how many epochs a model only memorizes; a budget of time ends there."""
    return min(max(_ENOUGH_TOKENS // corpus.train_tokens, _ENOUGH_EPOCHS), _MAX_EPOCHS)


def _peak_lr(model: ModelConfig) -> float:
    return min(_LR_TIMES_HIDDEN_SIZE / model.hidden_size, _MAX_LR)


def _clamped(value: float, low: float, high: float) -> float:
    """Clamp a value, and round it to hundredths: more digits would mean nothing."""
    return round(min(max(value, low), high), 2)


def _ensemble_size(tokens: float, corpus: CorpusSize) -> int:
    """Return how many networks should share a budget of training tokens."""
    if corpus.train_tokens < _SHORT_TEXT_TOKENS:
        # With high dropout a network needs all epochs over a short text before a second one helps.
        epochs_per_member = float(enough_epochs(corpus))
    elif corpus.vocab_size >= _LARGE_VOCABULARY:
        epochs_per_member = _EPOCHS_PER_MEMBER_LARGE_VOCABULARY
    else:
        epochs_per_member = _EPOCHS_PER_MEMBER
    return min(max(int(tokens / corpus.train_tokens / epochs_per_member), 1), MAX_ENSEMBLE_SIZE)


def _training_tokens(affordable: float | None, corpus: CorpusSize, overrides: Overrides) -> float:
    """Return the number of training tokens: in the given steps or epochs, if there is time for them."""
    if overrides.steps is not None:
        given = float(overrides.steps) * step_tokens(corpus, *_batch_shape(corpus, overrides))
    else:
        given = (overrides.epochs or enough_epochs(corpus)) * corpus.train_tokens
    return given if affordable is None else min(affordable, given)


def _predicted_throughput(model: ModelConfig, profile: HardwareProfile) -> float:
    """Predict the throughput from that of the reference model and the ratio of their operations."""

    def operations(config: ModelConfig) -> int:
        return config.recurrent_parameters + config.vocab_size * config.hidden_size

    reference = profile.reference
    ratio = operations(reference) / operations(model)
    one_network = profile.tokens_per_second * ratio**_THROUGHPUT_EXPONENT
    return float(one_network * reference.ensemble_size / model.ensemble_size)


def _batch_shape(corpus: CorpusSize, overrides: Overrides) -> tuple[int, int]:
    """Choose the batch size and the length of backpropagation; smaller for a text that fills few batches."""
    bptt = overrides.training.bptt or TrainConfig.bptt
    batch_size = overrides.training.batch_size or TrainConfig.batch_size
    if corpus.lines is not None:
        # As many short lines as make a batch of the usual size; long ones are not divided.
        bptt = overrides.training.bptt or min(corpus.lines.longest, _MAX_LINE_LENGTH)
        if overrides.training.batch_size is None:
            batch_size = _MAX_LINES
            while batch_size > 1 and (
                step_tokens(corpus, batch_size, bptt) > _LINES_BATCH_TOKENS
                or _MIN_BATCHES * batch_size > corpus.lines.count
            ):
                batch_size //= 2
    elif overrides.training.batch_size is None:
        while batch_size > 1 and _MIN_BATCHES * batch_size * bptt > corpus.train_tokens:
            batch_size //= 2
    if corpus.lines is None and overrides.training.bptt is None:
        while bptt > 1 and batch_size * bptt > corpus.train_tokens:
            bptt //= 2
    return batch_size, bptt
