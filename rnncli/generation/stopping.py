"""Where a generated text ends, and its conversion from tokens to text while it grows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rnncli.data.tokenizers.base import InvalidBytes, Tokenizer, line_end
from rnncli.generation.constraints.automaton import DEAD
from rnncli.generation.constraints.token_constraint import PatternMatch
from rnncli.results import GeneratedText

# Tokens that are sampled for each text between two checks, if no text can end earlier.
_TOKENS_BETWEEN_CHECKS = 64


@dataclass(frozen=True)
class StoppingCriteria:
    """A text ends at the first of these.

    Attributes:
        max_tokens: Number of tokens.
        lines: Number of line ends; the last one is part of the text.
        stop: Strings that end a text and are not part of it.
        match: The pattern that the text matches as a whole; a token that cannot be part of it ends the text.
    """

    max_tokens: int
    lines: int | None = None
    stop: tuple[str, ...] = ()
    match: PatternMatch | None = None


class Detokenizer:
    """Converts tokens to text one at a time, and looks for stop strings.

    Text is held back while it is an incomplete character or might be the beginning of a stop string.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        context: Iterable[int] = (),
        stop: tuple[str, ...] = (),
        invalid_bytes: InvalidBytes = "replace",
    ) -> None:
        """Begin after the tokens of `context`; `invalid_bytes` is as in Tokenizer.decode_stream."""
        self.stopped = False
        self._stream = tokenizer.decode_stream(context, invalid_bytes)
        self._stop = stop
        self._parts: list[str] = []
        self._held = ""

    @property
    def text(self) -> str:
        """All text that has been returned so far."""
        return "".join(self._parts)

    def push(self, token: int) -> str:
        """Add a token and return the text that is now certain."""
        return self._append(self._stream.push(token))

    def extend(self, tokens: Sequence[int]) -> str:
        """Add several tokens and return the text that is now certain."""
        return self._append("".join(map(self._stream.push, tokens)))

    def finish(self) -> str:
        """Return the text that was held back; no token may follow."""
        if self.stopped:
            return ""
        certain = self._append(self._stream.finish())
        held, self._held = self._held, ""
        self._parts.append(held)
        return certain + held

    def _append(self, piece: str) -> str:
        if not self._stop:
            self._parts.append(piece)
            return piece
        text = self._held + piece
        found = [index for stop in self._stop if (index := text.find(stop)) >= 0]
        if found:
            self.stopped, self._held = True, ""
            certain = text[: min(found)]
        else:
            longest = max(_overlap(text, stop) for stop in self._stop)
            certain, self._held = text[: len(text) - longest], text[len(text) - longest :]
        self._parts.append(certain)
        return certain


class TextBuilder:
    """One text while it is generated: its tokens so far, their NLL, and whether it has ended.

    Attributes:
        finish_reason: What ended the text: "length", "lines", "stop" or "match"; None until it has ended.
        tokens: Number of tokens so far, those of a stop string included.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        criteria: StoppingCriteria,
        *,
        context: Iterable[int] = (),
        invalid_bytes: InvalidBytes = "replace",
    ) -> None:
        """Begin an empty text after the tokens of `context`."""
        self.finish_reason: str | None = None if criteria.max_tokens > 0 else "length"
        self.tokens = 0
        self._criteria = criteria
        self._detokenizer = Detokenizer(
            tokenizer, context=context, stop=criteria.stop, invalid_bytes=invalid_bytes
        )
        self._line_end = line_end(tokenizer)
        self._lines = 0
        self._nll_nats = 0.0
        self._match_state = criteria.match.initial_state if criteria.match else 0
        self._check_match()

    def push(self, token: int, nll: float) -> str:
        """Add a token.

        Args:
            token: The token.
            nll: Its negative log-likelihood, in nats.

        Returns:
            The text that is now certain.
        """
        self.tokens += 1
        self._nll_nats += nll
        if self._criteria.match is not None:
            constraint = self._criteria.match.constraint
            self._match_state = int(constraint.next_states(self._match_state, token))
            if self._match_state == DEAD:
                self.finish_reason = "match"
                return ""
        if token == self._line_end:
            self._lines += 1
        if self._lines and self._lines == self._criteria.lines:
            self.finish_reason = "lines"
        elif self.tokens == self._criteria.max_tokens:
            self.finish_reason = "length"
        self._check_match()
        return self._checked(self._detokenizer.push(token))

    @property
    def tokens_before_check(self) -> int:
        """Number of tokens, at least one, that the text certainly still has, whichever they are."""
        criteria = self._criteria
        if criteria.lines or criteria.stop or criteria.match:
            return 1
        return min(criteria.max_tokens - self.tokens, _TOKENS_BETWEEN_CHECKS)

    def extend(self, tokens: list[int], nll: list[float]) -> None:
        """Add several tokens, at most `tokens_before_check`."""
        if self.tokens_before_check == 1:
            for token, token_nll in zip(tokens, nll, strict=True):
                self.push(token, token_nll)
            return
        self.tokens += len(tokens)
        self._nll_nats = sum(nll, self._nll_nats)
        self._detokenizer.extend(tokens)
        if self.tokens == self._criteria.max_tokens:
            self.finish_reason = "length"

    def finish(self) -> str:
        """Return the text that was held back; no token may follow."""
        return self._checked(self._detokenizer.finish())

    def result(self, number: int) -> GeneratedText:
        """Return the text, which must have ended, as text `number` of its seed."""
        self.finish()
        assert self.finish_reason is not None
        return GeneratedText(number, self._detokenizer.text, self.tokens, self._nll_nats, self.finish_reason)

    def _check_match(self) -> None:
        """End a text that matches and of which no longer match is possible."""
        match = self._criteria.match
        if match is None:
            return
        remaining = match.max_tokens - self.tokens
        if match.constraint.must_end(self._match_state, remaining):
            complete = match.constraint.must_end(self._match_state)
            self.finish_reason = "match" if complete else "length"

    def _checked(self, piece: str) -> str:
        if self._detokenizer.stopped:
            self.finish_reason = "stop"
        return piece


def _overlap(text: str, stop: str) -> int:
    """Return the length of the longest beginning of `stop` with which `text` ends."""
    sizes = range(min(len(stop) - 1, len(text)), 0, -1)
    return next((size for size in sizes if text.endswith(stop[:size])), 0)
