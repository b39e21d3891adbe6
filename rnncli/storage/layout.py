"""What models/NAME/ looks like: the names of its files, and what is written into them.

models/NAME/
    manifest.json         size and SHA-256 of every other file
    lock                  which process writes here
    config.json           what the model is, how it is trained, where its text is, how far it came
    tokenizer.json        or tokenizer.model
    model.safetensors     the best weights, with their step and score in its metadata
    lines.safetensors     which lines the training text has, where they are not too many
    ngram.safetensors     the traditional model beside the network, where there is one
    corpus.tok/           the tokenized text, unless it came as a token store of its own
    metrics.jsonl         a line a report
    README.md             the model card
    tensorboard/          the same reports as event files, where they were asked for
    checkpoints/step-N.safetensors    all that a resume needs; the newest two are kept
"""

import json
import re
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import NamedTuple

from rnncli import __version__
from rnncli.results import Score
from rnncli.storage.array_file import Array, packed
from rnncli.storage.record import Record

CONFIG, WEIGHTS, METRICS, CARD = "config.json", "model.safetensors", "metrics.jsonl", "README.md"
NGRAM, LINES = "ngram.safetensors", "lines.safetensors"
CORPUS, CHECKPOINTS, EVENTS = "corpus.tok", "checkpoints", "tensorboard"
CHECKPOINT = re.compile(rf"{CHECKPOINTS}/step-([0-9]{{1,15}})\.safetensors")


class Weights(NamedTuple):
    """Weights by name, the step they are of, and how good they were found to be then."""

    arrays: dict[str, Array]
    step: int
    score: Score | None


def packed_record(record: Record) -> bytes:
    """The content of config.json, with the versions of the rnncli and the torch that write it."""
    current = replace(record, rnncli_version=__version__, torch_version=version("torch"))
    return json.dumps(asdict(current), indent=1).encode() + b"\n"


def packed_weights(weights: Weights) -> bytes:
    score = None if weights.score is None else asdict(weights.score)
    return packed(weights.arrays, {"step": weights.step, "score": score})


def checkpoint_name(step: int) -> str:
    return f"{CHECKPOINTS}/step-{step}.safetensors"
