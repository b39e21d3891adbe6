"""What `rnncli eval` scores, a text that was named or a part of the model's own, and the evaluation."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from rnncli.cli import corpora
from rnncli.errors import ConfigError, CorpusError
from rnncli.inference.breakdown import by_frequency, by_line, by_position
from rnncli.inference.config import Adaptation, By, Cache
from rnncli.inference.evaluation import evaluate, split
from rnncli.inference.mixing import adaptive_score, compare, token_nats
from rnncli.inference.tuning import tuned
from rnncli.model.language_model import LanguageModel
from rnncli.model.mixture import Mixture
from rnncli.model.ngram import Ngram
from rnncli.results import Adaptive, Evaluation, Share
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.runs import load_model
from rnncli.text import reading
from rnncli.text.config import ReadConfig, Reset
from rnncli.text.counting import count
from rnncli.text.lines import line_starts
from rnncli.text.reading import Text
from rnncli.text.segments import encode_segments
from rnncli.text.store import Part
from rnncli.text.tokenizers import Tokenizer, decode, line_end

_DESCRIBED = {"valid": "held-out part", "test": "test part"}

_Beside = tuple[Ngram, Mixture | None] | None


@dataclass(frozen=True)
class Asked:
    """What is to be known of a text besides its score; `part` is scored where no text is named."""

    part: str
    reset: Reset | None = None
    by: By | None = None
    streams: int | None = None
    unseen_types: int | None = None
    adaptation: Adaptation | None = None
    cache: Cache | None = None
    tune: bool = False

    def __post_init__(self) -> None:
        if self.tune and not self.learns:
            raise ConfigError("there is nothing to tune", hint="add --adapt or --cache to --tune")

    @property
    def learns(self) -> bool:
        return self.adaptation is not None or self.cache is not None


def evaluated(
    folders: Sequence[ModelDir],
    device: torch.device,
    given: Sequence[str],
    config: ReadConfig,
    asked: Asked,
    note: Callable[[str], None],
) -> tuple[str, Evaluation]:
    """The name of what one model scored, and all that was asked about it."""
    (folder,) = folders
    network = load_model(folder, device)
    if given:
        name, part = read_part(folder, given, config, asked.reset, note)
    else:
        name, part = own_part(folder, asked.part, asked.reset)
    weighed_on_it = not given and asked.part == "valid"
    if asked.unseen_types and part.unknown_id is None:
        raise ConfigError("nothing is unknown to this model", hint="leave out --unseen-types")
    if asked.learns and part.line_starts is not None:
        raise ConfigError(
            "where memory is emptied there is nothing to adapt along",
            hint="leave out --adapt and --cache, or add --reset never",
        )
    beside = beside_network(folder, weighed_on_it)
    if beside is None:
        note(f"does it beat an n-gram? rnncli ngram {folder.path.name} puts one beside it")
    evaluation = scored_part(network, part, beside, asked.streams)
    return name, replace(
        evaluation,
        unseen_types=asked.unseen_types,
        by=asked.by,
        shares=_broken_down(folder, network, part, beside, asked) if asked.by else (),
        adaptive=_adaptive(folder, network, part, beside, asked, weighed_on_it) if asked.learns else None,
    )


def read_part(
    folder: ModelDir,
    given: Sequence[str],
    config: ReadConfig,
    reset: Reset | None,
    note: Callable[[str], None],
) -> tuple[str, Part]:
    """A text as a part, cut as the model cuts; its unknown symbols are named. Raises CorpusError.

    Where memory is emptied `reset` says, or the model's own unit.
    """
    text = reading.read(given, config)
    note(f"{text.name} read as {text.encoding}")
    return text.name, as_part(folder, text, reset, note)


def as_part(folder: ModelDir, text: Text, reset: Reset | None, note: Callable[[str], None]) -> Part:
    """The same for a text that was read before."""
    tokenizer = folder.tokenizer()
    unseen = corpora.describe_unseen(tokenizer, text.content)
    if unseen:
        note(f"{text.name} has symbols that the model does not know, scored as <unk>: {unseen}")
    ids, starts = encode_segments(tokenizer, text.documents, reset or _own_reset(folder))
    if not len(ids):
        raise CorpusError(f"{text.name} has nothing to score", hint="give a text with characters in it")
    unknown = tokenizer.unknown_id
    return Part(
        ids=ids,
        counts=count(text.content),
        oov_tokens=0 if unknown is None else int(np.count_nonzero(ids == unknown)),
        line_starts=starts,
        unknown_id=unknown,
        line_end=line_end(tokenizer),
    )


def own_part(folder: ModelDir, name: str, reset: Reset | None = None) -> tuple[str, Part]:
    """A part of the text that the model comes from; raises CorpusError where it has none.

    Raises ConfigError where memory is to be emptied between documents: a store keeps only their tokens.
    """
    if reset == "document":
        raise ConfigError(
            "a model's own part is kept without the borders of its documents", hint="name the files to score"
        )
    store = folder.corpus()
    part = store.parts[name]
    if not part.tokens:
        raise CorpusError(f"{store.name} has no {_DESCRIBED[name]}", hint="train with --test-fraction 0.1")
    if reset == "never":
        part = replace(part, line_starts=None)
    elif reset == "line":
        part = replace(part, line_starts=line_starts(part.ids[0 : part.tokens], part.line_end))
    elif reset == "sentence":
        part = _by_sentence(store.tokenizer, part)
    return f"{_DESCRIBED[name]} of {store.name}", part


def _by_sentence(tokenizer: Tokenizer, part: Part) -> Part:
    """Cut anew from its text; raises ConfigError where the unknown words in it cannot be written as text."""
    ids, starts = encode_segments(
        tokenizer, [decode(tokenizer, part.ids[0 : part.tokens].tolist())], "sentence"
    )
    if np.count_nonzero(ids == part.unknown_id) != part.oov_tokens:
        raise ConfigError(
            "the unknown words of this part are lost, and with them its sentences", hint="name the text"
        )
    return replace(part, ids=ids, line_starts=starts)


def _own_reset(folder: ModelDir) -> Reset:
    return "line" if folder.record().unit == "line" else "never"


def scored_part(
    network: LanguageModel, part: Part, beside: _Beside, streams: int | None = None
) -> Evaluation:
    """The network's score, or, with an n-gram beside it, both and their mixture."""
    found = evaluate(network, part, streams) if beside is None else compare(network, *beside, part, streams)
    return found if streams is None else replace(found, split=split(network, part, streams))


