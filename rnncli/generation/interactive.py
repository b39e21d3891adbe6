"""A text that a person and a model write in turns: the memory is kept from one to the next."""

from collections.abc import Iterator

import numpy as np

from rnncli.data.tokenizers.base import Tokenizer, line_end, smallest_dtype
from rnncli.errors import ConfigError
from rnncli.evaluation.config import SamplingConfig
from rnncli.generation.prediction import Place, Predictor
from rnncli.generation.sampler import Writer
from rnncli.generation.texts import GrowingText, Limits


class Conversation:
    """Turn k of a seed draws as text k of it would; `sampling` and `limits` may change between turns."""

    def __init__(
        self,
        predictor: Predictor,
        tokenizer: Tokenizer,
        by_line: bool,
        sampling: SamplingConfig,
        limits: Limits,
        seed: int,
    ) -> None:
        """`by_line` says that lines know nothing of one another: every turn begins a new one."""
        self.sampling, self.limits, self._seed = sampling, limits, seed
        self._predictor, self._tokenizer, self._by_line = predictor, tokenizer, by_line
        self._turn = 0
        self._stopped = False
        self.forget()

    def forget(self) -> None:
        """As if nothing had been said."""
        self._ids: list[int] = []
        self._place: Place | None = None
        self._before: tuple[Place, list[int]] | None = None

    def say(self, text: str) -> Iterator[str]:
        """What the model answers to a text, which begins a new line; after none it goes on as it was."""
        if self._by_line:
            self.forget()
        self._stopped = False
        line = self._line(text)
        ids = self._tokenizer.encode(line)
        if self._place is None:
            self._place = self._predictor.begin(ids)
        elif len(ids):
            self._place = self._predictor.read(ids, self._place.memory)
        self._ids += ids.tolist()
        self._before = self._place, list(self._ids)
        return self._answer()

    def again(self) -> Iterator[str]:
        """Another answer in place of the last; nothing where there was none."""
        if self._before is None:
            return iter(())
        self._stopped = False
        self._place, self._ids = self._before[0], list(self._before[1])
        return self._answer()

    def begin_seed(self, seed: int) -> None:
        """Draw from a seed's first text on; raises ConfigError where it is negative."""
        if seed < 0:
            raise ConfigError(f"seed is {seed}", hint="it is 0 or more")
        self._seed, self._turn = seed, 0

    def stop(self) -> None:
        """No more tokens in this answer: between two of them, so that the memory stays whole."""
        self._stopped = True

    def _answer(self) -> Iterator[str]:
        assert self._place is not None
        unknown, lanes = self._tokenizer.unknown_id, range(self._turn, self._turn + 1)
        prompt = np.array(self._ids, smallest_dtype(self._tokenizer.vocab_size))
        never = () if unknown is None else (unknown,)
        writer = Writer(self._predictor, self._place, prompt, self.sampling, self._seed, lanes, never)
        text = GrowingText(self._tokenizer, self._ids, self.limits)
        self._turn += 1
        while text.finish_reason is None and not self._stopped:
            tokens, nats = writer.step()
            self._ids.append(int(tokens[0]))
            yield text.push(int(tokens[0]), float(nats[0]))
        self._place = writer.place()
        yield text.end()

    def _line(self, text: str) -> str:
        """With the line end before it that a text needs which is not the first, where the model knows any."""
        end = line_end(self._tokenizer)
        if self._by_line or end is None:
            return text
        begun = bool(self._ids)
        return "\n" + text if (begun and text and self._ids[-1] != end) or not (begun or text) else text
