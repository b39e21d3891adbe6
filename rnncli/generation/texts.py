"""Tokens as they are drawn -> texts that end where they should. Shapes: B lanes."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from rnncli.data.tokenizers.base import Ids, LoneBytes, Tokenizer, line_end, word_boundaries
from rnncli.errors import ConfigError
from rnncli.generation.beam_search import most_probable
from rnncli.generation.prediction import Place, Predictor
from rnncli.generation.regex import DEAD
from rnncli.generation.sampler import Match, Writer
from rnncli.results import Written

# Tokens of a text that are drawn before any is looked at, where nothing can end it before.
_AT_ONCE = 64


@dataclass(frozen=True)
class Limits:
    """A text ends after so many `tokens`, after a number of `lines`, or before one of the `stops`.

    Or where it matches: then what cannot belong to it ends it.
    """

    tokens: int
    lines: int | None = None
    stops: tuple[str, ...] = ()
    match: Match | None = None

    def __post_init__(self) -> None:
        for name, value, least in (("length", self.tokens, 0), ("lines", self.lines, 1)):
            if value is not None and value < least:
                raise ConfigError(f"{name} is {value}", hint=f"it is {least} or more")
        if "" in self.stops:
            raise ConfigError("a stop is empty", hint="give at least a character")


def stream_text(writer: Writer, text: "GrowingText") -> Iterator[str]:
    """The text of a writer's only lane, as soon as it is known to belong to it."""
    while text.finish_reason is None:
        tokens, nats = writer.step()
        yield text.push(int(tokens[0]), float(nats[0]))
    yield text.end()


def write_texts(writer: Writer, lanes: range, new_text: Callable[[], "GrowingText"]) -> Iterator[Written]:
    """The texts of a writer's lanes in their order, each as soon as it and those before it have ended."""
    texts = [new_text() for _ in lanes]
    numbers, said = np.arange(len(texts)), 0
    done: dict[int, Written] = {}
    while said < len(texts):
        goes_on = np.array([texts[number].finish_reason is None for number in numbers.tolist()], np.bool_)
        for number in numbers[~goes_on].tolist():
            done[number] = texts[number].written(lanes[number])
        while said in done:
            yield done.pop(said)
            said += 1
        if not goes_on.all() and goes_on.any():
            writer.keep(goes_on)
        numbers = numbers[goes_on]
        if len(numbers):
            drawn = [writer.step() for _ in range(texts[numbers[0]].sure_tokens)]
            tokens, nats = (np.stack(lanes, 1).tolist() for lanes in zip(*drawn, strict=True))
            for number, own_tokens, own_nats in zip(numbers.tolist(), tokens, nats, strict=True):
                texts[number].extend(own_tokens, own_nats)


def most_probable_texts(
    predictor: Predictor, begin: Place, tokenizer: Tokenizer, ids: Ids, unit: str, most_tokens: int
) -> Iterator[Written]:
    """The continuations of a text up to the end of the token, word or line, the most probable first.

    `begin` is after the text, of which `ids` (N,) were read.

    Of a token its own probability; of a word or line that of its end as well, which is not in the text.
    Raises ConfigError where the model has no such end: then there would be no end of the search either.
    """
    unknown, end = tokenizer.unknown_id, line_end(tokenizer)
    ends: list[int] = []
    if unit == "token" or (unit == "word" and tokenizer.level == "word"):
        most_tokens = 1
    else:
        ends = word_boundaries(tokenizer) if unit == "word" else [] if end is None else [end]
        if not ends:
            raise ConfigError(f"the model knows no end of a {unit}", hint="use --unit token")
    found = most_probable(predictor, begin, ends, () if unknown is None else (unknown,), most_tokens)
    for number, (tokens, nats) in enumerate(found):
        decoder = tokenizer.decoder(ids.tolist())
        text = "".join(decoder.push(token) for token in tokens) + decoder.finish()
        reason = "length" if ends and len(tokens) == most_tokens else "lines" if unit == "line" else unit
        yield Written(number, text, len(tokens), nats, reason)


class GrowingText:
    """One text and how it ends: a character that is not whole yet, or could begin a stop, is held back."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        context: Iterable[int],
        limits: Limits,
        lone_bytes: LoneBytes = "replace",
    ) -> None:
        """`context` are the ids before it; `lone_bytes` are as in Tokenizer.decoder."""
        self.finish_reason: str | None = None if limits.tokens > 0 else "length"
        self._decoder = tokenizer.decoder(context, lone_bytes)
        self._limits = limits
        self._line_end = line_end(tokenizer)
        self._parts: list[str] = []
        self._held = ""
        self.tokens = self._lines = 0
        self._nats = 0.0
        self._state = limits.match.begins if limits.match else 0
        self._end_match()

    def push(self, token: int, nats: float) -> str:
        """A token and -ln p of it -> what is now known to belong to the text."""
        self.tokens += 1
        self._nats += nats
        if self._limits.match is not None:
            self._state = int(self._limits.match.constraint.after(self._state, token))
            if self._state == DEAD:
                self.finish_reason = "match"
                return ""
        if token == self._line_end:
            self._lines += 1
        if self._lines and self._lines == self._limits.lines:
            self.finish_reason = "lines"
        elif self.tokens == self._limits.tokens:
            self.finish_reason = "length"
        self._end_match()
        return self._grown(self._decoder.push(token))

    @property
    def sure_tokens(self) -> int:
        """So many more it has whatever they are; at least one, and no more than are worth holding back."""
        limits = self._limits
        if limits.lines or limits.stops or limits.match:
            return 1
        return min(limits.tokens - self.tokens, _AT_ONCE)

    def extend(self, tokens: list[int], nats: list[float]) -> None:
        """As pushing one after the other; of no more than `sure_tokens` the quick way."""
        if self.sure_tokens == 1:
            for token, cost in zip(tokens, nats, strict=True):
                self.push(token, cost)
            return
        self.tokens += len(tokens)
        self._nats = sum(nats, self._nats)
        self._parts.append("".join(map(self._decoder.push, tokens)))
        if self.tokens == self._limits.tokens:
            self.finish_reason = "length"

    def end(self) -> str:
        """What was held back to the last; nothing is pushed after it."""
        if self.finish_reason == "stop":
            return ""
        sure = self._grown(self._decoder.finish())
        held, self._held = self._held, ""
        self._parts.append(held)
        return sure + held

    def written(self, number: int) -> Written:
        """All of it, of a text that has ended."""
        self.end()
        assert self.finish_reason is not None
        return Written(number, "".join(self._parts), self.tokens, self._nats, self.finish_reason)

    def _end_match(self) -> None:
        """Where a text that matches cannot go on."""
        match = self._limits.match
        if match is not None and match.constraint.over(self._state, match.tokens - self.tokens):
            self.finish_reason = "match" if match.constraint.complete(self._state) else "length"

    def _grown(self, piece: str) -> str:
        if not self._limits.stops:
            self._parts.append(piece)
            return piece
        text = self._held + piece
        found = [place for stop in self._limits.stops if (place := text.find(stop)) >= 0]
        if found:
            self.finish_reason, self._held = "stop", ""
            sure = text[: min(found)]
        else:
            longest = max(_overlap(text, stop) for stop in self._limits.stops)
            sure, self._held = text[: len(text) - longest], text[len(text) - longest :]
        self._parts.append(sure)
        return sure


def _overlap(text: str, stop: str) -> int:
    """How much of the end of `text` could be the beginning of `stop`."""
    sizes = range(min(len(stop) - 1, len(text)), 0, -1)
    return next((size for size in sizes if text.endswith(stop[:size])), 0)
