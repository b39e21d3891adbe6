"""The work of `rnncli generate`: texts drawn, kept or passed over, and written as they end."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice

from rnncli.cli import corpora, writing
from rnncli.cli.writing import write
from rnncli.errors import ConfigError, CorpusError
from rnncli.inference.config import SamplingConfig
from rnncli.inference.generation import Match, Writer
from rnncli.inference.prediction import Predictor
from rnncli.inference.search import beam_search
from rnncli.inference.texts import GrowingText, Limits, most_probable_texts, stream_text, write_texts
from rnncli.results import Written
from rnncli.storage.model_dir import ModelDir
from rnncli.text.config import Unit
from rnncli.text.constraint import Constraint
from rnncli.text.guessing import spaces_are_scarce
from rnncli.text.known_lines import KnownLines
from rnncli.text.tokenizers import Ids, LoneBytes, Tokenizer, decode, line_end

# So many texts are written together, and no more than have so many logits.
_MOST_LANES, _MOST_LOGITS = 256, 2**22
# After so many texts for each that is wanted, no more are expected to be unique or novel.
_MOST_TRIES = 100
# Of a prompt. What is further back has faded from the memory, and reading it all could take minutes.
_MOST_READ = 10_000
# Of the training text, enough to tell whether blanks set its words apart.
_SAMPLE_TOKENS = 20_000


@dataclass(frozen=True)
class Wanted:
    """How many texts, how they are drawn, where they end and which of them are kept; text or an object each.

    `unique`: none twice; `novel`: no line that the training part has. `pattern` is what they match after the
    prompt; `raw` leaves bytes that are no UTF-8 as they are.
    """

    sampling: SamplingConfig
    limits: Limits
    texts: int = 1
    unique: bool = False
    novel: bool = False
    as_json: bool = False
    pattern: str | None = None
    raw: bool = False


def check(wanted: Wanted) -> None:
    """Raises ConfigError for what does not go together."""
    if wanted.pattern is not None and (wanted.limits.lines or wanted.limits.stops):
        raise ConfigError("--match and --template say where a text ends", hint="leave out --lines and --stop")
    if wanted.raw and wanted != replace(wanted, texts=1, as_json=False, unique=False, novel=False):
        raise ConfigError(
            "--raw writes one text as it is", hint="leave out --number, --format, --unique and --novel"
        )
    if wanted.novel and wanted.limits.stops:
        raise ConfigError("what a stop ends is no line, of which --novel speaks", hint="leave out --stop")
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
    note: Callable[[str], None],
) -> None:
    """Write texts to stdout that begin with the prompt: one as it comes into being, several as they end.

    Those of a model of lines end with their line; raises ConfigError where others are asked for.
    """
    tokenizer, unit = folder.tokenizer(), folder.record().unit
    limits = limits_of(tokenizer, unit == "line", wanted)
    given, (prompt, ids) = prompt, begun(tokenizer, unit, prompt, note)
    if wanted.pattern is not None:
        # Of a model of lines the line end is none of a text: it ends where that comes.
        never = () if unit == "stream" or (end := line_end(tokenizer)) is None else (end,)
        begins = given != prompt or not len(ids) or int(ids[-1]) == line_end(tokenizer)
        constraint = Constraint(wanted.pattern, tokenizer, never)
        match = Match(constraint, constraint.begin(begins, limits.tokens), limits.tokens)
        limits = replace(limits, lines=None, match=match)

    def new_text() -> GrowingText:
        lone_bytes: LoneBytes = "surrogateescape" if wanted.raw else "replace"
        return GrowingText(tokenizer, ids.tolist(), limits, lone_bytes)

    begin, unknown = predictor.begin(ids), writing.forbidden(tokenizer)

    def writer(lanes: range) -> Writer:
        return Writer(predictor, begin, ids, wanted.sampling, seed, lanes, unknown, limits.match)

    if wanted.texts == 1 and not (wanted.as_json or wanted.unique or wanted.novel):
        pieces = stream_text(writer(range(1)), new_text())
        writing.stream(given, _after_blank(pieces) if given != prompt else pieces)
        return
    at_once = max(1, min(_MOST_LANES, wanted.texts, _MOST_LOGITS // tokenizer.vocab_size))
    most = wanted.texts * (_MOST_TRIES if wanted.unique or wanted.novel else 1)

    def drawn() -> Iterator[Written]:
        for first in range(0, most, at_once):
            lanes = range(first, min(first + at_once, most))
            for text in write_texts(writer(lanes), lanes, new_text):
                yield replace(text, text="".join(_after_blank([text.text]))) if given != prompt else text

    kept = 0
    for text in islice(_kept(folder, tokenizer, drawn(), given, wanted), wanted.texts):
        kept += 1
        whole = (given + text.text).removesuffix("\n") + "\n"
        write(_json(text, given, seed=seed) if wanted.as_json else whole)
    if kept < wanted.texts:
        note(f"{kept:,} of {wanted.texts:,} texts were found among {most:,}")


def enumerate_lines(
    folder: ModelDir,
    predictor: Predictor,
    prompt: str,
    number: int,
    length: int,
    as_json: bool,
    note: Callable[[str], None],
) -> None:
    """Write the most probable lines that begin with the prompt to stdout, in their order."""
    tokenizer = folder.tokenizer()
    prompt, ids = begun(tokenizer, folder.record().unit, prompt, note)
    for line in islice(most_probable_texts(predictor, tokenizer, ids, "line", length), number):
        write(_json(line, prompt) if as_json else prompt + line.text + "\n")


def write_best(
    folder: ModelDir,
    predictor: Predictor,
    prompt: str,
    width: int,
    length: int,
    as_json: bool,
    note: Callable[[str], None],
) -> None:
    """Write the text that beam search finds to stdout: so many tokens, or a line of a model of lines."""
    tokenizer, unit, end = folder.tokenizer(), folder.record().unit, line_end(folder.tokenizer())
    prompt, ids = begun(tokenizer, unit, prompt, note)
    ends = () if unit == "stream" or end is None else (end,)
    tokens, nats = beam_search(predictor, ids, width, length, ends, writing.forbidden(tokenizer))
    decoder = tokenizer.decoder(ids.tolist())
    text = "".join(decoder.push(token) for token in tokens) + decoder.finish()
    reason = "lines" if tokens and tokens[-1] in ends else "length"
    best = Written(0, text, len(tokens), nats, reason)
    write(_json(best, prompt) if as_json else (prompt + text).removesuffix("\n") + "\n")


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


def begun(tokenizer: Tokenizer, unit: Unit, prompt: str, note: Callable[[str], None]) -> tuple[str, Ids]:
    """The prompt as a text goes on from it, and the ids that are read of it; says what is not."""
    name_unseen(tokenizer, prompt, note)
    prompt = writing.without_blank(tokenizer, prompt)
    ids = writing.context(tokenizer, unit, prompt)
    if len(ids) > _MOST_READ:
        note(f"of the {len(ids):,} tokens of the prompt the last {_MOST_READ:,} are read")
    return prompt, ids[-_MOST_READ:]


def name_unseen(tokenizer: Tokenizer, prompt: str, note: Callable[[str], None]) -> None:
    unseen = corpora.describe_unseen(tokenizer, prompt)
    if unseen:
        note(f"the prompt has symbols that the model has never seen, read as <unk>: {unseen}")


def limits_of(tokenizer: Tokenizer, of_lines: bool, wanted: Wanted) -> Limits:
    lines = wanted.limits.lines
    if of_lines and lines is not None:
        raise ConfigError("a text of this model is one line", hint="use --number instead of --lines")
    if lines is not None and line_end(tokenizer) is None:
        raise ConfigError("the model knows no line ends", hint="use --length instead of --lines")
    if wanted.novel and not (of_lines or lines == 1 or wanted.pattern is not None):
        raise ConfigError("a novel text is a line that was not there", hint="add --lines 1")
    return replace(wanted.limits, lines=1) if of_lines else wanted.limits


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


def _after_blank(pieces: Iterable[str]) -> Iterator[str]:
    """Without the blank that the first word brings: the prompt ends with it."""
    begun = False
    for piece in pieces:
        yield piece if begun else piece.removeprefix(" ")
        begun = begun or piece != ""


def _known_lines(folder: ModelDir) -> KnownLines:
    """The lines that the model has learned from: kept with it, or else those of its text."""
    kept = folder.known_lines()
    if kept is not None:
        return kept
    train = folder.corpus().train
    return KnownLines.of(train.ids, train.line_end)


def _json(written: Written, prompt: str, **more: int) -> str:
    return json.dumps({**asdict(written), "prompt": prompt, **more}, ensure_ascii=False) + "\n"
