"""Which network, how wide, with which lanes, rate and dropout: what the search in docs/recipes.md found."""

from dataclasses import replace
from typing import Any

from rnncli.nn.config import BLOCK, ModelConfig
from rnncli.training.config import TrainConfig
from rnncli.training.cost_model import CorpusSize, memory_bytes, step_tokens
from rnncli.training.hardware import Machine
from rnncli.training.overrides import Wishes

WIDTHS = (64, 96, 128, 192, 256, 384, 512, 640, 768, 1024)
# Speed falls more slowly than arithmetic grows: larger products keep the processor busier. Measured from
# 0.6, with matrix units, to 0.95 without.
_SPEED_EXPONENT = 0.8
# Narrower learns less in the same minutes, wider gets too few tokens or, on a short text, only
# memorises sooner. Pieces need fewer, words do not.
_TOKENS_PER_PARAMETER, _PIECES_PER_PARAMETER = 3.0, 2.0
_PARAMETERS_PER_TEXT_TOKEN = 20
# The best rate falls with the width: 6e-3 at 384, 4e-3 at 512.
_RATE_TIMES_WIDTH, _HIGHEST_RATE = 2.0, 8e-3
# Of that, for weights that are trained already.
_FINE_TUNING = 0.5
# The more often a text is read, the more there is to keep from being memorised: dropout and weight
# decay by epochs, up to where both stay.
_DROPOUT_PER_EPOCH, _DECAY_PER_EPOCH = 0.02, 0.035
_LEAST_DROPOUT, _MOST_DROPOUT = 0.1, 0.3
_LEAST_DECAY, _MOST_DECAY = 0.01, 0.3
# What activations and their changes cost: half as much is as good, twice as much is not. Read less often, a
# text is learned worse for it, and so is a short one with its dropout.
_PENALTY = {"activation_regularization": 2.0, "temporal_regularization": 1.0}
_EPOCHS_FOR_A_PENALTY, _PENALTY_WITH_MANY_SYMBOLS = 4.0, 3.0
# From here the logits cost more than the recurrence, and one matrix for both ends saves half of it.
_LARGE_VOCABULARY = 2_000
_SHORT_TEXT_TOKENS = 300_000
# Two layers learn more from as many tokens than one of as many weights, but not where the time makes them
# narrow; measured with lstm and characters.
_DEEP_CELL, _DEPTH, _LEAST_DEEP_WIDTH = "lstm", 2, 384
_SHORT_TEXT_DROPOUT = 0.5
# After about twenty epochs more only memorises; the shortest texts, with their dropout, need so many
# tokens all the same.
_ENOUGH_EPOCHS, _MOST_EPOCHS, _ENOUGH_TOKENS = 20, 60, 2_000_000
# Two networks that have read a text half as often each are better than one, once that is often enough and
# they have more weights than the text has tokens. The eighth still adds a little, and each makes writing
# and scoring slower.
_EPOCHS_FOR_A_MEMBER, _WITH_MANY_SYMBOLS, MOST_MEMBERS = 5.5, 4.4, 8
# Lines as samples: tokens of a window, the longest that is learned in one stretch, the most side by side.
_LINES_WINDOW, _LONGEST_LINE, _MOST_LINES = 2048, 256, 512


def choose_model(corpus: CorpusSize, wishes: Wishes, machine: Machine, reasons: list[str]) -> ModelConfig:
    """The widest network that the budget pays for, of two layers where these become wide enough."""
    large, short = corpus.vocab_size >= _LARGE_VOCABULARY, corpus.train_tokens < _SHORT_TEXT_TOKENS
    cell = wishes.model.get("cell", "gru" if large else ModelConfig.cell)
    if cell == _DEEP_CELL and not (large or short):
        said = list[str]()
        deep = _widest(corpus, wishes, machine, cell, _DEPTH, said)
        if deep.hidden_size >= _LEAST_DEEP_WIDTH:
            reasons += said
            return deep
    return _widest(corpus, wishes, machine, cell, ModelConfig.num_layers, reasons)


