"""From a prompt to texts: streamed, in batches, or the most probable ones.

    prompt --prepare_prompt--> ids --Decoder--> DecoderState --Sampler--> tokens --TextBuilder--> text

N is the number of tokens of a prompt.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import Literal

from rnncli.data.config import Level
from rnncli.data.line_hashes import LineHashes
from rnncli.data.tokenizers.base import Ids, InvalidBytes, Tokenizer, line_end, word_boundaries
from rnncli.errors import ConfigError
from rnncli.generation.beam_search import beam_search, most_probable
from rnncli.generation.config import SamplingOptions, StoppingOptions
from rnncli.generation.constraints.token_constraint import PatternMatch, TokenConstraint
from rnncli.generation.decoder import Decoder, DecoderState
from rnncli.generation.prompt import Prompt, forbidden_tokens, prepare_prompt
from rnncli.generation.sampler import Sampler, sample_batch, stream_text
from rnncli.generation.stopping import StoppingCriteria, TextBuilder
from rnncli.results import GeneratedText

CompletionUnit = Literal["token", "word", "line"]

_log = logging.getLogger(__name__)
# Limits of a batch: the number of texts, and of logits (B * V).
MAX_BATCH_SIZE, _MAX_BATCH_LOGITS = 256, 2**22
# With `unique` or `line_hashes`: the number of texts that are generated for each that is requested.
_MAX_TRIES = 100
_TRAINING_SAMPLE_TOKENS: dict[Level, int] = {"char": 160, "byte": 160, "word": 32, "subword": 48}
_TRAINING_SAMPLE_LINES = 5


@dataclass(frozen=True)
class TextGenerator:
    """Generates texts with one model and one choice of options.

    The same seed gives the same texts; each text of a seed has its own random numbers, so that it does not
    depend on how many are requested.

    Attributes:
        decoder: The language model.
        tokenizer: The tokenizer of the model.
        line_by_line: Whether the model was trained line by line: then every text is one line.
        sampling: How tokens are sampled.
        stopping: Where texts end.
        raw: Whether bytes that are not valid UTF-8 are returned as lone surrogates (PEP 383), not as U+FFFD.

    Raises:
        ConfigError: Texts of this model cannot end as `stopping` requests.
    """

    decoder: Decoder
    tokenizer: Tokenizer
    _: KW_ONLY
    line_by_line: bool
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    stopping: StoppingOptions = field(default_factory=StoppingOptions)
    raw: bool = False

    def __post_init__(self) -> None:
        if self.stopping.lines is None:
            return
        if self.line_by_line:
            raise ConfigError(
                "the model was trained line by line: each of its texts is one line",
                hint="use --number instead of --lines",
            )
        if line_end(self.tokenizer) is None:
            raise ConfigError(
                "the model has no line ends in its vocabulary", hint="use --length instead of --lines"
            )

    def prepare(self, prompt: str) -> Prompt:
        """Tokenize a prompt; see generation/prompt.py."""
        return prepare_prompt(self.tokenizer, prompt, line_by_line=self.line_by_line)

    def stream(self, prompt: str = "", *, seed: int) -> Iterator[str]:
        """Return text 0 of a seed in pieces, each as soon as it is certain.

        Args:
            prompt: The text to continue; it is not part of the pieces.
            seed: The random seed.

        Raises:
            ConfigError: The model cannot generate text that matches the pattern.
            GenerationError: The prompt cannot be continued.
        """
        start = self._start(prompt)
        return start.without_space(stream_text(start.sampler(range(1), seed), start.new_text()))

    def generate(
        self,
        prompt: str = "",
        *,
        seed: int,
        number: int = 1,
        unique: bool = False,
        line_hashes: LineHashes | None = None,
    ) -> Iterator[GeneratedText]:
        """Return texts of a seed in order, each as soon as it and those before it have ended.

        Logs a warning if fewer texts are found than requested.

        Args:
            prompt: The text to continue; it is not part of the texts.
            seed: The random seed.
            number: Number of texts.
            unique: Leave out texts that came before.
            line_hashes: Leave out texts with a line that is among these lines, for example those of the
              training split.

        Raises:
            ConfigError: The model cannot generate such texts.
            GenerationError: The prompt cannot be continued.
        """
        stopping, whole_lines = self.stopping, self.line_by_line or self.stopping.lines == 1
        if line_hashes is not None and not whole_lines and stopping.match is None:
            raise ConfigError("only whole lines can be compared with the training data", hint="add --lines 1")
        start = self._start(prompt)
        max_texts = number * (_MAX_TRIES if unique or line_hashes is not None else 1)
        batch_size = max(1, min(MAX_BATCH_SIZE, number, _MAX_BATCH_LOGITS // self.tokenizer.vocab_size))

        def texts() -> Iterator[GeneratedText]:
            for first in range(0, max_texts, batch_size):
                numbers = range(first, min(first + batch_size, max_texts))
                for text in sample_batch(start.sampler(numbers, seed), numbers, start.new_text):
                    yield replace(text, text="".join(start.without_space([text.text])))

        def selected() -> Iterator[GeneratedText]:
            found, kept = 0, texts()
            if unique:
                kept = _unique(kept)
            if line_hashes is not None:
                kept = self._novel(kept, prompt, line_hashes)
            for text in islice(kept, number):
                found += 1
                yield text
            if found < number:
                _log.warning(
                    "found only %s of %s texts among %s generated ones",
                    f"{found:,}",
                    f"{number:,}",
                    f"{max_texts:,}",
                )

        return selected()

    def generate_tokens(self, tokens: int, *, seed: int) -> str:
        """Return text of a number of tokens without a prompt: texts 0, 1, ... of a seed, joined.

        The maximum length of a text and its pattern (`stopping`) are not used.

        Args:
            tokens: Number of tokens.
            seed: The random seed.
        """
        ids = self.prepare("").ids
        start, parts, total = self.continuation(ids, self.decoder.begin(ids)), list[str](), 0
        while total < tokens:
            current = replace(start, criteria=replace(start.criteria, max_tokens=tokens - total))
            number = len(parts)
            text = current.new_text()
            parts.append("".join(stream_text(current.sampler(range(number, number + 1), seed), text)))
            total += text.tokens
        return "".join(parts)

    def most_probable(
        self, prompt: str = "", *, to: CompletionUnit, max_tokens: int = 200
    ) -> Iterator[GeneratedText]:
        """Return the most probable continuations up to the end of a token, word or line, best first.

        The probability of a word or line includes that of its end, which is not part of the text.

        Args:
            prompt: The text to continue; it is not part of the texts.
            to: Where a continuation ends.
            max_tokens: Maximum number of tokens of a word or line.

        Raises:
            ConfigError: No token of the model ends a word or line: the search would not end either.
            GenerationError: The prompt cannot be continued.
        """
        ends: list[int] = []
        if to == "token" or (to == "word" and self.tokenizer.level == "word"):
            max_tokens = 1
        else:
            ends = word_boundaries(self.tokenizer) if to == "word" else list(self._line_ends)
            if not ends:
                raise ConfigError(f"the model has no token that ends a {to}", hint="use --to token")
        ids = self.prepare(prompt).ids
        found = most_probable(
            self.decoder,
            self.decoder.begin(ids),
            end_tokens=ends,
            forbidden=forbidden_tokens(self.tokenizer),
            max_tokens=max_tokens,
        )
        return (
            self._searched_text(
                number,
                ids,
                tokens,
                nll,
                "length" if ends and len(tokens) == max_tokens else "lines" if to == "line" else to,
            )
            for number, (tokens, nll) in enumerate(found)
        )

    def beam_search(self, prompt: str = "", *, width: int) -> GeneratedText:
        """Return the continuation that beam search finds.

        It ends after the tokens of `stopping.length`, or with the line if the model was trained line by line.

        Args:
            prompt: The text to continue; it is not part of the text.
            width: Number of continuations that are kept after each token.

        Raises:
            GenerationError: The prompt cannot be continued.
        """
        ids = self.prepare(prompt).ids
        ends = self._line_ends if self.line_by_line else ()
        tokens, nll = beam_search(
            self.decoder,
            self.decoder.begin(ids),
            width=width,
            max_tokens=self.stopping.length,
            end_tokens=ends,
            forbidden=forbidden_tokens(self.tokenizer),
        )
        return self._searched_text(
            0, ids, tokens, nll, "lines" if tokens and tokens[-1] in ends else "length"
        )

    def continuation(self, ids: Ids, state: DecoderState) -> "Continuation":
        """Return how texts continue the tokens `ids` (N,), after which the decoder is in `state`.

        The texts need not match the pattern of `stopping`, which depends on the prompt.
        """
        lines = 1 if self.line_by_line else self.stopping.lines
        criteria = StoppingCriteria(self.stopping.length, lines, self.stopping.stop)
        return Continuation(self, ids, state, criteria)

    def _start(self, prompt: str) -> "Continuation":
        prepared, length = self.prepare(prompt), self.stopping.length
        trimmed, ids = prompt != prepared.text, prepared.ids
        match = None
        if self._constraint is not None:
            begins_line = trimmed or not len(ids) or int(ids[-1]) in self._line_ends
            state = self._constraint.initial_state(begins_line=begins_line, max_tokens=length)
            match = PatternMatch(self._constraint, state, length)
        start = replace(self.continuation(ids, self.decoder.begin(ids)), space_in_prompt=trimmed)
        if match is None:
            return start
        return replace(start, criteria=StoppingCriteria(length, match=match))

    @cached_property
    def _constraint(self) -> TokenConstraint | None:
        if self.stopping.match is None:
            return None
        return TokenConstraint(
            self.stopping.match, self.tokenizer, impossible=self._line_ends if self.line_by_line else ()
        )

    @property
    def _line_ends(self) -> tuple[int, ...]:
        end = line_end(self.tokenizer)
        return () if end is None else (end,)

    def _searched_text(
        self, number: int, ids: Ids, tokens: tuple[int, ...], nll: float, finish_reason: str
    ) -> GeneratedText:
        stream = self.tokenizer.decode_stream(ids.tolist())
        text = "".join(stream.push(token) for token in tokens) + stream.finish()
        return GeneratedText(number, text, len(tokens), nll, finish_reason)

    def _novel(
        self, texts: Iterable[GeneratedText], prompt: str, line_hashes: LineHashes
    ) -> Iterator[GeneratedText]:
        """Yield the texts that have ended by themselves and have no line that is among the hashed ones."""
        first_line = prompt.rpartition("\n")[2]
        for text in texts:
            lines = (first_line + text.text.removesuffix("\n")).split("\n")
            complete = self.stopping.match is not None or text.finish_reason == "lines"
            if complete and not any(self.tokenizer.encode(line) in line_hashes for line in lines):
                yield text


@dataclass(frozen=True)
class Continuation:
    """Texts that all continue the same tokens.

    Attributes:
        generator: Model and options.
        ids: The tokens that were read (N,).
        state: The state of the decoder after them, for a batch of one.
        criteria: Where the texts end.
        space_in_prompt: Whether the space that the first word brings is already part of the prompt.
    """

    generator: TextGenerator
    ids: Ids
    state: DecoderState
    criteria: StoppingCriteria
    space_in_prompt: bool = False

    def new_text(self) -> TextBuilder:
        """Return an empty text."""
        invalid_bytes: InvalidBytes = "surrogateescape" if self.generator.raw else "replace"
        return TextBuilder(
            self.generator.tokenizer,
            self.criteria,
            context=self.ids.tolist(),
            invalid_bytes=invalid_bytes,
        )

    def sampler(self, numbers: range, seed: int) -> Sampler:
        """Return the sampler of the texts with these numbers of a seed."""
        return Sampler(
            self.generator.decoder,
            self.state,
            prompt=self.ids,
            options=self.generator.sampling,
            seed=seed,
            numbers=numbers,
            forbidden=forbidden_tokens(self.generator.tokenizer),
            match=self.criteria.match,
        )

    def without_space(self, pieces: Iterable[str]) -> Iterator[str]:
        """Yield the pieces of a text without the space at its beginning that the prompt already has."""
        at_start = self.space_in_prompt
        for piece in pieces:
            yield piece.removeprefix(" ") if at_start else piece
            at_start = at_start and piece == ""


def training_sample(decoder: Decoder, tokenizer: Tokenizer, *, line_by_line: bool, seed: int) -> str:
    """Return the sample that is shown during training: some lines of text."""
    generator = TextGenerator(
        decoder,
        tokenizer,
        line_by_line=line_by_line,
        stopping=StoppingOptions(length=_TRAINING_SAMPLE_TOKENS[tokenizer.level]),
    )
    texts = generator.generate(number=_TRAINING_SAMPLE_LINES if line_by_line else 1, seed=seed)
    return "".join(text.text for text in texts)


def _unique(texts: Iterable[GeneratedText]) -> Iterator[GeneratedText]:
    seen = set[str]()
    for text in texts:
        shown = text.text.removesuffix("\n")
        if shown not in seen:
            seen.add(shown)
            yield text
