"""The work of `rnncli generate`: texts to stdout, as text or as objects."""

import json
import sys
from dataclasses import asdict
from itertools import islice

from rnncli.cli import writing
from rnncli.cli.writing import write
from rnncli.errors import ConfigError
from rnncli.generation.prediction import Predictor
from rnncli.results import Written
from rnncli.storage.model_dir import ModelDir
from rnncli.workflows import generate
from rnncli.workflows.generate import Wanted


def check_raw(wanted: Wanted, as_json: bool) -> None:
    """Raises ConfigError where bytes as they are cannot be what is shown."""
    if wanted.raw and (as_json or wanted.texts > 1 or wanted.unique or wanted.novel):
        raise ConfigError(
            "--raw writes one text as it is", hint="leave out --number, --format, --unique and --novel"
        )
    if wanted.raw and sys.stdout.isatty():
        raise ConfigError(
            "--raw would send whatever the model writes to the terminal", hint="use it with a pipe or a file"
        )


def draw_texts(
    folder: ModelDir,
    predictor: Predictor,
    prompt: str,
    wanted: Wanted,
    seed: int,
    as_json: bool,
) -> None:
    """Write texts that begin with the prompt: one as it comes into being, several as they end."""
    if wanted.texts == 1 and not (as_json or wanted.unique or wanted.novel):
        writing.stream(prompt, generate.stream(folder, predictor, prompt, wanted, seed))
        return
    for text in generate.draw(folder, predictor, prompt, wanted, seed):
        write(_json(text, prompt, seed=seed) if as_json else _whole(prompt, text))


def enumerate_lines(
    folder: ModelDir,
    predictor: Predictor,
    prompt: str,
    number: int,
    length: int,
    as_json: bool,
) -> None:
    """Write the most probable lines that begin with the prompt, in their order."""
    prompt, lines = generate.enumerated(folder, predictor, prompt, length)
    for line in islice(lines, number):
        write(_json(line, prompt) if as_json else prompt + line.text + "\n")


def write_best(
    folder: ModelDir,
    predictor: Predictor,
    prompt: str,
    width: int,
    length: int,
    as_json: bool,
) -> None:
    """Write the text that beam search finds."""
    prompt, best = generate.best(folder, predictor, prompt, width, length)
    write(_json(best, prompt) if as_json else _whole(prompt, best))


def _whole(prompt: str, text: Written) -> str:
    """With one line end."""
    return (prompt + text.text).removesuffix("\n") + "\n"


def _json(written: Written, prompt: str, **more: int) -> str:
    return json.dumps({**asdict(written), "prompt": prompt, **more}, ensure_ascii=False) + "\n"
