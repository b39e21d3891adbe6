"""The n-gram beside a model's network: fitted to its text, weighed on its held-out part, kept."""

from collections.abc import Callable
from pathlib import Path
from time import monotonic

from rnncli.api.parts import own_part
from rnncli.inference.mixing import fit_mixture, fit_ngram
from rnncli.model.language_model import LanguageModel
from rnncli.model.ngram import Ngram
from rnncli.storage.arpa import read_arpa
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.ngram_file import refuse_unreadable

# Of single characters more are needed to know what comes than of words.
_ORDERS = {"char": 7, "byte": 7}
_ORDER = 5


def add_ngram(
    folder: ModelDir, network: LanguageModel, order: int | None, note: Callable[[str], None]
) -> None:
    """Fit an n-gram to the text that the network was trained on, and keep it beside the network.

    Raises CorpusError where the text is gone or has no held-out part, ConfigError for an order out of bounds.
    """
    began = monotonic()
    record, train = folder.record(), folder.corpus().train
    chosen = _ORDERS.get(record.level, _ORDER) if order is None else order
    ngram = fit_ngram(train, chosen, record.model.vocab_size)
    _keep(folder, network, ngram)
    note(
        f"{ngram.order}-gram of {ngram.entries:,} entries beside the network, in {monotonic() - began:.1f} s"
    )


def import_arpa(folder: ModelDir, network: LanguageModel, path: Path, note: Callable[[str], None]) -> None:
    """Keep an n-gram from a file beside the network; raises ModelError where it is not in ARPA format."""
    ngram, left_out = read_arpa(path, folder.tokenizer())
    refuse_unreadable(ngram)
    _keep(folder, network, ngram)
    note(f"{ngram.order}-gram of {ngram.entries:,} entries from {path}; {left_out:,} others are left out")


def _keep(folder: ModelDir, network: LanguageModel, ngram: Ngram) -> None:
    """Put an n-gram into the folder, with the weights under which the held-out part is most probable.

    Not those of a piece of the training part: the network knows it by heart and would be believed too much.
    """
    _, valid = own_part(folder, "valid")
    tokens = folder.record().training.validation_tokens
    folder.save_ngram(ngram, fit_mixture(network, ngram, valid, tokens))
