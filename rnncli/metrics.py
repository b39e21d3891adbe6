"""Metrics of a scored text: perplexity, bits per character, out-of-vocabulary rate.

A Score holds sums, which are divided once, here.
"""

import math
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Score:
    """The negative log-likelihood (NLL) of a text, and the sizes of the text to normalize it by.

    Attributes:
        nll_nats: The sum of -ln p over all tokens.
        tokens: Scored tokens.
        words: Maximal runs of characters without whitespace; line ends are not counted.
        characters: Unicode code points.
        bytes: Bytes of the text in UTF-8.
        oov_tokens: Out-of-vocabulary tokens, which are scored as <unk>.
        oov_nll_nats: The part of nll_nats due to them.
        line_ends: Line ends of the text.
    """

    nll_nats: float
    tokens: int
    words: int
    characters: int
    bytes: int
    oov_tokens: int = 0
    oov_nll_nats: float = 0.0
    line_ends: int = 0

    @property
    def nats_per_token(self) -> float:
        """The mean NLL of a token: the loss."""
        return _ratio(self.nll_nats, self.tokens)

    @property
    def token_perplexity(self) -> float:
        """exp of the NLL per token."""
        return _exp(self.nats_per_token)

    @property
    def word_perplexity(self) -> float:
        """exp of the NLL per word."""
        return _exp(_ratio(self.nll_nats, self.words))

    @property
    def word_perplexity_with_line_ends(self) -> float:
        """exp of the NLL per word, with line ends counted as words, as is usual for Penn Treebank."""
        return _exp(_ratio(self.nll_nats, self.words + self.line_ends))

    @property
    def oov_rate(self) -> float:
        """The fraction of tokens that are out of vocabulary."""
        return _ratio(self.oov_tokens, self.tokens)

    @property
    def in_vocabulary_token_perplexity(self) -> float:
        """The token perplexity without out-of-vocabulary tokens, which stay in the history of others."""
        return _exp(_ratio(self.nll_nats - self.oov_nll_nats, self.tokens - self.oov_tokens))

    def open_vocabulary_token_perplexity(self, oov_types: int) -> float:
        """Return the token perplexity if p(<unk>) is divided evenly among `oov_types` unseen words."""
        return _exp(_ratio(self.nll_nats + self.oov_tokens * math.log(oov_types), self.tokens))

    @property
    def bits_per_character(self) -> float:
        """The NLL per character, in bits."""
        return _ratio(self.nll_nats, self.characters) / math.log(2)

    @property
    def bits_per_byte(self) -> float:
        """The NLL per byte, in bits."""
        return _ratio(self.nll_nats, self.bytes) / math.log(2)

    def record(self) -> dict[str, object]:
        """Return the sums and everything derived from them, as JSON output shows them."""
        return {
            **asdict(self),
            "nats_per_token": self.nats_per_token,
            "token_perplexity": self.token_perplexity,
            "word_perplexity": self.word_perplexity,
            "word_perplexity_with_line_ends": self.word_perplexity_with_line_ends,
            "oov_rate": self.oov_rate,
            "in_vocabulary_token_perplexity": self.in_vocabulary_token_perplexity,
            "bits_per_character": self.bits_per_character,
            "bits_per_byte": self.bits_per_byte,
        }


def _ratio(numerator: float, denominator: int) -> float:
    return numerator / denominator if denominator else math.nan


def _exp(nats: float) -> float:
    return math.exp(nats) if nats < 700.0 or math.isnan(nats) else math.inf
