"""All that can be asked about a text under one model."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import get_args

import torch

from rnncli.data.config import ReadConfig, Reset
from rnncli.data.lines import line_starts
from rnncli.data.split import Part
from rnncli.errors import ConfigError
from rnncli.evaluation.config import Adaptation, By, Cache
from rnncli.evaluation.evaluation import evaluate, split
from rnncli.evaluation.interpolation import adaptive_score, compare, token_nats
from rnncli.evaluation.loss_breakdown import by_frequency, by_line, by_position
from rnncli.evaluation.tuning import tuned
from rnncli.ngram.interpolation import Mixture
from rnncli.ngram.kneser_ney import Ngram
from rnncli.nn.language_model import LanguageModel
from rnncli.results import Adaptive, Evaluation, Share
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.runs import load_model
from rnncli.workflows.splits import OWN_PARTS, own_part, read_part

_log = logging.getLogger(__name__)
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
        for name, value, allowed in (
            ("part", self.part, OWN_PARTS),
            ("reset", self.reset, (None, *get_args(Reset))),
            ("by", self.by, (None, *get_args(By))),
        ):
            if value not in allowed:
                known = ", ".join(each for each in allowed if each)
                raise ConfigError(f"{name} is {value!r}", hint=f"it is one of {known}")

    @property
    def learns(self) -> bool:
        return self.adaptation is not None or self.cache is not None


def evaluated(
    folders: Sequence[ModelDir],
    device: torch.device,
    given: Sequence[str],
    config: ReadConfig,
    asked: Asked,
) -> tuple[str, Evaluation]:
    """The name of what one model scored, and all that was asked about it."""
    (folder,) = folders
    network = load_model(folder, device)
    if given:
        name, part = read_part(folder, given, config, asked.reset)
    else:
        name, part = own_part(folder, asked.part, asked.reset)
    return name, evaluated_part(folder, network, part, asked, own=not given)


def evaluated_part(
    folder: ModelDir,
    network: LanguageModel,
    part: Part,
    asked: Asked,
    own: bool,
) -> Evaluation:
    """All that was asked about a part; `own` says that it is one of the text that the model comes from.

    Raises ConfigError for what cannot be asked about it.
    """
    weighed_on_it = own and asked.part == "valid"
    if asked.unseen_types and part.unknown_id is None:
        raise ConfigError("nothing is unknown to this model", hint="leave out --unseen-types")
    if asked.learns and part.line_starts is not None:
        raise ConfigError(
            "where memory is emptied there is nothing to adapt along",
            hint="leave out --adapt and --cache, or add --reset never",
        )
    if asked.streams is not None and part.line_starts is not None:
        raise ConfigError(
            "where memory is emptied there is no long pass to cut",
            hint="leave out --streams, or add --reset never",
        )
    beside = beside_network(folder, weighed_on_it)
    if beside is None:
        _log.info("does it beat an n-gram? rnncli ngram %s puts one beside it", folder.path.name)
    return replace(
        scored_part(network, part, beside, asked.streams),
        unseen_types=asked.unseen_types,
        by=asked.by,
        shares=_broken_down(folder, network, part, beside, asked) if asked.by else (),
        adaptive=_adaptive(folder, network, part, beside, asked, weighed_on_it) if asked.learns else None,
    )


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
        return by_frequency(nats, ids, folder.corpus().train.histogram(network.config.vocab_size))
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
