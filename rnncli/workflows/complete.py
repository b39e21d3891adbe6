"""Complete a text: what is likely to follow it, with probabilities."""

from itertools import islice

from rnncli.data.statistics import has_few_spaces
from rnncli.data.tokenizers.base import decode
from rnncli.errors import ConfigError, CorpusError
from rnncli.generation.config import CompletionOptions
from rnncli.generation.decoder import Decoder
from rnncli.generation.prompt import prompt_text
from rnncli.generation.text_generator import CompletionUnit, TextGenerator
from rnncli.results import Completions
from rnncli.storage.model_dir import ModelDir

_MAX_TOKENS = 200
# Enough of the training text to tell whether it has spaces between words.
_SAMPLE_TOKENS = 20_000


def complete(model_dir: ModelDir, decoder: Decoder, prompt: str, options: CompletionOptions) -> Completions:
    """Find the most probable continuations of a text, up to the end of a token, word or line.

    The probability of a word or line includes that it ends there.

    Args:
        model_dir: The model.
        decoder: Its decoder (rnncli.workflows.generate.load_decoder).
        prompt: The text; a line end at its end is ignored.
        options: How far, and how many completions.

    Raises:
        ConfigError: The model has no such units.
    """
    tokenizer = model_dir.tokenizer()
    to = options.to or _usual_unit(model_dir)
    if options.length is not None and (to == "token" or (to, tokenizer.level) == ("word", "word")):
        raise ConfigError(
            "--length has no effect on a single token", hint="leave out --length, or use --to line"
        )
    generator = TextGenerator(decoder, tokenizer, line_by_line=model_dir.record().line_by_line)
    prompt = prompt.removesuffix("\n")  # a line from a pipe has a line end that is not meant
    found = generator.most_probable(prompt, to=to, max_tokens=options.length or _MAX_TOKENS)
    return Completions(prompt_text(tokenizer, prompt), to, tuple(islice(found, options.number)))


def _usual_unit(model_dir: ModelDir) -> CompletionUnit:
    """Words if the training text has spaces between them, else tokens."""
    tokenizer = model_dir.tokenizer()
    if tokenizer.level == "word":
        return "word"
    try:
        train = model_dir.corpus().train
    except CorpusError:  # the text is gone
        return "token"
    sample = decode(tokenizer, train.ids[0 : min(train.tokens, _SAMPLE_TOKENS)].tolist())
    return "token" if has_few_spaces(sample) else "word"
