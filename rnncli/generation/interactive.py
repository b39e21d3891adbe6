"""Interactive mode: a user and a model add to one text by turns; the state is kept between turns."""

from collections.abc import Iterator

import numpy as np

from rnncli.data.tokenizers.base import line_end, smallest_dtype
from rnncli.errors import ConfigError, OptionError
from rnncli.generation.decoder import DecoderState
from rnncli.generation.text_generator import TextGenerator


class InteractiveSession:
    """A text that a user and a model write together.

    Reply k of a seed has the random numbers of text k of that seed.

    Attributes:
        generator: Model and options; it may be replaced between two replies to change the options.
    """

    def __init__(self, generator: TextGenerator, *, seed: int) -> None:
        """Begin with an empty text; raises ConfigError if the generator has a pattern to match."""
        if generator.stopping.match is not None:
            raise ConfigError("--match cannot be used in interactive mode", hint="leave out --match")
        self.generator = generator
        self._seed, self._replies = seed, 0
        self._stopped = False
        self.reset()

    def reset(self) -> None:
        """Begin a new, empty text."""
        self._ids: list[int] = []
        self._state: DecoderState | None = None
        self._before_reply: tuple[DecoderState, list[int]] | None = None

    def reply(self, text: str) -> Iterator[str]:
        """Return the model's reply to `text` in pieces.

        The text of the user begins a new line; without any, the model continues its last reply. A model that
        was trained line by line begins anew with every reply.
        """
        if self.generator.line_by_line:
            self.reset()
        self._stopped = False
        ids = self.generator.tokenizer.encode(self._on_new_line(text))
        decoder = self.generator.decoder
        if self._state is None:
            self._state = decoder.begin(ids)
        elif len(ids):
            self._state = decoder.read(ids, self._state.state)
        self._ids += ids.tolist()
        self._before_reply = self._state, list(self._ids)
        return self._generate()

    def again(self) -> Iterator[str]:
        """Return another reply in place of the last one, in pieces; none if there was no reply."""
        if self._before_reply is None:
            return iter(())
        self._stopped = False
        self._state, self._ids = self._before_reply[0], list(self._before_reply[1])
        return self._generate()

    def restart_seed(self, seed: int) -> None:
        """Continue with the first text of a seed; raises OptionError if it is negative."""
        if seed < 0:
            raise OptionError(f"seed is {seed}; it must be at least 0", hint="for example /seed 1")
        self._seed, self._replies = seed, 0

    def stop(self) -> None:
        """End the current reply before its next token; its tokens so far remain part of the text."""
        self._stopped = True

    def _generate(self) -> Iterator[str]:
        assert self._state is not None
        ids = np.array(self._ids, smallest_dtype(self.generator.tokenizer.vocab_size))
        continuation = self.generator.continuation(ids, self._state)
        sampler = continuation.sampler(range(self._replies, self._replies + 1), self._seed)
        text = continuation.new_text()
        self._replies += 1
        while text.finish_reason is None and not self._stopped:
            tokens, nll = sampler.step()
            self._ids.append(int(tokens[0]))
            yield text.push(int(tokens[0]), float(nll[0]))
        self._state = sampler.state()
        yield text.finish()

    def _on_new_line(self, text: str) -> str:
        """Return `text` with the line end that separates it from the text before it."""
        end = line_end(self.generator.tokenizer)
        if self.generator.line_by_line or end is None:
            return text
        if not self._ids:
            return text or "\n"
        return "\n" + text if text and self._ids[-1] != end else text
