"""Which network, how wide, with which lanes, rate and dropout: what the search in docs/recipes.md found."""

from rnncli.model.config import ModelConfig
from rnncli.training.config import TrainConfig
from rnncli.training.forecast import CorpusSize, step_tokens
from rnncli.training.machine import REFERENCE, Machine
from rnncli.training.wishes import Wishes

_WIDTHS = (64, 96, 128, 192, 256, 384, 512, 640, 768, 1024)
# Speed falls more slowly than arithmetic grows: larger products keep the processor busier.
_SPEED_EXPONENT = 0.6
# Measured on texts of 30 kB to 1 MB: narrower learns less in the same minutes, wider gets too few
# tokens or, on a short text, only memorises sooner.
_TOKENS_PER_PARAMETER = 3.0
_PARAMETERS_PER_TEXT_TOKEN = 10
# The best rate falls with the width: 6e-3 at 384, 4e-3 at 512.
_RATE_TIMES_WIDTH, _HIGHEST_RATE = 2.0, 8e-3
# Of that, for weights that are trained already.
_FINE_TUNING = 0.5
# From here the logits cost more than the recurrence, and one matrix for both ends saves half of it.
_LARGE_VOCABULARY = 2_000
_SHORT_TEXT_TOKENS = 300_000
_SHORT_TEXT_DROPOUT = 0.5
# On short texts the held-out loss turns upwards after about this many epochs.
ENOUGH_EPOCHS = 20
# Lines as samples: the longest that is learned in one stretch, and the most side by side.
_LONGEST_LINE_WINDOW, _MOST_LINES = 256, 512


def choose_model(corpus: CorpusSize, wishes: Wishes, machine: Machine, reasons: list[str]) -> ModelConfig:
    large = corpus.vocab_size >= _LARGE_VOCABULARY
    short = corpus.train_tokens < _SHORT_TEXT_TOKENS

    def at_width(width: int) -> ModelConfig:
        tied = wishes.model.get("tied_embeddings", large and "embedding_size" not in wishes.model)
        chosen = {
            "vocab_size": corpus.vocab_size,
            "hidden_size": width,
            "tied_embeddings": tied,
            "embedding_size": width if tied else min(width, ModelConfig.embedding_size),
            "dropout": _SHORT_TEXT_DROPOUT if short else ModelConfig.dropout,
        }
        return ModelConfig(**{**chosen, **wishes.model})

    if "hidden_size" in wishes.model:
        return at_width(wishes.model["hidden_size"])
    fitting = at_width(_WIDTHS[0])
    for width in _WIDTHS[1:]:
        wider = at_width(width)
        if wider.recurrent_parameters > _PARAMETERS_PER_TEXT_TOKEN * corpus.train_tokens:
            reasons.append(f"width {fitting.hidden_size}: a wider one would only memorise so short a text")
            break
        tokens = _affordable_tokens(wider, corpus, wishes, machine)
        if tokens < _TOKENS_PER_PARAMETER * wider.recurrent_parameters:
            reasons.append(f"width {fitting.hidden_size}: a wider one would see too few tokens")
            break
        fitting = wider
    return fitting


def _affordable_tokens(model: ModelConfig, corpus: CorpusSize, wishes: Wishes, machine: Machine) -> float:
    """Tokens that the budget lets a model train on; steps and epochs count the same on any machine."""
    if wishes.seconds is not None:
        return _guessed_speed(model, machine) * wishes.seconds
    if wishes.epochs is not None or wishes.open_ended:
        return (wishes.epochs or ENOUGH_EPOCHS) * corpus.train_tokens
    window = choose_window(corpus, wishes, model)
    return float(wishes.training["steps"]) * step_tokens(corpus, window.batch_size, window.bptt)


def _guessed_speed(model: ModelConfig, machine: Machine) -> float:
    """Tokens per second, from the reference model's and the ratio of their arithmetic."""

    def products(config: ModelConfig) -> int:
        return config.recurrent_parameters + config.vocab_size * config.hidden_size

    return float(machine.tokens_per_second * (products(REFERENCE) / products(model)) ** _SPEED_EXPONENT)


def fine_tuning_rate(model: ModelConfig) -> float:
    """The highest rate for weights that are trained already."""
    return _FINE_TUNING * _training_rate(model)


def _training_rate(model: ModelConfig) -> float:
    return min(_RATE_TIMES_WIDTH / model.hidden_size, _HIGHEST_RATE)


def choose_window(corpus: CorpusSize, wishes: Wishes, model: ModelConfig) -> TrainConfig:
    """Lanes, window and rate; fewer lanes where the text would not fill eight windows."""
    bptt = wishes.training.get("bptt", TrainConfig.bptt)
    batch_size = wishes.training.get("batch_size", TrainConfig.batch_size)
    if corpus.lines is not None:
        # Short lines side by side, as many as make a window of the usual size; long ones uncut.
        bptt = wishes.training.get("bptt", min(corpus.lines.longest, _LONGEST_LINE_WINDOW))
        if "batch_size" not in wishes.training:
            batch_size = _MOST_LINES
            usual = TrainConfig.batch_size * TrainConfig.bptt
            while batch_size > 1 and (
                step_tokens(corpus, batch_size, bptt) > usual or 8 * batch_size > corpus.lines.number
            ):
                batch_size //= 2
    elif "batch_size" not in wishes.training:
        while batch_size > 1 and 8 * batch_size * bptt > corpus.train_tokens:
            batch_size //= 2
    if corpus.lines is None and "bptt" not in wishes.training:
        while bptt > 1 and batch_size * bptt > corpus.train_tokens:
            bptt //= 2
    chosen = {
        "steps": 1,  # until the budget is chosen
        "batch_size": batch_size,
        "bptt": bptt,
        "learning_rate": _training_rate(model),
    }
    open_ended = {key: value for key, value in wishes.training.items() if key not in ("seconds", "steps")}
    return TrainConfig(**{**chosen, **open_ended})
