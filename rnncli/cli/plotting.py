"""What `rnncli plot` draws: from a model's log, or measured on the text that it has not learned from."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from rnncli.analysis.figures import Line, LineChart, SymbolMap, UnitText
from rnncli.errors import ConfigError, ModelError
from rnncli.storage.model_dir import ModelDir
from rnncli.strict import is_of
from rnncli.workflows.splits import own_part

# Of a unit's text so much is shown, and so many symbols of a map.
_SHOWN_TOKENS, _SHOWN_CHARACTERS, _MOST_SYMBOLS = 800, 4_000, 150


def curves(folders: Sequence[ModelDir]) -> LineChart:
    """Loss of the held-out part in bits per character, whatever a model's tokens; of one also in training."""
    lines = []
    for folder in folders:
        found = [line for line in folder.metrics() if line["report"] == "evaluated"]
        seconds, scores = _column(found, "seconds"), [line["score"] for line in found]
        bits = [_bits(score, score["nats"]) for score in scores]
        alone = len(folders) == 1
        name = f"{folder.path.name}, held out" if alone else folder.path.name
        lines.append(Line(name, seconds, tuple(bits)))
        if alone:
            train = _column(found, "train_nats_per_token")
            nats = [per_token * score["tokens"] for per_token, score in zip(train, scores, strict=True)]
            own = tuple(_bits(score, one) for score, one in zip(scores, nats, strict=True))
            lines.append(Line(f"{folder.path.name}, training", seconds, own))
    return LineChart("learning curves", "seconds", "bits per character", tuple(lines), log_x=True)


def logged(folders: Sequence[ModelDir], field: str, title: str, log_y: bool = False) -> LineChart:
    """A figure of the training steps, by the name that it has in metrics.jsonl, by layer if it has them."""
    lines = []
    for folder in folders:
        found = [line for line in folder.metrics() if line["report"] == "stepped"]
        columns: dict[str, list[tuple[float, float]]] = {}
        for line in found:
            value: Any = line.get(field)
            for name, own in value.items() if isinstance(value, dict) else [("", value)]:
                if is_of(own, float):
                    columns.setdefault(name, []).append((float(line.get("step", 0)), float(own)))
        for name, points in columns.items():
            x, y = zip(*points, strict=True)
            lines.append(Line(f"{folder.path.name} {name}".strip(), x, y))
    return LineChart(title, "step", field.replace("_", " "), tuple(lines), log_y=log_y)


def gradients(folders: Sequence[ModelDir]) -> LineChart:
    """How the gradient of a loss fades over the steps before it: of one step back it is 1."""
    from rnncli.analysis.gradient_norms import gradient_reach, stretches

    lines = []
    for folder in folders:
        _, part = own_part(folder, "valid")
        reach = gradient_reach(_model(folder), stretches(part.ids, part.line_starts))
        for block, norms in reach.norms.items():
            relative = tuple(norm / norms[0] if norms[0] > 0.0 else math.nan for norm in norms)
            x = tuple(float(step) for step in range(1, len(norms) + 1))
            lines.append(Line(f"{folder.path.name} {block}", x, relative))
    title = "the vanishing gradient: of a token's loss with respect to the memory before it"
    return LineChart(title, "steps back", "norm, relative to one step back", tuple(lines), log_y=True)


def memory(folders: Sequence[ModelDir]) -> LineChart:
    """Loss when only the last k tokens can be seen."""
    from rnncli.analysis.context_ablation import memory_reach

    lines = []
    if len({folder.record().tokenizer_fingerprint for folder in folders}) > 1:
        raise ConfigError(
            "the models are of different tokens, and so are their histories", hint="draw one at a time"
        )
    for folder in folders:
        _, part = own_part(folder, "valid")
        if part.line_starts is not None:
            raise ConfigError(
                f"{folder.path.name} reads lines by themselves: their histories are short",
                hint="rnncli eval --by position says how it does within them",
            )
        found = memory_reach(_model(folder), part.ids)
        lines.append(Line(folder.path.name, tuple(map(float, found)), tuple(found.values())))
    title = "the reach of memory: loss when the history is cut to the last k tokens"
    return LineChart(title, "k", "nats per token", tuple(lines), log_x=True)