def _widest(
    corpus: CorpusSize, wishes: Wishes, machine: Machine, cell: str, layers: int, reasons: list[str]
) -> ModelConfig:
    large = corpus.vocab_size >= _LARGE_VOCABULARY
    needed = _PIECES_PER_PARAMETER if corpus.level == "subword" else _TOKENS_PER_PARAMETER

    def at_width(width: int) -> ModelConfig:
        tied = wishes.model.get("tied_embeddings", large and "embedding_size" not in wishes.model)
        chosen = {
            "vocab_size": corpus.vocab_size,
            "cell": cell,
            "num_layers": layers,
            "hidden_size": width,
            "tied_embeddings": tied,
            "embedding_size": width if tied else min(width, ModelConfig.embedding_size),
        }
        return ModelConfig(**{**chosen, **wishes.model})

    def affordable(one: ModelConfig) -> float | None:
        return None if wishes.seconds is None else _guessed_speed(one, machine) * wishes.seconds

    def members(one: ModelConfig) -> int:
        visits = affordable(one)
        return wishes.model.get("members") or (1 if visits is None else _members(visits, corpus))

    # The fused kernels are for blocks of units, and with many symbols nothing comes near them.
    named = {"kernels", "precision"} & wishes.training.keys()
    fused = machine.fused and large and wishes.seconds is not None and not named
    block = BLOCK if fused or wishes.training.get("kernels") == "fused" else 1
    first, *others = [width for width in WIDTHS if width % block == 0]
    fitting = at_width(wishes.model.get("hidden_size", first))
    for width in () if "hidden_size" in wishes.model else others:
        wider = at_width(width)
        if wider.recurrent_parameters > _PARAMETERS_PER_TEXT_TOKEN * corpus.train_tokens:
            reasons.append(f"width {fitting.hidden_size}: a wider one would only memorise so short a text")
            break
        needed_bytes = memory_bytes(wider, choose_training(corpus, wishes, wider), machine.device)
        if machine.memory_bytes is not None and needed_bytes > machine.memory_bytes:
            reasons.append(f"width {fitting.hidden_size}: a wider one would not fit into the memory")
            break
        tokens = _paid(affordable(wider), corpus, wishes)
        if tokens < needed * wider.recurrent_parameters:
            wider_one = "a wider one" if block == 1 else "the next that the fused kernels have"
            reasons.append(f"width {fitting.hidden_size}: {wider_one} would see too few tokens")
            break
        if corpus.train_tokens < fitting.recurrent_parameters and members(wider) == 1 < members(fitting):
            reasons.append(f"width {fitting.hidden_size}: a wider one would leave no time for a second one")
            break
        fitting = wider
    return fitting


def choose_training(corpus: CorpusSize, wishes: Wishes, model: ModelConfig) -> TrainConfig:
    """Lanes, window and rate; the budget and what depends on it come later."""
    batch_size, bptt = _lanes(corpus, wishes)
    chosen = {
        "steps": 1,  # until the budget is chosen
        "batch_size": batch_size,
        "bptt": bptt,
        "learning_rate": _training_rate(model),
    }
    if corpus.train_tokens >= _SHORT_TEXT_TOKENS:
        chosen |= _PENALTY
    named = {key: value for key, value in wishes.training.items() if key not in ("seconds", "steps")}
    return TrainConfig(**{**chosen, **named})


def against_memorising(
    model: ModelConfig,
    training: TrainConfig,
    corpus: CorpusSize,
    wishes: Wishes,
    speed: float,
    most_members: int,
    reasons: list[str],
) -> tuple[ModelConfig, TrainConfig]:
    """Members, dropout, weight decay and a penalty of activations by how often the text is read.

    `speed` is this very network's, and memory holds `most_members` of it.
    """
    affordable = wishes.seconds * speed if wishes.seconds is not None else None
    if "members" not in wishes.model and affordable is not None:
        model = replace(model, members=min(_members(affordable, corpus), most_members))
        if model.members > 1:
            reasons.append(f"{model.members} members: better than one network that reads the text more often")
            affordable /= model.members
    epochs = _paid(affordable, corpus, wishes) / corpus.train_tokens
    if "dropout" not in wishes.model:
        by_epochs = _grown(_DROPOUT_PER_EPOCH * epochs, _LEAST_DROPOUT, _MOST_DROPOUT)
        short = corpus.train_tokens < _SHORT_TEXT_TOKENS
        model = replace(model, dropout=_SHORT_TEXT_DROPOUT if short else by_epochs)
    if "weight_decay" not in wishes.training:
        decay = _grown(_DECAY_PER_EPOCH * epochs, _LEAST_DECAY, _MOST_DECAY)
        training = replace(training, weight_decay=decay)
    large = corpus.vocab_size >= _LARGE_VOCABULARY
    if epochs < (_PENALTY_WITH_MANY_SYMBOLS if large else _EPOCHS_FOR_A_PENALTY):
        free: dict[str, Any] = dict.fromkeys(_PENALTY.keys() - wishes.training.keys(), 0.0)
        training = replace(training, **free)
    return model, training


