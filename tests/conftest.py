"""What every test may lean on: a folder of its own, and a tiny text and model."""

import os
from functools import partialmethod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from rnncli.data.splits import Split
from rnncli.data.text_units import TextCounts
from rnncli.nn.config import ModelConfig
from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.numpy_decoder.decoder import NumPyDecoder
from rnncli.runtime import SYSTEM
from rnncli.storage.manifest import Manifest
from tests.processor import ON_PROCESSOR

if SYSTEM == "windows":
    # Tests write their texts as on other systems: in UTF-8, and without carriage returns.
    Path.write_text = partialmethod(Path.write_text, encoding="utf-8", newline="\n")  # type: ignore[method-assign, assignment]

# One thread makes tiny matrices fast and float sums repeatable.
torch.set_num_threads(1)

RHYME = (
    "The kitten sat beside the door,\nthe rain came down, the rain came more;\n"
    "a lamp was lit, a page was turned,\nand what was lost was what we learned.\n"
) * 12


# Tests of the slow tier (`make test-all`): documents whose commands train, campaigns of faults, imitated
# operating systems, several processes, and trainings of every architecture. `make test` leaves them out.
SLOW = (
    "tests/test_documents.py",
    "tests/faults/",
    "tests/imitation/",
    "tests/cli/test_compare.py",
    "tests/cli/test_processes.py",
    "tests/cli/test_structures.py",
    "tests/training/test_distributed.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the slow tier; run the longest tests first, so that no process waits for the other at the end."""
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: not item.path.match("tests/test_documents.py"))


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test works in an empty folder and on the processor, whatever the caller's shell and machine say.

    What a GPU makes of it is in cli/test_accelerators.py, which names its devices.
    """
    for name in list(os.environ):
        if name.startswith("RNNCLI_") or name in ("FORCE_COLOR", "GITHUB_ACTIONS", "NO_COLOR"):
            monkeypatch.delenv(name)
    for name, device in ON_PROCESSOR.items():
        monkeypatch.setenv(name, device)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def rhyme(own_folder: Path) -> Path:
    path = own_folder / "rhyme.txt"
    path.write_text(RHYME, encoding="utf-8")
    return path


def tiny_model(**settings: object) -> RNNLanguageModel:
    """A model of a few hundred weights, the same at every call."""
    chosen = {"vocab_size": 11, "hidden_size": 8, "embedding_size": 5, "num_layers": 2, "dropout": 0.0}
    config = ModelConfig(**{**chosen, **settings})  # type: ignore[arg-type]
    return RNNLanguageModel.initialized(config, torch.Generator().manual_seed(7))


# Every cell, and its combinations with convolution, attention, mogrifier and ensembles.
STRUCTURES: dict[str, dict[str, Any]] = {
    "rnn": {"cell": "rnn"},
    "gru": {"cell": "gru"},
    "lstm": {"cell": "lstm"},
    "mingru": {"cell": "mingru"},
    "minlstm": {"cell": "minlstm", "num_layers": 1},
    "rglru": {"cell": "rglru", "tied_embeddings": True, "embedding_size": 8},
    "qrnn": {"cell": "qrnn"},
    "mixed": {"cell": "gru,mingru,lstm", "num_layers": 3},
    "convolution": {"cell": "mingru", "convolution": 4},
    "attention": {"cell": "gru", "attention": 6},
    "mogrifier": {"cell": "lstm", "mogrifier": 3},
    "everything": {
        **{"cell": "lstm,rglru", "convolution": 3, "attention": 5, "mogrifier": 2, "ensemble_size": 2},
    },
}


def part_of(
    ids: npt.NDArray[np.unsignedinteger[Any]],
    counts: TextCounts | None = None,
    line_starts: npt.NDArray[Any] | None = None,
    unk_id: int | None = None,
) -> Split:
    """Ids as a part, of a text of as many characters unless `counts` says otherwise."""
    oov_tokens = 0 if unk_id is None else int(np.count_nonzero(ids == unk_id))
    return Split(
        ids=ids,
        counts=counts or TextCounts(len(ids), 1, len(ids)),
        oov_tokens=oov_tokens,
        line_starts=line_starts,
        unk_id=unk_id,
    )


def numpy_decoder_of(model: RNNLanguageModel) -> NumPyDecoder:
    """The same network as a NumPy decoder."""
    return NumPyDecoder(model.config, {name: tensor.numpy() for name, tensor in model.state_dict().items()})


def signed(folder: Path) -> Path:
    """A model folder whose manifest says that what lies there is what was written."""
    Manifest.of(folder).write(folder)
    return folder


class Eager:
    """A clock that lets every step be reported."""

    def __init__(self) -> None:
        self.instant = 0.0

    def __call__(self) -> float:
        self.instant += 1.0
        return self.instant
