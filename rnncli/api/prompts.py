"""A prompt as a model goes on from it: what is read of it, and what is not."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from rnncli.errors import GenerationError
from rnncli.inference.prediction import Place, Predictor
from rnncli.storage.model_dir import ModelDir
from rnncli.text.config import Unit
from rnncli.text.tokenizers import Ids, Tokenizer
from rnncli.text.unseen import describe_unseen

# Of a prompt. What is further back has faded from the memory, and reading it all could take minutes.
_MOST_READ = 10_000


class Prompt(NamedTuple):
    """A text as another goes on from it, and the ids (N,) that are read of it."""

    text: str
    ids: Ids

    def read(self, predictor: Predictor, tokenizer: Tokenizer) -> Place:
        """Where the other begins."""
        spelled = predictor.spelled(tokenizer, self.text)
        if spelled is not None:
            spelled = replace(spelled, read=spelled.read[-len(self.ids) :])
        return predictor.begin(self.ids, spelled)


def begun(folder: ModelDir, prompt: str, note: Callable[[str], None]) -> Prompt:
    """The prompt as the model goes on from it; says what is not read of it."""
    tokenizer, record = folder.tokenizer(), folder.record()
    name_unseen(tokenizer, prompt, record.model.character_cnn, note)
    prompt = without_blank(tokenizer, prompt)
    ids = context(tokenizer, record.unit, prompt)
    if len(ids) > _MOST_READ:
        note(f"of the {len(ids):,} tokens of the prompt the last {_MOST_READ:,} are read")
    return Prompt(prompt, ids[-_MOST_READ:])


def name_unseen(tokenizer: Tokenizer, prompt: str, letters: bool, note: Callable[[str], None]) -> None:
    """`letters` says that the model reads words by these."""
    unseen = describe_unseen(tokenizer, prompt)
    if unseen:
        how = "by their letters" if letters else "as <unk>"
        note(f"the prompt has symbols that the model has never seen, read {how}: {unseen}")


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
