"""`rnncli eval TEXT -m A -m B`: several models on one text, whatever their tokenizers."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from rnncli.data.config import ReadConfig, Reset
from rnncli.data.counting import code_points
from rnncli.data.lines import line_starts
from rnncli.data.reading import Text, read
from rnncli.errors import ConfigError, CorpusError
from rnncli.evaluation.bootstrap import block_cuts, difference, measured
from rnncli.evaluation.evaluation import network_sums
from rnncli.evaluation.interpolation import mixture_sums
from rnncli.results import Evaluation
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.runs import load_model
from rnncli.workflows.evaluate import Asked
from rnncli.workflows.splits import as_part


def evaluated(
    folders: Sequence[ModelDir],
    device: torch.device,
    given: Sequence[str],
    config: ReadConfig,
    asked: Asked,
) -> tuple[str, Evaluation]:
    """A column a model, and the best against each of the others, in nats per character.

    Raises ConfigError where more is asked for than several models can be compared in.
    """
    if not given or asked.learns or asked.by or asked.streams:
        raise ConfigError(
            f"{len(folders)} models are compared on a text that is named, each as it is",
            hint="name a text, and leave out --by, --streams, --adapt and --cache",
        )
    text = read(given, config)
    evaluation = side_by_side(folders, device, text, asked.reset)
    return text.name, replace(evaluation, unseen_types=asked.unseen_types)


def side_by_side(
    folders: Sequence[ModelDir],
    device: torch.device,
    text: Text,
    reset: Reset | None,
) -> Evaluation:
    """A column a model, and the best against each of the others, in nats per character.

    Blocks of the text are made of the same whole lines for every model, so that they are the same text
    however it is cut into tokens. Raises CorpusError where a model cannot tell the lines apart.
    """
    starts = line_starts(code_points(text.content), ord("\n"))
    chosen = np.unique(np.searchsorted(starts, block_cuts(len(text.content))[:-1]))
    chosen = chosen[chosen < len(starts)]
    characters = np.diff(np.append(starts[chosen], len(text.content)))
    columns, blocks = [], []
    for folder in folders:
        part, beside, network = as_part(folder, text, reset), folder.ngram(), load_model(folder, device)
        own = line_starts(part.ids[0 : part.tokens], part.line_end)
        if len(own) != len(starts):
            raise CorpusError(
                f"{folder.path} sees {len(own):,} lines where {text.name} has {len(starts):,}",
                hint="score the text with each model by itself, and compare bits per character",
            )
        cuts = np.append(own[chosen], len(part.ids))
        if beside is None:
            sums = network_sums(network, part, cuts)
        else:
            sums = mixture_sums(network, *beside, part, cuts)
        by_block, oov_nats = sums.of_model(-1)
        columns.append(measured(folder.path.name, by_block, oov_nats, part, cuts))
        blocks.append((folder.path.name, by_block))
    best = min(blocks, key=lambda each: each[1].sum())
    gaps = (difference(best, each, "character", characters) for each in blocks if each is not best)
    return Evaluation(tuple(columns), tuple(gaps))
