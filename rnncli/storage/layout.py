"""The files of a model directory, how large they may be, and what is written into them.

models/NAME/
    manifest.json         size and SHA-256 of every other file
    lock                  the process that writes into the directory
    config.json           the model, its training and its progress, and where its text is
    tokenizer.json        or tokenizer.model
    model.safetensors     the weights with the lowest validation loss; step and score in the metadata
    lines.safetensors     hashes of the lines of the training text, if they are not too many
    ngram.safetensors     the n-gram that is interpolated with the network, if there is one
    corpus.tok/           the token dataset, unless it lies elsewhere
    metrics.jsonl         one event per line
    README.md             the model card
    tensorboard/          the same events as TensorBoard event files, if requested
    checkpoints/step-N.safetensors    all that a resume needs; the newest two are kept
"""

import json
import re
from collections.abc import Callable
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from rnncli import __version__, files
from rnncli.data.dataset import MAX_RECORD_BYTES, RECORD_FILE
from rnncli.data.line_hashes import MAX_LINES
from rnncli.data.tokenizers.serialization import MAX_TOKENIZER_BYTES, TOKENIZER_FILES
from rnncli.events import Planned
from rnncli.metrics import Score
from rnncli.storage.metrics_log import MAX_LOG_BYTES
from rnncli.storage.ngram_file import MAX_HEADER_BYTES
from rnncli.storage.record import ModelRecord
from rnncli.storage.safetensors_file import AnyArray, check_whole, serialize_arrays
from rnncli.storage.untrusted import check_size

CONFIG, WEIGHTS, METRICS, CARD = "config.json", "model.safetensors", "metrics.jsonl", "README.md"
NGRAM, LINES = "ngram.safetensors", "lines.safetensors"
CORPUS, CHECKPOINTS, EVENTS = "corpus.tok", "checkpoints", "tensorboard"
CHECKPOINT = re.compile(rf"{CHECKPOINTS}/step-([0-9]{{1,15}})\.safetensors")
# Maximum sizes in bytes that do not depend on the model.
FIXED = {
    CONFIG: files.MAX_JSON_BYTES,
    METRICS: MAX_LOG_BYTES,
    LINES: 8 * MAX_LINES + files.MAX_JSON_BYTES,
    f"{CORPUS}/{RECORD_FILE}": MAX_RECORD_BYTES,
    **dict.fromkeys(TOKENIZER_FILES, MAX_TOKENIZER_BYTES),
    **{f"{CORPUS}/{name}": MAX_TOKENIZER_BYTES for name in TOKENIZER_FILES},
}
# Names, metadata and random states take at most this many bytes besides the tensors.
_HEADROOM_BYTES = 2**26


class Weights(NamedTuple):
    """Weights by name, with their step and their validation score."""

    arrays: dict[str, AnyArray]
    step: int
    score: Score | None


def serialize_record(record: ModelRecord) -> bytes:
    """Return the content of config.json, with the versions of rnncli and torch that write it."""
    current = replace(record, rnncli_version=__version__, torch_version=version("torch"))
    return json.dumps(asdict(current), indent=1).encode() + b"\n"


def serialize_weights(weights: Weights) -> bytes:
    """Return the content of model.safetensors."""
    score = None if weights.score is None else asdict(weights.score)
    return serialize_arrays(weights.arrays, {"step": weights.step, "score": score})


def checkpoint_name(step: int) -> str:
    """Return the name of a checkpoint in the model directory."""
    return f"{CHECKPOINTS}/step-{step}.safetensors"


def check_bounds(folder: Path, name: str, record: Callable[[], ModelRecord]) -> None:
    """Raise ModelError for a file that is larger than a model of this `record` needs, before it is hashed."""
    path = folder / name
    if name in FIXED:
        check_size(path, FIXED[name])
    elif name == WEIGHTS or CHECKPOINT.fullmatch(name):
        model, training = (known := record()).model, known.training
        state_shapes = model.state_floats * training.batch_size
        check_size(path, _HEADROOM_BYTES + 16 * model.parameters + 4 * state_shapes)
    elif name == NGRAM and path.is_file():
        check_whole(path, MAX_HEADER_BYTES)  # only its own header tells the size


def model_card(name: str, planned: Planned, step: int, score: Score | None) -> str:
    """Return the content of README.md: what the model is, its score, and how to use it."""
    figures = "It has no validation score."
    if score is not None:
        figures = (
            f"During training, on {score.characters:,} characters of the validation split:\n"
            f"{score.bits_per_character:.4f} bits per character, {score.bits_per_byte:.4f} bits per byte, "
            f"token perplexity {score.token_perplexity:.3f}.\n`rnncli eval` computes exact figures."
        )
    return f"""# {name}

A recurrent language model trained by rnncli {__version__} from {planned.corpus}.

- {planned.architecture}, {planned.parameters:,} parameters
- level {planned.level}, vocabulary of {planned.vocab_size:,}
- weights of step {step:,}

{figures}

    rnncli generate --model {name}
    rnncli eval --model {name}
"""
