"""`rnncli generate`: text from a model, streamed."""

from typing import Annotated

import typer

from rnncli.cli import options
from rnncli.inference.config import SamplingConfig


def generate(
    prompt: Annotated[
        str, typer.Option("--prompt", "-p", help="What the text begins with; - reads it from stdin.")
    ] = "",
    model: options.Model = None,
    length: Annotated[int, typer.Option("--length", "-l", min=0, help="Tokens to write.")] = 500,
    temperature: Annotated[
        float, typer.Option(help="Below 1 safer, above 1 wilder; 0 always takes the likeliest token.")
    ] = SamplingConfig.temperature,
    top_k: Annotated[
        int, typer.Option(help="Draw from the K likeliest tokens; 0 from all.")
    ] = SamplingConfig.top_k,
    top_p: Annotated[
        float, typer.Option(help="Draw from the fewest tokens that have probability P together.")
    ] = SamplingConfig.top_p,
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed writes the same text.")] = None,
    device: options.Device = "auto",
    quiet: options.Quiet = False,
    config: options.Settings = None,
) -> None:
    """Write with a model. The text goes to stdout as it comes into being.

    Example: rnncli generate --prompt "Once" --length 500 --temperature 0.8 --seed 1
    """
    from rnncli.cli import writing
    from rnncli.console import terminal
    from rnncli.storage.model_dir import ModelDir

    sampling = SamplingConfig(temperature, top_k, top_p)
    note = terminal.notes(quiet)
    folder = ModelDir.find(model)
    seed = writing.fresh_seed() if seed is None else seed
    note(f"model {folder.path}, seed {seed}")
    engine = writing.engine(folder, device)
    begin, tokenizer, unit = writing.read_prompt(prompt), folder.tokenizer(), folder.record().unit
    writing.stream(engine, tokenizer, unit, begin, length, sampling, seed, note, folder.ngram())
