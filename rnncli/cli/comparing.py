"""`rnncli eval TEXT -m A -m B`: several models on one text, whatever their tokenizers."""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from rnncli.cli.scoring import as_part
from rnncli.errors import CorpusError
from rnncli.inference.evaluation import network_sums
from rnncli.inference.intervals import block_cuts, difference, measured
from rnncli.inference.mixing import mixture_sums
from rnncli.reports import Evaluation
from rnncli.storage.model_dir import ModelDir
from rnncli.text.config import Reset
from rnncli.text.counting import code_points
from rnncli.text.lines import line_starts
from rnncli.text.reading import Text


def side_by_side(
    folders: Sequence[ModelDir],
    device: torch.device,
    text: Text,
    reset: Reset | None,
    note: Callable[[str], None],
) -> Evaluation:
    """A column a model, and the best against each of the others, in nats per character.

    Blocks of the text are made of the same whole lines for every model, so that they are the same text
    however it is cut into tokens. Raises CorpusError where a model cannot tell the lines apart.
    """
    starts = line_starts(code_points(text.content), ord("\n"))
    chosen = np.unique(np.searchsorted(starts, block_cuts(len(text.content))[:-1]))
    chosen = chosen[chosen < len(starts)]
    characters = np.diff(np.append(starts[chosen], len(text.content)))
    columns, sums = [], []
    for folder in folders:
        note(f"model {folder.path}")
        part, beside, network = as_part(folder, text, reset, note), folder.ngram(), folder.model(device)
        own = line_starts(part.ids[0 : part.tokens], int(folder.tokenizer().encode("\n")[-1]))
        if len(own) != len(starts):
            raise CorpusError(
                f"{folder.path} sees {len(own):,} lines where {text.name} has {len(starts):,}",
                hint="score the text with each model by itself, and compare bits per character",
            )
        cuts = np.append(own[chosen], len(part.ids))
        if beside is None:
            by_block = network_sums(network, part.ids, cuts, part.line_starts)
        else:
            by_block = mixture_sums(network, *beside, part.ids, cuts, part.line_starts)
        name = folder.path.name
        columns.append(measured(name, by_block[:, -1], np.diff(cuts), part.counts, part.oov_tokens))
        sums.append((name, by_block[:, -1]))
    best = min(sums, key=lambda each: each[1].sum())
    gaps = (difference(best, each, "character", characters) for each in sums if each is not best)
    return Evaluation(tuple(columns), tuple(gaps))