def units(folder: ModelDir, unit: str | None) -> UnitText:
    """A text coloured by one unit: that which tracks something most closely, unless one is named."""
    from rnncli.analysis.neuron_probes import TOKENS, activations, tracked

    _, part = own_part(folder, "valid")
    ids = np.asarray(part.ids[0 : min(TOKENS, part.tokens)])
    decoder = folder.tokenizer().decoder()
    pieces = tuple(decoder.push(token) for token in ids.tolist())
    starts = frozenset() if part.line_starts is None else frozenset(part.line_starts[:TOKENS].tolist())
    found = activations(_model(folder), ids, pieces, starts)
    if not np.isfinite(found.values).all():
        raise ModelError("the model's numbers overflow", hint="it cannot be used; train another")
    best = tracked(found)
    if unit is None:
        if not best:
            raise ConfigError(
                "no unit goes with anything in this text", hint=f"name one with --unit {found.units[0]}"
            )
        unit = max(best, key=lambda one: abs(one.r)).unit
    try:
        values = found.of(unit)
    except KeyError as error:
        raise ConfigError(
            f"there is no unit {unit}", hint=f"they are called {found.units[0]} to {found.units[-1]}"
        ) from error
    scale = max(float(np.abs(values).max()), 1e-9)
    lengths = np.cumsum([len(piece) for piece in pieces])
    shown = slice(0, min(_SHOWN_TOKENS, max(1, int((lengths <= _SHOWN_CHARACTERS).sum()))))
    tracks = "; ".join(f"{one.feature}: {one.unit}, r {one.r:+.2f}" for one in best)
    return UnitText(
        f"unit {unit} of {folder.path.name}",
        f"activation relative to its largest, {scale:.2f}; units that track something: {tracks or 'none'}",
        pieces[shown],
        tuple((values[shown] / scale).tolist()),
    )


def symbols(folder: ModelDir) -> SymbolMap:
    """Where the embeddings of the most frequent symbols lie, those of a first member."""
    from rnncli.analysis.embedding_map import principal_plane
    from rnncli.numpy_decoder.decoder import member_weights

    part, config = folder.corpus().train, folder.record().model
    tokenizer, weights = folder.tokenizer(), folder.needed_weights().arrays
    counts = part.histogram(tokenizer.vocab_size)
    chosen = np.argsort(-counts, kind="stable")[: min(_MOST_SYMBOLS, int((counts > 0).sum()))]
    vectors = member_weights(config, weights, 0)["embedding.weight"]
    places, share = principal_plane(vectors[chosen])
    return SymbolMap(
        f"the symbols of {folder.path.name}",
        f"{len(chosen)} symbols by the two main directions of their embeddings, "
        f"{share:.0%} of their variance: what is near is used alike",
        tuple(tokenizer.symbol(token) for token in chosen.tolist()),
        tuple((float(x), float(y)) for x, y in places),
    )


def _model(folder: ModelDir) -> Any:
    from rnncli.storage.runs import load_model
    from rnncli.workflows.devices import pick_device

    return load_model(folder, pick_device("cpu"))


def _bits(score: dict[str, Any], nats: float | None) -> float:
    characters: Any = score.get("characters")
    known = nats is not None and is_of(characters, int) and characters > 0
    return float(nats or 0.0) / characters / math.log(2.0) if known else math.nan


def _column(found: Sequence[dict[str, Any]], field: str) -> tuple[float, ...]:
    values = (line.get(field) for line in found)
    return tuple(float(value) if is_of(value, float) and value is not None else math.nan for value in values)