def fine_tuning_rate(model: ModelConfig) -> float:
    """The highest rate for weights that are trained already."""
    return _FINE_TUNING * _training_rate(model)


def enough_epochs(corpus: CorpusSize) -> int:
    """How often a text is read at the most where nobody says how often."""
    return min(max(_ENOUGH_TOKENS // corpus.train_tokens, _ENOUGH_EPOCHS), _MOST_EPOCHS)


def _training_rate(model: ModelConfig) -> float:
    return min(_RATE_TIMES_WIDTH / model.hidden_size, _HIGHEST_RATE)


def _grown(value: float, least: float, most: float) -> float:
    """Between the two, in hundredths: nobody wants to read more."""
    return round(min(max(value, least), most), 2)


def _members(tokens: float, corpus: CorpusSize) -> int:
    """How many networks can share the visits of so many tokens."""
    # With its dropout a network needs all its passes over a short text before a second one helps.
    if corpus.train_tokens < _SHORT_TEXT_TOKENS:
        needed = float(enough_epochs(corpus))
    else:
        large = corpus.vocab_size >= _LARGE_VOCABULARY
        needed = _WITH_MANY_SYMBOLS if large else _EPOCHS_FOR_A_MEMBER
    return min(max(int(tokens / corpus.train_tokens / needed), 1), MOST_MEMBERS)


def _paid(affordable: float | None, corpus: CorpusSize, wishes: Wishes) -> float:
    """Tokens that a network is trained on: no more than the time allows, nor than are counted."""
    if "steps" in wishes.training:
        counted = float(wishes.training["steps"]) * step_tokens(corpus, *_lanes(corpus, wishes))
    else:
        counted = (wishes.epochs or enough_epochs(corpus)) * corpus.train_tokens
    return counted if affordable is None else min(affordable, counted)


def _guessed_speed(model: ModelConfig, machine: Machine) -> float:
    """Tokens per second, from those of the machine's reference model and the ratio of their arithmetic."""

    def products(config: ModelConfig) -> int:
        return config.recurrent_parameters + config.vocab_size * config.hidden_size

    known = machine.reference
    alone = machine.tokens_per_second * (products(known) / products(model)) ** _SPEED_EXPONENT
    return float(alone * known.members / model.members)


def _lanes(corpus: CorpusSize, wishes: Wishes) -> tuple[int, int]:
    """How many, and how long a window; fewer lanes where the text would not fill eight windows."""
    bptt = wishes.training.get("bptt", TrainConfig.bptt)
    batch_size = wishes.training.get("batch_size", TrainConfig.batch_size)
    if corpus.lines is not None:
        # Short lines side by side, as many as make a window of the usual size; long ones uncut.
        bptt = wishes.training.get("bptt", min(corpus.lines.longest, _LONGEST_LINE))
        if "batch_size" not in wishes.training:
            batch_size = _MOST_LINES
            while batch_size > 1 and (
                step_tokens(corpus, batch_size, bptt) > _LINES_WINDOW or 8 * batch_size > corpus.lines.number
            ):
                batch_size //= 2
    elif "batch_size" not in wishes.training:
        while batch_size > 1 and 8 * batch_size * bptt > corpus.train_tokens:
            batch_size //= 2
    if corpus.lines is None and "bptt" not in wishes.training:
        while bptt > 1 and batch_size * bptt > corpus.train_tokens:
            bptt //= 2
    return batch_size, bptt
