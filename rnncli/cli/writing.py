"""A model's text on its way to a person: the prompt, the stream, a sample during training."""

import secrets
import sys
import time
from collections.abc import Iterator

from rnncli.data import reading
from rnncli.data.config import ReadConfig, Unit
from rnncli.data.sources import STDIN
from rnncli.data.tokenizers.base import Tokenizer
from rnncli.errors import GenerationError
from rnncli.evaluation.config import SamplingConfig
from rnncli.generation.prediction import Predictor
from rnncli.generation.sampler import Writer
from rnncli.generation.texts import GrowingText, Limits, write_texts
from rnncli.safe_text import visible
from rnncli.workflows.prompts import context, forbidden

_SAMPLE_TOKENS = {"char": 160, "byte": 160, "word": 32, "subword": 48}
_SAMPLE_LINES = 5
_SHOWN_EVERY_SECONDS = 0.02


def fresh_seed() -> int:
    """A seed that is short enough to be typed again."""
    return secrets.randbelow(10**6)


def read_prompt(prompt: str) -> str:
    """The prompt itself, or stdin for "-"; raises GenerationError where it is not text."""
    text = reading.read([STDIN], ReadConfig()).content if prompt == STDIN else prompt
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise GenerationError("the prompt is not valid UTF-8", hint="pass it through stdin: --prompt -")
    return text


def stream(prompt: str, pieces: Iterator[str]) -> None:
    """Pieces after a prompt as they come, but no more often than an eye can follow."""
    held, shown, last = [prompt], 0.0, prompt
    try:
        for piece in pieces:
            held.append(piece)
            last = piece or last
            if time.monotonic() - shown >= _SHOWN_EVERY_SECONDS:
                now = "".join(held)
                held.clear()  # first: what is shown when Ctrl-C comes is not shown again
                write(now)
                shown = time.monotonic()
    finally:
        write("".join(held))
        if sys.stdout.isatty() and not last.endswith("\n"):
            write("\n")


def sample(predictor: Predictor, tokenizer: Tokenizer, unit: Unit, seed: int) -> str:
    """A few lines of what the model writes by now."""
    ids, samples = context(tokenizer, unit, ""), _SAMPLE_LINES if unit == "line" else 1
    limits = Limits(_SAMPLE_TOKENS[tokenizer.level], 1 if unit == "line" else None)
    begin, lanes = predictor.begin(ids), range(samples)
    writer = Writer(predictor, begin, ids, SamplingConfig(), seed, lanes, forbidden(tokenizer))
    texts = write_texts(writer, lanes, lambda: GrowingText(tokenizer, ids.tolist(), limits))
    return "".join(written.text for written in texts)


def write(text: str) -> None:
    """Shown safely on a terminal; byte for byte in UTF-8 anywhere else, and what is no UTF-8 as it is."""
    write_bytes(text.encode("utf-8", "surrogateescape"))


def write_bytes(data: bytes) -> None:
    """The same of UTF-8 that is encoded already."""
    if sys.stdout.isatty():
        sys.stdout.write(visible(data.decode("utf-8", "replace")))
        sys.stdout.flush()
    else:
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
