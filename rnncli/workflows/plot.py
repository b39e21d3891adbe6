"""Compute figures: curves of a training from its log, and what a network learned, on the validation split."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnncli.analysis.config import PlotOptions
from rnncli.analysis.figures import ActivationText, Curve, EmbeddingMap, Figure, LineChart
from rnncli.errors import ConfigError, ModelError
from rnncli.files import has_type
from rnncli.results import GradientNorms
from rnncli.storage.model_dir import ModelDir
from rnncli.workflows.splits import own_split

# How much of a text the activations of a neuron are shown for, and how many tokens a map shows.
_SHOWN_TOKENS, _SHOWN_CHARACTERS, _MAP_TOKENS = 800, 4_000, 150


def plot(model_dirs: Sequence[ModelDir], options: PlotOptions) -> Figure:
    """Compute a figure of one or several models.

    Raises:
        ConfigError: The figure is of one model and several are given, or it does not fit the models.
        CorpusError: The text of a model is gone or too short.
    """
    if len(model_dirs) > 1 and options.figure in ("neurons", "embeddings"):
        raise ConfigError(f"--figure {options.figure} is of one model", hint="name one model")
    match options.figure:
        case "loss":
            return loss_curves(model_dirs)
        case "learning-rate":
            return _logged(model_dirs, "learning_rate", "learning rate")
        case "gradient-norms":
            return _logged(model_dirs, "gradient_norms", "gradient norms before clipping", log_y=True)
        case "throughput":
            return _logged(model_dirs, "tokens_per_second", "training throughput")
        case "vanishing-gradients":
            return _vanishing_gradients(model_dirs)
        case "context-ablation":
            return _context_ablation(model_dirs)
        case "neurons":
            return _neuron(model_dirs[0], options.neuron)
        case "embeddings":
            return _embeddings(model_dirs[0])


def measure_gradient_norms(model_dir: ModelDir) -> GradientNorms:
    """Measure how the gradient of a token's loss vanishes through time, on the validation split.

    Raises:
        CorpusError: The text is gone or too short.
    """
    from rnncli.analysis.gradient_norms import gradient_norms, text_segments

    _, valid = own_split(model_dir, "valid")
    return gradient_norms(_network(model_dir), text_segments(valid.ids, valid.line_starts))


def loss_curves(model_dirs: Sequence[ModelDir]) -> LineChart:
    """Validation loss in bits per character, whatever the tokenizers; of one model also training loss."""
    curves = []
    for model_dir in model_dirs:
        found = [line for line in model_dir.metrics() if line["event"] == "evaluated"]
        seconds, scores = _column(found, "seconds"), [line["score"] for line in found]
        bits = [_bits(score, score["nll_nats"]) for score in scores]
        alone = len(model_dirs) == 1
        name = f"{model_dir.path.name}, validation" if alone else model_dir.path.name
        curves.append(Curve(name, seconds, tuple(bits)))
        if alone:
            train = _column(found, "train_nats_per_token")
            nll = [per_token * score["tokens"] for per_token, score in zip(train, scores, strict=True)]
            own = tuple(_bits(score, one) for score, one in zip(scores, nll, strict=True))
            curves.append(Curve(f"{model_dir.path.name}, training", seconds, own))
    return LineChart("loss", "seconds", "bits per character", tuple(curves), log_x=True)


def _logged(model_dirs: Sequence[ModelDir], field: str, title: str, log_y: bool = False) -> LineChart:
    """A field of the training steps in metrics.jsonl; one curve per layer where it has values by layer."""
    curves = []
    for model_dir in model_dirs:
        found = [line for line in model_dir.metrics() if line["event"] == "stepped"]
        columns: dict[str, list[tuple[float, float]]] = {}
        for line in found:
            value: Any = line.get(field)
            for name, own in value.items() if isinstance(value, dict) else [("", value)]:
                if has_type(own, float):
                    columns.setdefault(name, []).append((float(line.get("step", 0)), float(own)))
        for name, points in columns.items():
            x, y = zip(*points, strict=True)
            curves.append(Curve(f"{model_dir.path.name} {name}".strip(), x, y))
    return LineChart(title, "step", field.replace("_", " "), tuple(curves), log_y=log_y)


def _vanishing_gradients(model_dirs: Sequence[ModelDir]) -> LineChart:
    """The gradient norm by distance, relative to one step back."""
    curves = []
    for model_dir in model_dirs:
        for block, norms in measure_gradient_norms(model_dir).norms.items():
            relative = tuple(norm / norms[0] if norms[0] > 0.0 else math.nan for norm in norms)
            x = tuple(float(step) for step in range(1, len(norms) + 1))
            curves.append(Curve(f"{model_dir.path.name} {block}", x, relative))
    title = "vanishing gradients: a token's loss with respect to the hidden states before it"
    return LineChart(title, "steps back", "norm, relative to one step back", tuple(curves), log_y=True)


def _context_ablation(model_dirs: Sequence[ModelDir]) -> LineChart:
    """The loss as a function of context length."""
    from rnncli.analysis.context_ablation import loss_by_context_length

    curves = []
    if len({model_dir.record().tokenizer_fingerprint for model_dir in model_dirs}) > 1:
        raise ConfigError(
            "the models have different tokenizers, so that their context lengths differ",
            hint="plot one at a time",
        )
    for model_dir in model_dirs:
        _, valid = own_split(model_dir, "valid")
        if valid.line_starts is not None:
            raise ConfigError(
                f"{model_dir.path.name} was trained line by line, and its contexts are short",
                hint="use rnncli eval --by position, which shows the loss within lines",
            )
        found = loss_by_context_length(_network(model_dir), valid.ids)
        curves.append(Curve(model_dir.path.name, tuple(map(float, found)), tuple(found.values())))
    title = "context ablation: loss when the model sees only the last k tokens"
    return LineChart(title, "k", "nats per token", tuple(curves), log_x=True)


def _neuron(model_dir: ModelDir, neuron: str | None) -> ActivationText:
    """The activations of a neuron on a text: the given one, or the one that tracks a feature most closely."""
    from rnncli.analysis.neuron_probes import TOKENS, neuron_probes, record_activations

    _, valid = own_split(model_dir, "valid")
    ids = np.asarray(valid.ids[0 : min(TOKENS, valid.tokens)])
    decoder = model_dir.tokenizer().decode_stream()
    pieces = tuple(decoder.push(token) for token in ids.tolist())
    starts = frozenset() if valid.line_starts is None else frozenset(valid.line_starts[:TOKENS].tolist())
    found = record_activations(_network(model_dir), ids, pieces, starts)
    if not np.isfinite(found.values).all():
        raise ModelError("the activations of the model overflow", hint="train another model")
    probes = neuron_probes(found)
    if neuron is None:
        if not probes:
            raise ConfigError(
                "no neuron tracks a feature of this text", hint=f"name one: --neuron {found.neurons[0]}"
            )
        neuron = max(probes, key=lambda probe: abs(probe.r)).neuron
    try:
        values = found.of(neuron)
    except KeyError as error:
        raise ConfigError(
            f"there is no neuron {neuron}", hint=f"they are named {found.neurons[0]} to {found.neurons[-1]}"
        ) from error
    scale = max(float(np.abs(values).max()), 1e-9)
    lengths = np.cumsum([len(piece) for piece in pieces])
    shown = slice(0, min(_SHOWN_TOKENS, max(1, int((lengths <= _SHOWN_CHARACTERS).sum()))))
    tracked = "; ".join(f"{probe.feature}: {probe.neuron}, r {probe.r:+.2f}" for probe in probes)
    return ActivationText(
        f"neuron {neuron} of {model_dir.path.name}",
        f"activation relative to its maximum, {scale:.2f}; neurons that track a feature: {tracked or 'none'}",
        pieces[shown],
        tuple((values[shown] / scale).tolist()),
    )


def _embeddings(model_dir: ModelDir) -> EmbeddingMap:
    """The embeddings of the most frequent tokens in a plane, those of the first ensemble member."""
    from rnncli.analysis.embedding_map import principal_plane
    from rnncli.numpy_decoder.decoder import member_weights

    train, config = model_dir.corpus().train, model_dir.record().model
    tokenizer, weights = model_dir.tokenizer(), model_dir.require_weights().arrays
    counts = train.histogram(tokenizer.vocab_size)
    chosen = np.argsort(-counts, kind="stable")[: min(_MAP_TOKENS, int((counts > 0).sum()))]
    vectors = member_weights(config, weights, 0)["embedding.weight"]
    positions, fraction = principal_plane(vectors[chosen])
    return EmbeddingMap(
        f"token embeddings of {model_dir.path.name}",
        f"{len(chosen)} tokens by the two principal components of their embeddings, "
        f"{fraction:.0%} of the variance; tokens that are close are used alike",
        tuple(tokenizer.id_to_token(token) for token in chosen.tolist()),
        tuple((float(x), float(y)) for x, y in positions),
    )


def _network(model_dir: ModelDir) -> Any:
    from rnncli.storage.checkpoints import load_model
    from rnncli.workflows.devices import pick_device

    return load_model(model_dir, pick_device("cpu"))


def _bits(score: dict[str, Any], nats: float | None) -> float:
    characters: Any = score.get("characters")
    known = nats is not None and has_type(characters, int) and characters > 0
    return float(nats or 0.0) / characters / math.log(2.0) if known else math.nan


def _column(found: Sequence[dict[str, Any]], field: str) -> tuple[float, ...]:
    values = (line.get(field) for line in found)
    return tuple(
        float(value) if has_type(value, float) and value is not None else math.nan for value in values
    )