def _broken_down(
    folder: ModelDir, network: LanguageModel, part: Part, beside: _Beside, asked: Asked
) -> tuple[Share, ...]:
    """Where the nats of the model as a whole are, by what was asked for."""
    ids = part.ids[0 : part.tokens]
    nats = token_nats(network, beside, part, asked.streams)
    if asked.by == "position":
        return by_position(nats, part.line_starts)
    if asked.by == "frequency":
        train = folder.corpus().train.ids
        return by_frequency(
            nats, ids, np.bincount(train[0 : len(train)], minlength=network.config.vocab_size)
        )
    return by_line(nats, ids, line_starts(ids, part.line_end), folder.tokenizer())


def beside_network(folder: ModelDir, weighed_on_it: bool) -> _Beside:
    """The n-gram and the weights that may be used: none where they were fitted on what is to be scored."""
    kept = folder.ngram()
    return None if kept is None else (kept[0], None if weighed_on_it else kept[1])


def _adaptive(
    folder: ModelDir,
    network: LanguageModel,
    part: Part,
    beside: _Beside,
    asked: Asked,
    weighed_on_it: bool,
) -> Adaptive:
    """The score of network, n-gram if there is one, and cache, learning as they go."""
    train, adaptation, cache = folder.corpus().train.ids, asked.adaptation, asked.cache
    if asked.tune:
        _, valid = own_part(folder, "valid", "never")
        # On the part that the weights of the mixture were fitted on: they are fitted anew on either half.
        unweighed = None if beside is None else (beside[0], None)
        adaptation, cache = tuned(network, train, unweighed, adaptation, cache, valid)
    score = adaptive_score(network, train, beside, adaptation, cache, part)
    parts = [
        "network" if adaptation is None else f"network adapting at rate {adaptation.rate:g}",
        None if beside is None else f"{beside[0].order}-gram",
        None
        if cache is None
        else f"cache of {cache.size:,} tokens with {100 * cache.share:.3g}%, sharpness {cache.sharpness:g}",
    ]
    how = ", ".join(part for part in parts if part is not None)
    if asked.tune:
        how += "; tuned on this very text" if weighed_on_it else "; tuned on the held-out part"
    return Adaptive(score, how)
