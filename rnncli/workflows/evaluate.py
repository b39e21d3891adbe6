"""Evaluate models on a text or on a split of their own text: scores, loss breakdown, dynamic evaluation."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from rnncli.data.config import ReadOptions
from rnncli.data.decoding import read_texts
from rnncli.data.splits import Split
from rnncli.data.text_units import line_starts
from rnncli.data.tokenizers.base import code_points
from rnncli.errors import ConfigError, CorpusError
from rnncli.evaluation.bootstrap import block_bounds, model_score, paired_difference
from rnncli.evaluation.config import EvaluationOptions
from rnncli.evaluation.dynamic_scoring import dynamic_score, tune_dynamic
from rnncli.evaluation.estimation import chunked_scoring
from rnncli.evaluation.language_models import (
    InterpolatedModel,
    NetworkModel,
    NeuralLanguageModel,
    component_sums,
    token_nll,
)
from rnncli.evaluation.language_models import evaluate as evaluate_model
from rnncli.evaluation.loss_breakdown import by_frequency, by_line, by_position
from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.results import DynamicScore, Evaluation, LossGroup
from rnncli.storage.checkpoints import load_model
from rnncli.storage.model_dir import ModelDir
from rnncli.workflows.devices import pick_device
from rnncli.workflows.splits import encode_text, own_split, read_split

_log = logging.getLogger(__name__)


def evaluate(
    model_dirs: Sequence[ModelDir],
    texts: Sequence[str],
    *,
    options: EvaluationOptions,
    read: ReadOptions,
    device: str,
) -> tuple[str, Evaluation]:
    """Evaluate one model, or compare several on the same text.

    Args:
        model_dirs: The models.
        texts: Files, folders or patterns; without any, a split of the model's own text is scored.
        options: What to evaluate and report.
        read: How the texts are decoded.
        device: "auto", "cpu", "cuda" or "mps".

    Returns:
        The name of what was scored, and the results.

    Raises:
        ConfigError: The options contradict each other or do not fit the model.
        CorpusError: There is nothing to score.
    """
    if texts and options.split is not None:
        raise ConfigError(
            "--split names a split of the model's own text, and a text is given", hint="leave out --split"
        )
    if len(model_dirs) > 1:
        return _compare(model_dirs, texts, options=options, read=read, device=pick_device(device))
    (model_dir,) = model_dirs
    network = load_model(model_dir, pick_device(device))
    if texts:
        name, scored = read_split(model_dir, texts, read, options.reset)
    else:
        name, scored = own_split(model_dir, options.split or "valid", options.reset)
    return name, evaluate_split(model_dir, network, scored, options=options, own=not texts)


def evaluate_split(
    model_dir: ModelDir, network: RNNLanguageModel, scored: Split, *, options: EvaluationOptions, own: bool
) -> Evaluation:
    """Evaluate a loaded model on encoded text.

    Args:
        model_dir: The model.
        network: Its network.
        scored: The encoded text.
        options: What to report.
        own: Whether the text is a split of the model's own text.

    Raises:
        ConfigError: The options do not fit the model or the text.
    """
    fitted_on_it = own and options.split in (None, "valid")
    if options.oov_types and scored.unk_id is None:
        raise ConfigError("this model has no out-of-vocabulary tokens", hint="leave out --oov-types")
    if options.adaptive and scored.line_starts is not None:
        raise ConfigError(
            "a model that learns from the text needs one whose state is never reset",
            hint="leave out --dynamic and --cache, or add --reset never",
        )
    if options.chunks is not None and scored.line_starts is not None:
        raise ConfigError(
            "a text whose state is reset is not scored in chunks",
            hint="leave out --chunks, or add --reset never",
        )
    model: NeuralLanguageModel = language_model(model_dir, network)
    if fitted_on_it:
        model = model.cross_fitted()
    if len(model.components) == 1:
        _log.info(
            "does it beat an n-gram model? rnncli ngram %s adds one and shows both", model_dir.path.name
        )
    return replace(
        score_split(model, scored, options.chunks),
        oov_types=options.oov_types,
        by=options.by,
        loss_groups=_loss_groups(model_dir, model, scored, options) if options.by else (),
        dynamic=(
            _dynamic_score(model_dir, model, scored, options=options, fitted_on_it=fitted_on_it)
            if options.adaptive
            else None
        ),
    )


def score_split(model: NeuralLanguageModel, scored: Split, chunks: int | None = None) -> Evaluation:
    """Score a split under a model and each of its components."""
    found = evaluate_model(model, scored, chunks)
    return found if chunks is None else replace(found, chunked=chunked_scoring(model.network, scored, chunks))


def language_model(model_dir: ModelDir, network: RNNLanguageModel) -> NetworkModel | InterpolatedModel:
    """Return a network, interpolated with the n-gram model of its directory if there is one."""
    ngram = model_dir.ngram()
    return NetworkModel(network) if ngram is None else InterpolatedModel(network, ngram.model, ngram.weights)


def _loss_groups(
    model_dir: ModelDir, model: NeuralLanguageModel, scored: Split, options: EvaluationOptions
) -> tuple[LossGroup, ...]:
    """The loss of the model as a whole, broken down as asked for."""
    ids = scored.ids[0 : scored.tokens]
    nll = token_nll(model, scored, options.chunks)
    if options.by == "position":
        return by_position(nll, scored.line_starts)
    if options.by == "frequency":
        return by_frequency(nll, ids, model_dir.corpus().train.histogram(model.network.config.vocab_size))
    return by_line(nll, ids, line_starts(ids, scored.line_end), model_dir.tokenizer())


def _dynamic_score(
    model_dir: ModelDir,
    model: NeuralLanguageModel,
    scored: Split,
    *,
    options: EvaluationOptions,
    fitted_on_it: bool,
) -> DynamicScore:
    """The score of network, n-gram if there is one, and cache, learning from the text."""
    train, dynamic, cache = model_dir.corpus().train.ids, options.dynamic_evaluation, options.neural_cache
    if options.tune:
        _, valid = own_split(model_dir, "valid", "never")
        # The interpolation weights were fitted on this very split.
        dynamic, cache = tune_dynamic(model.cross_fitted(), valid, train, dynamic=dynamic, cache=cache)
    score = dynamic_score(model, scored, train, dynamic=dynamic, cache=cache)
    how = ["network" if dynamic is None else f"network with dynamic evaluation, learning rate {dynamic.lr:g}"]
    how += model.components[1:-1]
    if cache is not None:
        how.append(
            f"cache of {cache.size:,} tokens with weight {cache.weight:.3g} and flatness {cache.flatness:g}"
        )
    if options.tune:
        how[-1] += "; tuned on this very text" if fitted_on_it else "; tuned on the validation split"
    return DynamicScore(score, ", ".join(how))


def _compare(
    model_dirs: Sequence[ModelDir],
    texts: Sequence[str],
    *,
    options: EvaluationOptions,
    read: ReadOptions,
    device: torch.device,
) -> tuple[str, Evaluation]:
    """One column per model, and the best against each of the others, in nats per character.

    The text is divided into blocks of the same whole lines for every model, so that a block is the same text
    however it is tokenized.
    """
    if not texts or options.adaptive or options.by or options.chunks:
        raise ConfigError(
            f"{len(model_dirs)} models are compared on a given text, as they were trained",
            hint="give a text, and leave out --by, --chunks, --dynamic and --cache",
        )
    text = read_texts(texts, read)
    starts = line_starts(code_points(text.content), ord("\n"))
    chosen = np.unique(np.searchsorted(starts, block_bounds(len(text.content))[:-1]))
    chosen = chosen[chosen < len(starts)]
    characters = np.diff(np.append(starts[chosen], len(text.content)))
    columns, blocks = [], []
    for model_dir in model_dirs:
        scored = encode_text(model_dir, text, options.reset)
        model = language_model(model_dir, load_model(model_dir, device))
        own = line_starts(scored.ids[0 : scored.tokens], scored.line_end)
        if len(own) != len(starts):
            raise CorpusError(
                f"{model_dir.path} finds {len(own):,} lines where {text.name} has {len(starts):,}",
                hint="score the text with each model by itself, and compare bits per character",
            )
        bounds = np.append(own[chosen], len(scored.ids))
        by_block, oov_nll_nats = component_sums(model, scored, bounds).of_model(-1)
        columns.append(model_score(model_dir.path.name, by_block, oov_nll_nats, text=scored, bounds=bounds))
        blocks.append((model_dir.path.name, by_block))
    best = min(blocks, key=lambda each: each[1].sum())
    gaps = (paired_difference(best, each, "character", characters) for each in blocks if each is not best)
    return text.name, Evaluation(tuple(columns), tuple(gaps), oov_types=options.oov_types)
