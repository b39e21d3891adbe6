"""A model's text on its way to a person: the prompt, the stream, a sample during training."""

import secrets
import sys
from collections.abc import Callable
from itertools import islice

import numpy as np

from rnncli.cli import corpora
from rnncli.console.safe_text import visible
from rnncli.errors import GenerationError
from rnncli.inference.config import SamplingConfig
from rnncli.inference.generation import generate
from rnncli.model.language_model import LanguageModel
from rnncli.text import reading
from rnncli.text.tokenizers import Ids, Tokenizer

_SAMPLE_TOKENS = {"char": 160, "byte": 160, "word": 32, "subword": 48}


def fresh_seed() -> int:
    """A seed that is short enough to be typed again."""
    return secrets.randbelow(10**6)


def read_prompt(prompt: str) -> str:
    """The prompt itself, or stdin for "-"; raises GenerationError where it is not text."""
    text = reading.read([reading.STDIN]).content if prompt == reading.STDIN else prompt
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise GenerationError("the prompt is not valid UTF-8", hint="pass it through stdin: --prompt -")
    return text


def stream(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: str,
    length: int,
    sampling: SamplingConfig,
    seed: int,
    note: Callable[[str], None],
) -> None:
    """Write the prompt and `length` tokens to stdout, whole characters as soon as they are known."""
    unseen = corpora.describe_unseen(tokenizer, prompt)
    if unseen:
        note(f"the prompt has symbols that the model has never seen, read as <unk>: {unseen}")
    ids = _context(tokenizer, prompt)
    decoder = tokenizer.decoder(map(int, ids))
    _write(prompt)
    tokens = generate(model, ids, sampling, np.random.default_rng(seed), _forbidden(tokenizer))
    for token in islice(tokens, length):
        _write(decoder.push(token))
    _write(decoder.finish())
    if sys.stdout.isatty():
        _write("\n")


def sample(model: LanguageModel, tokenizer: Tokenizer, seed: int) -> str:
    """A few lines of what the model writes by now."""
    ids = _context(tokenizer, "")
    decoder = tokenizer.decoder(map(int, ids))
    tokens = generate(model, ids, SamplingConfig(), np.random.default_rng(seed), _forbidden(tokenizer))
    return "".join(decoder.push(token) for token in islice(tokens, _SAMPLE_TOKENS[tokenizer.level]))


def _context(tokenizer: Tokenizer, prompt: str) -> Ids:
    """The ids to go on from: without a prompt those of a line end, so that a line begins."""
    beginning = "" if tokenizer.unseen("\n") else "\n"
    return tokenizer.encode(prompt or beginning)


def _forbidden(tokenizer: Tokenizer) -> tuple[int, ...]:
    """<unk> stands for what cannot be written."""
    return () if tokenizer.unknown_id is None else (tokenizer.unknown_id,)


def _write(text: str) -> None:
    """Shown safely on a terminal; byte for byte in UTF-8 anywhere else."""
    if sys.stdout.isatty():
        sys.stdout.write(visible(text))
        sys.stdout.flush()
    else:
        sys.stdout.buffer.write(text.encode("utf-8"))
        sys.stdout.buffer.flush()
