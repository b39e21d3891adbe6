"""Sampling of tokens, one after another, for a batch of texts, until all texts have ended.

Each text has random numbers of its own, so that it does not depend on the other texts of the batch, except
for rounding: a matrix product of another size may turn a choice that lies on the border of two tokens.

Shapes:
  B: batch size, the number of texts
  N: tokens of the prompt
  V: vocabulary size
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from rnncli.data.tokenizers.base import Ids
from rnncli.generation.config import SamplingOptions
from rnncli.generation.constraints.token_constraint import PatternMatch
from rnncli.generation.decoder import Decoder, DecoderState
from rnncli.generation.sampling_filters import (
    Logits,
    Tokens,
    apply_repetition_penalty,
    filter_logits,
    forbid,
    sample,
)
from rnncli.generation.stopping import TextBuilder
from rnncli.results import GeneratedText

# Number of random numbers that are generated together for each text.
_RANDOM_BLOCK = 64


class Sampler:
    """Texts that all continue one prompt; each step samples one token for every text."""

    def __init__(
        self,
        decoder: Decoder,
        start: DecoderState,
        *,
        prompt: Ids,
        options: SamplingOptions,
        seed: int,
        numbers: range = range(1),
        forbidden: Sequence[int] = (),
        match: PatternMatch | None = None,
    ) -> None:
        """Begin texts after a prompt.

        Args:
            decoder: The language model.
            start: The state of the decoder after the prompt, for a batch of one.
            prompt: The tokens of the prompt (N,); they count as repeated if they occur again.
            options: How tokens are sampled.
            seed: The random seed.
            numbers: The numbers of the texts (B): text k of a seed is always the same.
            forbidden: Tokens that are never sampled.
            match: The pattern that the texts match.
        """
        batch_size, vocab_size = len(numbers), decoder.config.vocab_size
        self._decoder, self._options = decoder, options
        rows = np.zeros(batch_size, np.intp)
        self._log_probs, self._state = start.log_probs[rows], decoder.select(start.state, rows)
        self._pending: Tokens | None = None  # sampled, but not read by the decoder yet
        # Added to log probabilities: -inf for tokens that are never sampled.
        self._forbidden = forbid(np.zeros((1, vocab_size)), forbidden)
        self._match, self._tokens = match, 0
        self._match_states = np.full(batch_size, match.initial_state if match else 0)
        self._rngs = [np.random.default_rng([seed, number]) for number in numbers]
        self._uniforms = np.zeros((batch_size, 0))
        self._occurred = np.zeros((batch_size, vocab_size), np.bool_)
        self._occurred[:, prompt] = True
        self._ngrams = [_SeenNgrams(options.no_repeat_ngram, prompt.tolist()) for _ in numbers]

    def step(self) -> tuple[Tokens, npt.NDArray[np.float64]]:
        """Sample one token for every text.

        Returns:
            The tokens (B,), and their negative log-likelihoods in nats under the model, without filters (B,).
        """
        self.state()
        tokens = self._sample(self._log_probs)
        self._update(tokens)
        return tokens, -self._log_probs[np.arange(len(tokens)), tokens]

    def state(self) -> DecoderState:
        """Return the state of the decoder after all tokens that were sampled."""
        if self._pending is not None:
            self._log_probs, self._state = self._decoder.step(self._pending, self._state)
            self._pending = None
        return DecoderState(self._log_probs, self._state)

    def keep(self, kept: npt.NDArray[np.bool_]) -> None:
        """Drop the texts of the batch that are not `kept` (B,)."""
        rows = np.flatnonzero(kept)
        self._state = self._decoder.select(self._state, rows)
        self._log_probs, self._occurred = self._log_probs[rows], self._occurred[rows]
        self._uniforms, self._match_states = self._uniforms[rows], self._match_states[rows]
        self._rngs = [self._rngs[row] for row in rows]
        self._ngrams = [self._ngrams[row] for row in rows]
        if self._pending is not None:
            self._pending = self._pending[rows]

    def _sample(self, log_probs: Logits) -> Tokens:
        options = self._options
        logits = apply_repetition_penalty(
            log_probs + self._forbidden, self._occurred, options.repetition_penalty
        )
        if self._match is not None:
            remaining = self._match.max_tokens - self._tokens
            logits[~self._match.constraint.allowed_tokens(self._match_states, remaining)] = -np.inf
        if options.no_repeat_ngram:
            logits = np.concatenate(
                [forbid(logits[row, None], seen.repeating()) for row, seen in enumerate(self._ngrams)]
            )
        if options.temperature == 0.0:
            return np.asarray(np.argmax(logits, axis=1))
        if not self._uniforms.shape[1]:
            self._uniforms = np.stack([rng.random(_RANDOM_BLOCK) for rng in self._rngs])
        uniform, self._uniforms = self._uniforms[:, 0], self._uniforms[:, 1:]
        return sample(filter_logits(logits, options), uniform)

    def _update(self, tokens: Tokens) -> None:
        self._pending = tokens
        if self._match is not None:
            self._tokens += 1
            self._match_states = self._match.constraint.next_states(self._match_states, tokens)
        if self._options.repetition_penalty != 1.0:
            self._occurred[np.arange(len(tokens)), tokens] = True
        if self._options.no_repeat_ngram:
            for seen, token in zip(self._ngrams, tokens.tolist(), strict=True):
                seen.add(token)


def stream_text(sampler: Sampler, text: TextBuilder) -> Iterator[str]:
    """Yield the text of a batch of one in pieces, each as soon as it is certain."""
    while text.finish_reason is None:
        tokens, nll = sampler.step()
        yield text.push(int(tokens[0]), float(nll[0]))
    yield text.finish()


def sample_batch(
    sampler: Sampler, numbers: range, new_text: Callable[[], TextBuilder]
) -> Iterator[GeneratedText]:
    """Yield the texts of a batch in order, each as soon as it and those before it have ended.

    Args:
        sampler: The sampler of the texts (B).
        numbers: The number of each text.
        new_text: Makes an empty text.
    """
    texts = [new_text() for _ in numbers]
    rows, next_row = np.arange(len(texts)), 0  # rows: the texts that have not ended (B,)
    ended: dict[int, GeneratedText] = {}
    while next_row < len(texts):
        continues = np.array([texts[row].finish_reason is None for row in rows.tolist()], np.bool_)
        for row in rows[~continues].tolist():
            ended[row] = texts[row].result(numbers[row])
        while next_row in ended:
            yield ended.pop(next_row)
            next_row += 1
        if not continues.all() and continues.any():
            sampler.keep(continues)
        rows = rows[continues]
        if len(rows):
            steps = [sampler.step() for _ in range(texts[rows[0]].tokens_before_check)]
            tokens, nll = (np.stack(columns, 1).tolist() for columns in zip(*steps, strict=True))
            for row, row_tokens, row_nll in zip(rows.tolist(), tokens, nll, strict=True):
                texts[row].extend(row_tokens, row_nll)


class _SeenNgrams:
    """The n-grams of one text: which tokens would repeat one of them?"""

    def __init__(self, order: int, tokens: Iterable[int]) -> None:
        self._order = order
        self._tokens: list[int] = []
        self._followers: dict[tuple[int, ...], list[int]] = {}
        for token in tokens if order else ():
            self.add(token)

    def add(self, token: int) -> None:
        if len(self._tokens) >= self._order - 1:
            self._followers.setdefault(self._context(), []).append(token)
        self._tokens.append(token)

    def repeating(self) -> list[int]:
        return self._followers.get(self._context(), [])

    def _context(self) -> tuple[int, ...]:
        return tuple(self._tokens[len(self._tokens) - self._order + 1 :])
