"""Generate text: sampled, or the most probable lines, or the best text of a beam."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain, islice

from rnncli.data import decoding
from rnncli.data.config import ReadOptions
from rnncli.data.line_hashes import LineHashes
from rnncli.data.sources import STDIN
from rnncli.errors import GenerationError
from rnncli.generation.config import GenerationOptions, GenerationTask
from rnncli.generation.decoder import Decoder, make_decoder
from rnncli.generation.prompt import prompt_text
from rnncli.generation.text_generator import TextGenerator
from rnncli.results import GeneratedText
from rnncli.storage.model_dir import ModelDir


def load_decoder(model_dir: ModelDir, device: str = "auto") -> Decoder:
    """Load the decoder of a model, interpolated with its n-gram model if it has one.

    Args:
        model_dir: The model.
        device: "auto" and "cpu" use the NumPy decoder, which is faster for single tokens; others use torch.
    """
    if device in ("auto", "cpu"):
        from rnncli.numpy_decoder.decoder import NumPyDecoder

        weights = model_dir.require_weights().arrays
        return make_decoder(NumPyDecoder(model_dir.record().model, weights), model_dir.ngram())
    from rnncli.generation.torch_decoder import TorchDecoder
    from rnncli.storage.checkpoints import load_model
    from rnncli.workflows.devices import pick_device

    return make_decoder(TorchDecoder(load_model(model_dir, pick_device(device))), model_dir.ngram())


def text_generator(
    model_dir: ModelDir, decoder: Decoder, options: GenerationOptions, *, raw: bool = False
) -> TextGenerator:
    """Return the generator of a model; raises ConfigError if its texts cannot stop as `options` say."""
    return TextGenerator(
        decoder,
        model_dir.tokenizer(),
        line_by_line=model_dir.record().line_by_line,
        sampling=options.sampling,
        stopping=options.stopping,
        raw=raw,
    )


def generate(
    model_dir: ModelDir, decoder: Decoder, prompt: str, options: GenerationOptions
) -> Iterator[GeneratedText]:
    """Sample texts that continue a prompt, each as soon as it and those before it are complete.

    Raises:
        ConfigError: The model cannot generate such texts.
        GenerationError: The prompt cannot be read by the model.
    """
    return text_generator(model_dir, decoder, options).generate(
        prompt,
        number=options.number,
        seed=random_seed() if options.seed is None else options.seed,
        unique=options.unique,
        line_hashes=_line_hashes(model_dir) if options.novel else None,
    )


def generate_output(
    model_dir: ModelDir, decoder: Decoder, prompt: str, *, task: GenerationTask, seed: int
) -> Iterator[str]:
    """Generate texts as `rnncli generate` prints them: each with its prompt, or as a JSON object.

    If `task.streams`, the single text comes piece by piece.
    """
    options = task.generation
    generator = text_generator(model_dir, decoder, options, raw=task.raw)
    if task.streams:
        return chain([prompt], generator.stream(prompt, seed=seed))
    if task.searches:
        start, more = prompt_text(generator.tokenizer, prompt), dict[str, int]()
        texts = (
            iter([generator.beam_search(prompt, width=task.beam)])
            if task.beam is not None
            else islice(
                generator.most_probable(prompt, to="line", max_tokens=options.stopping.length), task.enumerate
            )
        )
    else:
        start, more = prompt, {"seed": seed}
        texts = generator.generate(
            prompt,
            number=options.number,
            seed=seed,
            unique=options.unique,
            line_hashes=_line_hashes(model_dir) if options.novel else None,
        )
    if task.as_json:
        records = ({**asdict(text), "prompt": start, **more} for text in texts)
        return (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    return ((start + text.text).removesuffix("\n") + "\n" for text in texts)


def random_seed() -> int:
    """Return a random seed that is short enough to be typed again."""
    return secrets.randbelow(10**6)


def read_prompt(prompt: str) -> str:
    """Return the prompt itself, or the text on stdin for "-"; raises GenerationError if it is not text."""
    text = decoding.read_texts([STDIN], ReadOptions()).content if prompt == STDIN else prompt
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise GenerationError("the prompt is not valid UTF-8", hint="pass it through stdin: --prompt -")
    return text


def _line_hashes(model_dir: ModelDir) -> LineHashes:
    """The lines of the training split: saved with the model, or else read from its text."""
    saved = model_dir.line_hashes()
    if saved is not None:
        return saved
    train = model_dir.corpus().train
    return LineHashes.of(train.ids, train.line_end)
