"""A model's text on its way to a person: the prompt, the stream, a sample during training."""

import secrets
import sys
import time
from collections.abc import Iterator

from rnncli.console.safe_text import visible
from rnncli.errors import GenerationError
from rnncli.inference.config import SamplingConfig
from rnncli.inference.generation import Writer
from rnncli.inference.prediction import Predictor
from rnncli.inference.texts import GrowingText, Limits, write_texts
from rnncli.model.stepper import Stepper
from rnncli.storage.model_dir import ModelDir
from rnncli.text import reading
from rnncli.text.config import ReadConfig, Unit
from rnncli.text.sources import STDIN
from rnncli.text.tokenizers import Ids, Tokenizer

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


def predictor(folder: ModelDir, device: str) -> Predictor:
    """What writes, with the n-gram beside it: numpy on a processor, which auto means here; else torch."""
    if device in ("auto", "cpu"):
        weights = folder.needed_weights().arrays
        return Predictor(Stepper(folder.record().model, weights), folder.ngram())
    from rnncli.cli.device import pick_device
    from rnncli.inference.torch_engine import TorchEngine
    from rnncli.storage.runs import load_model

    return Predictor(TorchEngine(load_model(folder, pick_device(device))), folder.ngram())


def stream(prompt: str, pieces: Iterator[str]) -> None:
    """Pieces after a prompt as they come, but no more often than an eye can follow."""
    held, shown = [prompt], 0.0
    try:
        for piece in pieces:
            held.append(piece)
            if time.monotonic() - shown >= _SHOWN_EVERY_SECONDS:
                now = "".join(held)
                held.clear()  # first: what is shown when Ctrl-C comes is not shown again
                write(now)
                shown = time.monotonic()
    finally:
        write("".join(held))
        if sys.stdout.isatty():
            write("\n")


def sample(predictor: Predictor, tokenizer: Tokenizer, unit: Unit, seed: int) -> str:
    """A few lines of what the model writes by now."""
    ids, samples = context(tokenizer, unit, ""), _SAMPLE_LINES if unit == "line" else 1
    limits = Limits(_SAMPLE_TOKENS[tokenizer.level], 1 if unit == "line" else None)
    begin, lanes = predictor.begin(ids), range(samples)
    writer = Writer(predictor, begin, ids, SamplingConfig(), seed, lanes, forbidden(tokenizer))
    texts = write_texts(writer, lanes, lambda: GrowingText(tokenizer, ids.tolist(), limits))
    return "".join(written.text for written in texts)


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
