"""Texts that a model draws, kept or passed over, and the most probable ones."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from rnncli.data.config import Unit
from rnncli.data.known_lines import KnownLines
from rnncli.data.levels import spaces_are_scarce
from rnncli.data.tokenizers.base import LoneBytes, Tokenizer, decode, line_end
from rnncli.errors import ConfigError, CorpusError
from rnncli.evaluation.config import SamplingConfig
from rnncli.generation.beam_search import beam_search
from rnncli.generation.constraint import Constraint
from rnncli.generation.prediction import Predictor
from rnncli.generation.sampler import Match, Writer
from rnncli.generation.texts import GrowingText, Limits, most_probable_texts, stream_text, write_texts
from rnncli.numpy_decoder.decoder import Stepper
from rnncli.results import Written
from rnncli.storage.model_dir import ModelDir
from rnncli.workflows.prompts import Prompt, begun, forbidden

_log = logging.getLogger(__name__)
# So many texts are written together, and no more than have so many logits.
_MOST_LANES, _MOST_LOGITS = 256, 2**22
# After so many texts for each that is wanted, no more are expected to be unique or novel.
_MOST_TRIES = 100
# Of the training text, enough to tell whether blanks set its words apart.
_SAMPLE_TOKENS = 20_000


@dataclass(frozen=True)
class Wanted:
    """How many texts, how they are drawn, where they end and which of them are kept.

    `unique`: none twice; `novel`: no line that the training part has. `pattern` is what they match after the
    prompt; `raw` leaves bytes that are no UTF-8 as they are. Raises ConfigError for what cannot be together.
    """

    sampling: SamplingConfig
    limits: Limits
    texts: int = 1
    unique: bool = False
    novel: bool = False
    pattern: str | None = None
    raw: bool = False

    def __post_init__(self) -> None:
        if self.texts < 1:
            raise ConfigError(f"number is {self.texts}", hint="it is a number of texts, 1 or more")
        if self.pattern is not None and (self.limits.lines or self.limits.stops):
            raise ConfigError(
                "--match cannot be combined with --lines or --stop", hint="leave out --lines and --stop"
            )
        if self.novel and self.limits.stops:
            raise ConfigError("what a stop ends is no line, of which --novel speaks", hint="leave out --stop")


def predictor(folder: ModelDir, device: str) -> Predictor:
    """What writes, with the n-gram beside it: numpy on a processor, which auto means here; else torch."""
    if device in ("auto", "cpu"):
        weights = folder.needed_weights().arrays
        return Predictor(Stepper(folder.record().model, weights), folder.ngram())
    from rnncli.generation.torch_decoder import TorchEngine
    from rnncli.storage.runs import load_model
    from rnncli.workflows.devices import pick_device

    return Predictor(TorchEngine(load_model(folder, pick_device(device))), folder.ngram())


def stream(
    folder: ModelDir,
    predictor: Predictor,
    prompt: str,
    wanted: Wanted,
    seed: int,
) -> Iterator[str]:
    """What follows the prompt in the first text, as it comes into being.

    That of a model of lines ends with its line; raises ConfigError where another end is asked for.
    """
    start = _Start.of(folder, prompt, wanted)
    return start.after_prompt(stream_text(start.writers(predictor, seed)(range(1)), start.new_text()))


def draw(
    folder: ModelDir,
    predictor: Predictor,
    prompt: str,
    wanted: Wanted,
    seed: int,
) -> Iterator[Written]:
    """As many texts as are wanted, each as soon as it and those before it have ended.

    Logs a warning if fewer are found. Those of a model of lines end with their line; raises ConfigError
    where other ends are asked for.
    """
    start = _Start.of(folder, prompt, wanted)
    writer, tokenizer = start.writers(predictor, seed), start.tokenizer
    at_once = max(1, min(_MOST_LANES, wanted.texts, _MOST_LOGITS // tokenizer.vocab_size))
    most = wanted.texts * (_MOST_TRIES if wanted.unique or wanted.novel else 1)

    def drawn() -> Iterator[Written]:
        for first in range(0, most, at_once):
            lanes = range(first, min(first + at_once, most))
            for text in write_texts(writer(lanes), lanes, start.new_text):
                yield replace(text, text="".join(start.after_prompt([text.text])))

    kept = 0
    for text in islice(_kept(folder, tokenizer, drawn(), prompt, wanted), wanted.texts):
        kept += 1
        yield text
    if kept < wanted.texts:
        _log.warning("%s of %s texts were found among %s", f"{kept:,}", f"{wanted.texts:,}", f"{most:,}")


def enumerated(
    folder: ModelDir, predictor: Predictor, prompt: str, length: int
) -> tuple[str, Iterator[Written]]:
    """The prompt as it is read, and the most probable lines that begin with it, in their order."""
    tokenizer, read = folder.tokenizer(), begun(folder, prompt)
    begin = read.read(predictor)
    return read.text, most_probable_texts(predictor, begin, tokenizer, read.ids, "line", length)


def best(folder: ModelDir, predictor: Predictor, prompt: str, width: int, length: int) -> tuple[str, Written]:
    """The prompt as it is read, and what beam search finds: so many tokens, or a line of a model of lines."""
    tokenizer, read = folder.tokenizer(), begun(folder, prompt)
    ends = _ends(tokenizer, folder.record().unit)
    begin = read.read(predictor)
    tokens, nats = beam_search(predictor, begin, width, length, ends, forbidden(tokenizer))
    decoder = tokenizer.decoder(read.ids.tolist())
    text = "".join(decoder.push(token) for token in tokens) + decoder.finish()
    return read.text, Written(
        0, text, len(tokens), nats, "lines" if tokens and tokens[-1] in ends else "length"
    )


def _ends(tokenizer: Tokenizer, unit: Unit) -> tuple[int, ...]:
    """What ends a text and is none of it: the line end, of a model of lines."""
    end = line_end(tokenizer)
    return () if unit == "stream" or end is None else (end,)


def usual_unit(folder: ModelDir, tokenizer: Tokenizer) -> str:
    """Words where the text that the model knows sets them apart by white space, else tokens."""
    if tokenizer.level == "word":
        return "word"
    try:
        train = folder.corpus().train
    except CorpusError:  # the text is gone: nobody knows any more
        return "token"
    sample = decode(tokenizer, train.ids[0 : min(train.tokens, _SAMPLE_TOKENS)].tolist())
    return "token" if spaces_are_scarce(sample) else "word"


def limits_of(tokenizer: Tokenizer, of_lines: bool, wanted: Wanted) -> Limits:
    """Where texts of this model end; raises ConfigError where they cannot end as was wanted."""
    lines = wanted.limits.lines
    if of_lines and lines is not None:
        raise ConfigError("a text of this model is one line", hint="use --number instead of --lines")
    if lines is not None and line_end(tokenizer) is None:
        raise ConfigError("the model knows no line ends", hint="use --length instead of --lines")
    if wanted.novel and not (of_lines or lines == 1 or wanted.pattern is not None):
        raise ConfigError("a novel text is a line that was not there", hint="add --lines 1")
    return replace(wanted.limits, lines=1) if of_lines else wanted.limits


@dataclass(frozen=True)
class _Start:
    """A prompt as it is read, and where the texts after it end."""

    tokenizer: Tokenizer
    prompt: Prompt
    limits: Limits
    wanted: Wanted
    blank_is_there: bool

    @classmethod
    def of(cls, folder: ModelDir, given: str, wanted: Wanted) -> "_Start":
        tokenizer, unit = folder.tokenizer(), folder.record().unit
        limits = limits_of(tokenizer, unit == "line", wanted)
        prompt = begun(folder, given)
        if wanted.pattern is not None:
            never, ids = _ends(tokenizer, unit), prompt.ids
            begins = given != prompt.text or not len(ids) or int(ids[-1]) == line_end(tokenizer)
            constraint = Constraint(wanted.pattern, tokenizer, never)
            match = Match(constraint, constraint.begin(begins, limits.tokens), limits.tokens)
            limits = replace(limits, lines=None, match=match)
        return cls(tokenizer, prompt, limits, wanted, given != prompt.text)

    def new_text(self) -> GrowingText:
        lone_bytes: LoneBytes = "surrogateescape" if self.wanted.raw else "replace"
        return GrowingText(self.tokenizer, self.prompt.ids.tolist(), self.limits, lone_bytes)

    def writers(self, predictor: Predictor, seed: int) -> Callable[[range], Writer]:
        """What draws the texts of any lanes, once the prompt is read."""
        begin, never = self.prompt.read(predictor), forbidden(self.tokenizer)
        ids, sampling, match = self.prompt.ids, self.wanted.sampling, self.limits.match
        return lambda lanes: Writer(predictor, begin, ids, sampling, seed, lanes, never, match)

    def after_prompt(self, pieces: Iterable[str]) -> Iterator[str]:
        """Without the blank that the first word brings, where the prompt ends with it."""
        past = not self.blank_is_there
        for piece in pieces:
            yield piece if past else piece.removeprefix(" ")
            past = past or piece != ""


def _kept(
    folder: ModelDir, tokenizer: Tokenizer, texts: Iterator[Written], prompt: str, wanted: Wanted
) -> Iterator[Written]:
    """Those that are neither there before them, nor in the training part, where that is asked."""
    said, known = set[str](), _known_lines(folder) if wanted.novel else None
    for text in texts:
        shown = text.text.removesuffix("\n")
        if wanted.unique and shown in said:
            continue
        said.add(shown)
        lines = (prompt.rpartition("\n")[2] + shown).split("\n")
        ends = wanted.pattern is not None or text.finish_reason == "lines"
        if known is None or (ends and not any(tokenizer.encode(line) in known for line in lines)):
            yield text


def _known_lines(folder: ModelDir) -> KnownLines:
    """The lines that the model has learned from: kept with it, or else those of its text."""
    kept = folder.known_lines()
    if kept is not None:
        return kept
    train = folder.corpus().train
    return KnownLines.of(train.ids, train.line_end)
