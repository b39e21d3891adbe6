"""A prompt as a model goes on from it: what is read of it, and what is not."""

from collections.abc import Callable

from rnncli.errors import GenerationError
from rnncli.text.config import Unit
from rnncli.text.tokenizers import Ids, Tokenizer
from rnncli.text.unseen import describe_unseen

# Of a prompt. What is further back has faded from the memory, and reading it all could take minutes.
_MOST_READ = 10_000


def begun(tokenizer: Tokenizer, unit: Unit, prompt: str, note: Callable[[str], None]) -> tuple[str, Ids]:
    """The prompt as a text goes on from it, and the ids that are read of it; says what is not."""
    name_unseen(tokenizer, prompt, note)
    prompt = without_blank(tokenizer, prompt)
    ids = context(tokenizer, unit, prompt)
    if len(ids) > _MOST_READ:
        note(f"of the {len(ids):,} tokens of the prompt the last {_MOST_READ:,} are read")
    return prompt, ids[-_MOST_READ:]


def name_unseen(tokenizer: Tokenizer, prompt: str, note: Callable[[str], None]) -> None:
    unseen = describe_unseen(tokenizer, prompt)
    if unseen:
        note(f"the prompt has symbols that the model has never seen, read as <unk>: {unseen}")


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
