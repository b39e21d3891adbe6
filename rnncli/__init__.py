"""rnncli: recurrent language models from the command line, and what they can do from Python.

import rnncli

model = rnncli.load("novel")
"""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnncli.workflows.model import Model

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(model: str | os.PathLike[str] | None = None, device: str = "auto") -> "Model":
    """The model of that name under models/, or in that folder; without one the newest finished one.

    Raises rnncli.errors.ModelError where there is none. Its weights are read when they are needed.
    """
    from rnncli.storage.model_dir import ModelDir
    from rnncli.workflows.model import Model

    return Model(ModelDir.find(None if model is None else os.fspath(model)), device)
