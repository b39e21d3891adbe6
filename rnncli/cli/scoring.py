"""What `rnncli eval` scores, a text that was named or a part of the model's own, and the score."""

from collections.abc import Callable, Sequence

import numpy as np

from rnncli.cli import corpora
from rnncli.errors import CorpusError
from rnncli.inference.evaluation import evaluate
from rnncli.inference.mixing import compare
from rnncli.model.language_model import LanguageModel
from rnncli.reports import Compared, Score
from rnncli.storage.model_dir import ModelDir
from rnncli.text import reading
from rnncli.text.config import ReadConfig
from rnncli.text.counting import count
from rnncli.text.lines import line_starts
from rnncli.text.store import Part

_DESCRIBED = {"valid": "held-out part", "test": "test part"}


def read_part(
    folder: ModelDir, given: Sequence[str], config: ReadConfig, note: Callable[[str], None]
) -> tuple[str, Part]:
    """A text as a part, cut as the model cuts; its unknown symbols are named. Raises CorpusError."""
    text, tokenizer = reading.read(given, config), folder.tokenizer()
    unseen = corpora.describe_unseen(tokenizer, text.content)
    if unseen:
        note(f"{text.name} has symbols that the model does not know, scored as <unk>: {unseen}")
    note(f"{text.name} read as {text.encoding}")
    ids = tokenizer.encode(text.content)
    if not len(ids):
        raise CorpusError(f"{text.name} has nothing to score", hint="give a text with characters in it")
    unknown, by_line = tokenizer.unknown_id, folder.record().unit == "line"
    return text.name, Part(
        ids=ids,
        counts=count(text.content),
        oov_tokens=0 if unknown is None else int(np.count_nonzero(ids == unknown)),
        line_starts=line_starts(ids, int(tokenizer.encode("\n")[-1])) if by_line else None,
    )


def own_part(folder: ModelDir, name: str) -> tuple[str, Part]:
    """A part of the text that the model comes from; raises CorpusError where it has none."""
    store = folder.corpus()
    part = store.parts[name]
    if not part.tokens:
        raise CorpusError(f"{store.name} has no {_DESCRIBED[name]}", hint="train with --test-fraction 0.1")
    return f"{_DESCRIBED[name]} of {store.name}", part


def scored_part(
    folder: ModelDir, network: LanguageModel, part: Part, weighed_on_it: bool
) -> Score | Compared:
    """The network's score, or, where the folder has an n-gram, both and their mixture.

    `weighed_on_it` says that the weights of the mixture were fitted on this very part.
    """
    beside = folder.ngram()
    if beside is None:
        return evaluate(network, part.ids, part.counts, part.oov_tokens, part.line_starts)
    ngram, mixture = beside
    mixed = None if weighed_on_it else mixture
    return compare(network, ngram, mixed, part.ids, part.counts, part.oov_tokens, part.line_starts)
