"""How large a file of a model folder may be, before any of it is hashed: it may be a stranger's."""

from collections.abc import Callable
from pathlib import Path

from rnncli import strict
from rnncli.data.dataset import MOST_RECORD_BYTES, MOST_TOKENIZER_BYTES, RECORD, TOKENIZERS
from rnncli.data.known_lines import MOST_LINES
from rnncli.storage.array_file import check_whole
from rnncli.storage.layout import CHECKPOINT, CONFIG, CORPUS, LINES, METRICS, NGRAM, WEIGHTS
from rnncli.storage.metrics_log import MOST_BYTES
from rnncli.storage.ngram_file import MOST_HEADER_BYTES
from rnncli.storage.record import Record
from rnncli.storage.safe_load import check_size

# Whatever the model.
FIXED = {
    CONFIG: strict.LARGEST_BYTES,
    METRICS: MOST_BYTES,
    LINES: 8 * MOST_LINES + strict.LARGEST_BYTES,
    f"{CORPUS}/{RECORD}": MOST_RECORD_BYTES,
    **dict.fromkeys(TOKENIZERS, MOST_TOKENIZER_BYTES),
    **{f"{CORPUS}/{name}": MOST_TOKENIZER_BYTES for name in TOKENIZERS},
}
# Beside the tensors in a file: names, facts, random states.
_HEADROOM_BYTES = 2**26


def check_bounds(folder: Path, name: str, record: Callable[[], Record]) -> None:
    """Raises ModelError for a file that is larger than what `record` says allows."""
    path = folder / name
    if name in FIXED:
        check_size(path, FIXED[name])
    elif name == WEIGHTS or CHECKPOINT.fullmatch(name):
        model, training = (said := record()).model, said.training
        memories = model.memory_floats * training.batch_size
        check_size(path, _HEADROOM_BYTES + 16 * model.parameters + 4 * memories)
    elif name == NGRAM and path.is_file():
        check_whole(path, MOST_HEADER_BYTES)  # nothing else says how large it may be
