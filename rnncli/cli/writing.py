"""A model's text on its way to a person: the prompt, the stream, a sample during training."""

import secrets
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import numpy as np

from rnncli.cli import corpora
from rnncli.console.safe_text import visible
from rnncli.errors import GenerationError
from rnncli.inference.config import SamplingConfig
from rnncli.inference.generation import Engine, generate
from rnncli.model.mixture import Mixture
from rnncli.model.ngram import Ngram
from rnncli.model.stepper import Stepper
from rnncli.storage.model_dir import ModelDir
from rnncli.text import reading
from rnncli.text.config import ReadConfig, Unit
from rnncli.text.sources import STDIN
from rnncli.text.tokenizers import Ids, Tokenizer

Beside = tuple[Ngram, Mixture] | None
_SAMPLE_TOKENS = {"char": 160, "byte": 160, "word": 32, "subword": 48}
_SAMPLE_LINES = 5


def fresh_seed() -> int:
    """A seed that is short enough to be typed again."""
    return secrets.randbelow(10**6)


def read_prompt(prompt: str) -> str:
    """The prompt itself, or stdin for "-"; raises GenerationError where it is not text."""
    text = reading.read([STDIN], ReadConfig()).content if prompt == STDIN else prompt
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise GenerationError("the prompt is not valid UTF-8", hint="pass it through stdin: --prompt -")
    return text


def engine(folder: ModelDir, device: str) -> Engine[Any]:
    """What writes: numpy on a processor, where one stream is faster than on any other device; else torch."""
    if device in ("auto", "cpu"):
        return Stepper(folder.record().model, folder.needed_weights().arrays)
    from rnncli.cli.device import pick_device
    from rnncli.inference.torch_engine import TorchEngine
    from rnncli.storage.runs import load_model

    return TorchEngine(load_model(folder, pick_device(device)))


def stream(
    engine: Engine[Any],
    tokenizer: Tokenizer,
    unit: Unit,
    prompt: str,
    length: int,
    sampling: SamplingConfig,
    seed: int,
    note: Callable[[str], None],
    beside: Beside = None,
) -> None:
    """Write the prompt and `length` tokens to stdout, whole characters as soon as they are known.

    With unit line it ends with the line.
    """
    unseen = corpora.describe_unseen(tokenizer, prompt)
    if unseen:
        note(f"the prompt has symbols that the model has never seen, read as <unk>: {unseen}")
    write(prompt)
    rng = np.random.default_rng(seed)
    for text in _texts(engine, tokenizer, unit, prompt, length, sampling, rng, beside):
        write(text)
    if sys.stdout.isatty():
        write("\n")


def sample(engine: Engine[Any], tokenizer: Tokenizer, unit: Unit, seed: int) -> str:
    """A few lines of what the model writes by now."""
    rng, length = np.random.default_rng(seed), _SAMPLE_TOKENS[tokenizer.level]
    samples = _SAMPLE_LINES if unit == "line" else 1
    return "".join(
        text
        for _ in range(samples)
        for text in _texts(engine, tokenizer, unit, "", length, SamplingConfig(), rng)
    )


def _texts(
    engine: Engine[Any],
    tokenizer: Tokenizer,
    unit: Unit,
    prompt: str,
    length: int,
    sampling: SamplingConfig,
    rng: np.random.Generator,
    beside: Beside = None,
) -> Iterator[str]:
    """What follows the prompt, as soon as its characters are whole: `length` tokens, or one line."""
    ids = _context(tokenizer, unit, prompt)
    decoder = tokenizer.decoder(map(int, ids))
    tokens = islice(generate(engine, ids, sampling, rng, _forbidden(tokenizer), beside), length)
    last = int(tokenizer.encode("\n")[-1]) if unit == "line" else None
    for token in tokens:
        yield decoder.push(token)
        if token == last:
            break
    yield decoder.finish()


def _context(tokenizer: Tokenizer, unit: Unit, prompt: str) -> Ids:
    """The ids to go on from: in a stream without a prompt those of a line end, so that a line begins."""
    beginning = "" if unit == "line" or tokenizer.unseen("\n") else "\n"
    return tokenizer.encode(prompt or beginning)


def _forbidden(tokenizer: Tokenizer) -> tuple[int, ...]:
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
