"""A prompt as a model goes on from it: what is read of it, and what is not."""

import logging
from typing import NamedTuple

from rnncli.data.config import Unit
from rnncli.data.tokenizers.base import Ids, Tokenizer
from rnncli.data.tokenizers.oov import describe_unseen
from rnncli.errors import GenerationError
from rnncli.generation.prediction import Place, Predictor
from rnncli.storage.model_dir import ModelDir

_log = logging.getLogger(__name__)
# Of a prompt. What is further back has faded from the memory, and reading it all could take minutes.
_MOST_READ = 10_000


class Prompt(NamedTuple):
    """A text as another goes on from it, and the ids (N,) that are read of it."""

    text: str
    ids: Ids

    def read(self, predictor: Predictor) -> Place:
        """Where the other begins."""
        return predictor.begin(self.ids)


def begun(folder: ModelDir, prompt: str) -> Prompt:
    """The prompt as the model goes on from it; logs what is not read of it."""
    tokenizer, record = folder.tokenizer(), folder.record()
    name_unseen(tokenizer, prompt)
    prompt = without_blank(tokenizer, prompt)
    ids = context(tokenizer, record.unit, prompt)
    if len(ids) > _MOST_READ:
        _log.warning(
            "of the %s tokens of the prompt the last %s are read", f"{len(ids):,}", f"{_MOST_READ:,}"
        )
    return Prompt(prompt, ids[-_MOST_READ:])


def name_unseen(tokenizer: Tokenizer, prompt: str) -> None:
    """Log the symbols of a prompt that the tokenizer lacks."""
    unseen = describe_unseen(tokenizer, prompt)
    if unseen:
        _log.warning("the prompt has symbols that the model has never seen, read as <unk>: %s", unseen)


def without_blank(tokenizer: Tokenizer, prompt: str) -> str:
    """The prompt as a text can go on from it: words that bring their own blank need none before them."""
    brings_blanks = tokenizer.level == "word" and not len(tokenizer.encode(" "))
    return prompt.rstrip(" ") if brings_blanks else prompt


def context(tokenizer: Tokenizer, unit: Unit, prompt: str) -> Ids:
    """The ids to go on from: in a stream without a prompt those of a line end, so that a line begins."""
    if unit == "line" and "\n" in prompt:
        raise GenerationError(
            "the prompt of a model of lines has a line end", hint="give one line without its end"
        )
    beginning = "" if unit == "line" or tokenizer.unseen("\n") else "\n"
    return tokenizer.encode(prompt or beginning)


def forbidden(tokenizer: Tokenizer) -> tuple[int, ...]:
    """<unk> stands for what cannot be written."""
    return () if tokenizer.unknown_id is None else (tokenizer.unknown_id,)
