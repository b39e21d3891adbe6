"""The n-gram beside a model's network: fitted to its text, weighed on its held-out part, kept."""

import logging
from pathlib import Path
from time import monotonic

from rnncli.evaluation.interpolation import fit_mixture, fit_ngram
from rnncli.export.arpa import read_arpa
from rnncli.ngram.kneser_ney import Ngram
from rnncli.nn.language_model import LanguageModel
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.ngram_file import refuse_unreadable
from rnncli.workflows.splits import own_part

_log = logging.getLogger(__name__)
# Of single characters more are needed to know what comes than of words.
_ORDERS = {"char": 7, "byte": 7}
_ORDER = 5


def add_ngram(folder: ModelDir, network: LanguageModel, order: int | None) -> None:
    """Fit an n-gram to the text that the network was trained on, and keep it beside the network.

    Raises CorpusError where the text is gone or has no held-out part, ConfigError for an order out of bounds.
    """
    began = monotonic()
    record, train = folder.record(), folder.corpus().train
    chosen = _ORDERS.get(record.level, _ORDER) if order is None else order
    ngram = fit_ngram(train, chosen, record.model.vocab_size)
    _keep(folder, network, ngram)
    seconds = monotonic() - began
    _log.info(
        "%d-gram of %s entries beside the network, in %.1f s", ngram.order, f"{ngram.entries:,}", seconds
    )


def import_arpa(folder: ModelDir, network: LanguageModel, path: Path) -> None:
    """Keep an n-gram from a file beside the network; raises ModelError where it is not in ARPA format."""
    ngram, left_out = read_arpa(path, folder.tokenizer())
    refuse_unreadable(ngram)
    _keep(folder, network, ngram)
    _log.info(
        "%d-gram of %s entries from %s; %s others are left out",
        ngram.order,
        f"{ngram.entries:,}",
        path,
        f"{left_out:,}",
    )


def _keep(folder: ModelDir, network: LanguageModel, ngram: Ngram) -> None:
    """Put an n-gram into the folder, with the weights under which the held-out part is most probable.

    Not those of a piece of the training part: the network knows it by heart and would be believed too much.
    """
    _, valid = own_part(folder, "valid")
    tokens = folder.record().training.validation_tokens
    folder.save_ngram(ngram, fit_mixture(network, ngram, valid, tokens))
