"""N-gram models interpolated with a network: estimated or imported, weighted, and saved with it."""

import logging
from pathlib import Path
from time import monotonic

import torch

from rnncli.evaluation.interpolation import fit_ngram, fit_weights
from rnncli.export.arpa import read_arpa, write_arpa
from rnncli.files import check_parent_folder, locked
from rnncli.ngram.config import NgramOptions
from rnncli.ngram.kneser_ney import NgramModel
from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.results import Evaluation
from rnncli.storage.checkpoints import load_model
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.ngram_file import check_storable
from rnncli.workflows.evaluate import language_model, score_split
from rnncli.workflows.splits import own_split

_log = logging.getLogger(__name__)
# Default order; characters need longer n-grams than words.
_ORDERS = {"char": 7, "byte": 7}
_ORDER = 5


def interpolate_ngram(
    model_dir: ModelDir, options: NgramOptions, device: torch.device
) -> tuple[str, Evaluation]:
    """Add an n-gram model to a model, and score both and their interpolation on the validation split.

    Args:
        model_dir: The model.
        options: Which n-gram model.
        device: Where to compute.

    Returns:
        The name of the text, and the scores.

    Raises:
        CorpusError: The text is gone or has no validation split.
        ModelError: The file is not in ARPA format, or does not fit the model.
    """
    if options.arpa is not None:
        check_parent_folder(options.arpa)
    with locked(model_dir.path):
        network = load_model(model_dir, device)
        if options.from_arpa is None:
            add_ngram(model_dir, network, options.order)
        else:
            import_arpa(model_dir, network, options.from_arpa)
    if options.arpa is not None:
        saved = model_dir.ngram()
        assert saved is not None
        write_arpa(options.arpa, saved.model, model_dir.tokenizer())
    name, valid = own_split(model_dir, "valid")
    return name, score_split(language_model(model_dir, network).cross_fitted(), valid)


def add_ngram(model_dir: ModelDir, network: RNNLanguageModel, order: int | None) -> None:
    """Estimate an n-gram model from the training split of a network, and save it with the network.

    Raises:
        CorpusError: The text is gone or has no validation split.
        ConfigError: The order is out of range.
    """
    began = monotonic()
    record, train = model_dir.record(), model_dir.corpus().train
    chosen = _ORDERS.get(record.level, _ORDER) if order is None else order
    ngram = fit_ngram(train, chosen, record.model.vocab_size)
    _save(model_dir, network, ngram)
    seconds = monotonic() - began
    _log.info(
        "interpolated with a %d-gram of %s entries, in %.1f s", ngram.order, f"{ngram.entries:,}", seconds
    )


def import_arpa(model_dir: ModelDir, network: RNNLanguageModel, path: Path) -> None:
    """Save an n-gram model from an ARPA file with the network; raises ModelError if it is not one."""
    ngram, left_out = read_arpa(path, model_dir.tokenizer())
    check_storable(ngram)
    _save(model_dir, network, ngram)
    _log.info(
        "interpolated with a %d-gram of %s entries from %s; %s others are left out",
        ngram.order,
        f"{ngram.entries:,}",
        path,
        f"{left_out:,}",
    )


def _save(model_dir: ModelDir, network: RNNLanguageModel, ngram: NgramModel) -> None:
    """Save an n-gram model with the interpolation weights that fit the validation split best.

    Not the training split: the network has memorized it and would be over-weighted.
    """
    _, valid = own_split(model_dir, "valid")
    tokens = model_dir.record().training.validation_tokens
    model_dir.save_ngram(ngram, fit_weights(network, ngram, valid, tokens))
