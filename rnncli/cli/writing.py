"""A model's text on its way to a person: the prompt, the stream, a sample during training."""

import json
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice

from rnncli.cli import corpora
from rnncli.console.safe_text import visible
from rnncli.errors import ConfigError, GenerationError
from rnncli.inference.config import SamplingConfig
from rnncli.inference.generation import Writer
from rnncli.inference.prediction import Predictor
from rnncli.inference.texts import GrowingText, Limits, most_probable_texts, stream_text, write_texts
from rnncli.model.stepper import Stepper
from rnncli.reports import Written
from rnncli.storage.model_dir import ModelDir
from rnncli.text import reading
from rnncli.text.config import ReadConfig, Unit
from rnncli.text.sources import STDIN
from rnncli.text.tokenizers import Ids, Tokenizer, line_end

_SAMPLE_TOKENS = {"char": 160, "byte": 160, "word": 32, "subword": 48}
_SAMPLE_LINES = 5
_SHOWN_EVERY_SECONDS = 0.02
# So many texts are written together, and no more than have so many logits.
_MOST_LANES, _MOST_LOGITS = 256, 2**22


@dataclass(frozen=True)
class Wanted:
    """How many texts, how they are drawn and where they end; as text or as an object each."""

    sampling: SamplingConfig
    limits: Limits
    texts: int = 1
    as_json: bool = False
    most_probable: int | None = None


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


def stream(
    predictor: Predictor,
    tokenizer: Tokenizer,
    unit: Unit,
    prompt: str,
    wanted: Wanted,
    seed: int,
    note: Callable[[str], None],
) -> None:
    """Write texts to stdout that begin with the prompt: one as it comes into being, several as they end.

    With unit line each ends with its line; raises ConfigError where others are asked for.
    """
    unseen = corpora.describe_unseen(tokenizer, prompt)
    if unseen:
        note(f"the prompt has symbols that the model has never seen, read as <unk>: {unseen}")
    if wanted.limits.lines is not None:
        if unit == "line":
            raise ConfigError("a text of this model is one line", hint="use --number instead of --lines")
        if line_end(tokenizer) is None:
            raise ConfigError("the model knows no line ends", hint="use --length instead of --lines")
    ids = context(tokenizer, unit, prompt)
    if wanted.most_probable is not None:
        probable = most_probable_texts(predictor, tokenizer, ids, "line", wanted.limits.tokens)
        for line in islice(probable, wanted.most_probable):
            write(_json(line, prompt) if wanted.as_json else prompt + line.text + "\n")
        return
    limits = replace(wanted.limits, lines=1) if unit == "line" else wanted.limits
    at_once = max(1, min(_MOST_LANES, _MOST_LOGITS // tokenizer.vocab_size))

    def new_text() -> GrowingText:
        return GrowingText(tokenizer, ids.tolist(), limits)

    def written() -> Iterator[Written]:
        for first in range(0, wanted.texts, at_once):
            lanes = range(first, min(first + at_once, wanted.texts))
            writer = Writer(predictor, ids, wanted.sampling, seed, lanes, forbidden(tokenizer))
            yield from write_texts(writer, lanes, new_text)

    if wanted.as_json:
        for text in written():
            write(_json(text, prompt, seed=seed))
    elif wanted.texts > 1:
        for text in written():
            write((prompt + text.text).removesuffix("\n") + "\n")
    else:
        writer = Writer(predictor, ids, wanted.sampling, seed, range(1), forbidden(tokenizer))
        _stream_one(prompt, stream_text(writer, new_text()))


def _json(written: Written, prompt: str, **more: int) -> str:
    return json.dumps({**asdict(written), "prompt": prompt, **more}, ensure_ascii=False) + "\n"


def _stream_one(prompt: str, pieces: Iterator[str]) -> None:
    """Pieces as they come, but no more often than an eye can follow."""
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
    writer = Writer(predictor, ids, SamplingConfig(), seed, range(samples), forbidden(tokenizer))
    texts = write_texts(writer, range(samples), lambda: GrowingText(tokenizer, ids.tolist(), limits))
    return "".join(written.text for written in texts)


def context(tokenizer: Tokenizer, unit: Unit, prompt: str) -> Ids:
    """The ids to go on from: in a stream without a prompt those of a line end, so that a line begins."""
    beginning = "" if unit == "line" or tokenizer.unseen("\n") else "\n"
    return tokenizer.encode(prompt or beginning)


def forbidden(tokenizer: Tokenizer) -> tuple[int, ...]:
    """<unk> stands for what cannot be written."""
    return () if tokenizer.unknown_id is None else (tokenizer.unknown_id,)


def write(text: str) -> None:
    """Shown safely on a terminal; byte for byte in UTF-8 anywhere else."""
    if sys.stdout.isatty():
        sys.stdout.write(visible(text))
        sys.stdout.flush()
    else:
        sys.stdout.buffer.write(text.encode("utf-8"))
        sys.stdout.buffer.flush()
