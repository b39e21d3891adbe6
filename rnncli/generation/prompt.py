"""How a prompt is tokenized: the text that is continued and the tokens that the model reads.

N is the number of tokens of a prompt.
"""

import logging
from typing import NamedTuple

from rnncli.data.tokenizers.base import Ids, Tokenizer
from rnncli.data.tokenizers.oov import describe_oov
from rnncli.errors import GenerationError

_log = logging.getLogger(__name__)
# Earlier tokens hardly influence the state any more, and reading them all could take minutes.
_MAX_PROMPT_TOKENS = 10_000


class Prompt(NamedTuple):
    """A prompt after tokenization.

    Attributes:
        text: The prompt without the spaces at its end that the next word brings with it.
        ids: Its last tokens (N,), at most 10,000: those that the model reads.
    """

    text: str
    ids: Ids


def prepare_prompt(tokenizer: Tokenizer, prompt: str, *, line_by_line: bool) -> Prompt:
    """Tokenize a prompt; log a warning about OOV tokens and about tokens that are left out.

    An empty prompt begins a line: if the model reads a continuous text, its ids are those of a line end.

    Raises:
        GenerationError: The prompt of a line-by-line model has a line end.
    """
    if line_by_line and "\n" in prompt:
        raise GenerationError(
            "the prompt has a line end, and the model was trained line by line",
            hint="give one line without its line end",
        )
    warn_about_oov(tokenizer, prompt)
    text = prompt_text(tokenizer, prompt)
    beginning = "" if line_by_line or tokenizer.oov_tokens("\n") else "\n"
    ids = tokenizer.encode(text or beginning)
    if len(ids) > _MAX_PROMPT_TOKENS:
        _log.warning(
            "only the last %s of the %s tokens of the prompt are read",
            f"{_MAX_PROMPT_TOKENS:,}",
            f"{len(ids):,}",
        )
    return Prompt(text, ids[-_MAX_PROMPT_TOKENS:])


def prompt_text(tokenizer: Tokenizer, prompt: str) -> str:
    """Return a prompt without the spaces at its end that the next word brings with it."""
    words_bring_spaces = tokenizer.level == "word" and not len(tokenizer.encode(" "))
    return prompt.rstrip(" ") if words_bring_spaces else prompt


def warn_about_oov(tokenizer: Tokenizer, prompt: str) -> None:
    """Log a warning that names the out-of-vocabulary tokens of a prompt, if there are any."""
    oov = describe_oov(tokenizer, prompt)
    if oov:
        _log.warning("out-of-vocabulary tokens in the prompt, read as <unk>: %s", oov)


def forbidden_tokens(tokenizer: Tokenizer) -> tuple[int, ...]:
    """Return the tokens that are never generated: `<unk>`, which stands for no text."""
    return () if tokenizer.unk_id is None else (tokenizer.unk_id,)
