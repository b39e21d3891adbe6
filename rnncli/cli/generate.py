"""`rnncli generate`: text from a model, streamed."""

import logging
from enum import StrEnum
from typing import Annotated

import typer

from rnncli.cli import options
from rnncli.evaluation.config import SamplingConfig

_log = logging.getLogger(__name__)
_DRAWING, _ENDING = "How tokens are drawn", "Where a text ends"


class TextFormat(StrEnum):
    """Of the output."""

    text = "text"
    jsonl = "jsonl"


def generate(
    prompt: Annotated[
        str, typer.Option("--prompt", "-p", help="What the text begins with; - reads it from stdin.")
    ] = "",
    model: options.Model = None,
    number: Annotated[
        int, typer.Option("--number", "-n", min=1, max=65_536, help="Texts to write, all at once.")
    ] = 1,
    length: Annotated[
        int, typer.Option("--length", "-l", min=0, help="Most tokens of a text.", rich_help_panel=_ENDING)
    ] = 500,
    unique: Annotated[bool, typer.Option("--unique", help="No text twice.")] = False,
    novel: Annotated[bool, typer.Option("--novel", help="No line that the training text has.")] = False,
    interactive: Annotated[
        bool,
        typer.Option("--interactive", "-i", help="In turns: a line of yours, a text of the model's."),
    ] = False,
    enumerate: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Not drawn: the N most probable lines, in their order."),
    ] = None,
    beam: Annotated[
        int | None,
        typer.Option(min=1, max=4096, metavar="N", help="Not drawn: the best that a beam of N finds."),
    ] = None,
    lines: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Lines of a text.", rich_help_panel=_ENDING)
    ] = None,
    stop: Annotated[
        list[str] | None,
        typer.Option(metavar="STRING", help="End before it; several may be given.", rich_help_panel=_ENDING),
    ] = None,
    match: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help="What is written after the prompt matches it as a whole.",
            rich_help_panel=_ENDING,
        ),
    ] = None,
    temperature: Annotated[
        float,
        typer.Option(
            help="Below 1 safer, above 1 wilder; 0 takes the likeliest.",
            rich_help_panel=_DRAWING,
        ),
    ] = SamplingConfig.temperature,
    top_k: Annotated[
        int,
        typer.Option(
            metavar="K", help="Draw from the K likeliest tokens; 0 from all.", rich_help_panel=_DRAWING
        ),
    ] = SamplingConfig.top_k,
    top_p: Annotated[
        float,
        typer.Option(
            metavar="P",
            help="Draw from the fewest tokens that have probability P together.",
            rich_help_panel=_DRAWING,
        ),
    ] = SamplingConfig.top_p,
    min_p: Annotated[
        float,
        typer.Option(
            metavar="P",
            help="Leave out what is not P times as likely as the likeliest.",
            rich_help_panel=_DRAWING,
        ),
    ] = SamplingConfig.min_p,
    typical_p: Annotated[
        float,
        typer.Option(help="Draw from what is about as surprising as usual.", rich_help_panel=_DRAWING),
    ] = SamplingConfig.typical_p,
    repetition_penalty: Annotated[
        float, typer.Option(help="Above 1: what was there becomes less likely.", rich_help_panel=_DRAWING)
    ] = SamplingConfig.repetition_penalty,
    no_repeat_ngram: Annotated[
        int, typer.Option(metavar="N", help="No run of N tokens twice.", rich_help_panel=_DRAWING)
    ] = SamplingConfig.no_repeat_ngram,
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed writes the same texts.")] = None,
    format: Annotated[
        TextFormat, typer.Option(help="jsonl: an object a text, with nats and why it ended.")
    ] = TextFormat.text,
    raw: Annotated[
        bool, typer.Option("--raw", help="Bytes that are no UTF-8 as the model writes them, for pipes.")
    ] = False,
    device: options.WritingDevice = "auto",
    quiet: options.Quiet = False,
    config: options.Settings = None,
) -> None:
    """Write with a model. The text goes to stdout as it comes into being.

    Example: rnncli generate --prompt "Once" --length 500 --temperature 0.8 --seed 1
    """
    from rnncli.cli import generating, writing
    from rnncli.cli.interactive import converse
    from rnncli.errors import ConfigError
    from rnncli.generation.interactive import Conversation
    from rnncli.generation.texts import Limits
    from rnncli.storage.model_dir import ModelDir
    from rnncli.workflows.generate import Wanted, limits_of, predictor

    sampling = SamplingConfig(
        temperature, top_k, top_p, min_p, typical_p, repetition_penalty, no_repeat_ngram
    )
    limits = Limits(length, lines, tuple(stop or ()))
    wanted, as_json = Wanted(sampling, limits, number, unique, novel, match, raw), format == "jsonl"
    searched = enumerate is not None or beam is not None
    if searched and (
        wanted != Wanted(SamplingConfig(), Limits(length)) or seed is not None or (enumerate and beam)
    ):
        raise ConfigError(
            "--enumerate and --beam draw nothing",
            hint="beside either are --prompt, --length and --format alone",
        )
    if interactive and (wanted != Wanted(sampling, limits) or as_json or searched or prompt):
        raise ConfigError(
            "--interactive writes one text after another",
            hint="beside it are --length, --lines, --stop and how tokens are drawn; say the prompt there",
        )
    generating.check_raw(wanted, as_json)
    folder = ModelDir.find(model)
    seed = writing.fresh_seed() if seed is None else seed
    _log.info("model %s%s", folder.path, "" if searched else f", seed {seed}")
    begin, ready = writing.read_prompt(prompt), predictor(folder, device)
    if interactive:
        tokenizer, by_line = folder.tokenizer(), folder.record().unit == "line"
        limits = limits_of(tokenizer, by_line, wanted)
        converse(Conversation(ready, tokenizer, by_line, sampling, limits, seed), tokenizer)
    elif enumerate:
        generating.enumerate_lines(folder, ready, begin, enumerate, length, as_json)
    elif beam:
        generating.write_best(folder, ready, begin, beam, length, as_json)
    else:
        generating.draw_texts(folder, ready, begin, wanted, seed, as_json)
