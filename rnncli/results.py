"""The results of evaluation, generation and analysis, as frozen dataclasses."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, NamedTuple

from rnncli.metrics import Score


@dataclass(frozen=True)
class ModelScore:
    """The score of a text under one model.

    Attributes:
        name: The model.
        score: Its score.
        ci_low: Lower bound of the 95% confidence interval of nats per token (block bootstrap); None if the
          text is too short.
        ci_high: Its upper bound.
    """

    name: str
    score: Score
    ci_low: float | None
    ci_high: float | None

    def record(self) -> dict[str, object]:
        """Return the score with its confidence interval, as JSON output shows it."""
        return {
            **self.score.record(),
            "nats_per_token_ci_low": self.ci_low,
            "nats_per_token_ci_high": self.ci_high,
        }


@dataclass(frozen=True)
class PairedDifference:
    """The difference in NLL of two models on the same text.

    Attributes:
        better: The model with the lower NLL.
        worse: The other model.
        unit: What the difference is per.
        nats_per_unit: The difference, in nats per unit.
        ci_low: Lower bound of its 95% confidence interval (paired block bootstrap); None if the text is too
          short.
        ci_high: Its upper bound.
    """

    better: str
    worse: str
    unit: Literal["token", "character"]
    nats_per_unit: float
    ci_low: float | None
    ci_high: float | None

    def record(self) -> dict[str, object]:
        """Return the difference as JSON output shows it."""
        return {
            "better": self.better,
            "worse": self.worse,
            "unit": self.unit,
            "nats_per_unit": self.nats_per_unit,
            "nats_per_unit_ci_low": self.ci_low,
            "nats_per_unit_ci_high": self.ci_high,
        }


@dataclass(frozen=True)
class ChunkedScoring:
    """A text was scored in chunks, which is not exact.

    Attributes:
        chunks: The number of chunks.
        overlap_tokens: How many tokens before a chunk were read for its initial state.
        nats_per_token_error: An estimate of the absolute error of the score, in nats per token.
    """

    chunks: int
    overlap_tokens: int
    nats_per_token_error: float


@dataclass(frozen=True)
class LossGroup:
    """A group of tokens in a loss breakdown.

    Attributes:
        label: What the tokens have in common.
        tokens: Their number.
        nats_per_token: Their mean NLL.
        fraction_of_nll: Their part of the NLL of the whole text.
    """

    label: str
    tokens: int
    nats_per_token: float
    fraction_of_nll: float


@dataclass(frozen=True)
class DynamicScore:
    """The score of a model that learns from the text while scoring it; not comparable with static scores.

    Attributes:
        score: The score.
        method: How the model learns: dynamic evaluation, a cache, and their parameters.
    """

    score: Score
    method: str


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of one or several models on one text.

    Attributes:
        models: The score under each model; the last one is the model as a whole.
        differences: Differences between models.
        chunked: Set if the scores are not exact.
        oov_types: The number of unseen words for open-vocabulary perplexity.
        by: What the loss is broken down by.
        loss_groups: The loss breakdown.
        dynamic: The score with dynamic evaluation or a cache.
    """

    models: tuple[ModelScore, ...]
    differences: tuple[PairedDifference, ...] = ()
    chunked: ChunkedScoring | None = None
    oov_types: int | None = None
    by: str | None = None
    loss_groups: tuple[LossGroup, ...] = ()
    dynamic: DynamicScore | None = None

    @property
    def score(self) -> Score:
        """The score of the model as a whole."""
        return self.models[-1].score

    def record(self) -> dict[str, object]:
        """Return the evaluation as JSON output shows it."""
        record = self._model_record(self.models[-1])
        if len(self.models) > 1:
            record["models"] = [{"name": model.name, **self._model_record(model)} for model in self.models]
            record["differences"] = [difference.record() for difference in self.differences]
        if self.chunked is not None:
            record["chunked_scoring"] = asdict(self.chunked)
        if self.by is not None:
            record[f"by_{self.by}"] = [asdict(group) for group in self.loss_groups]
        if self.dynamic is not None:  # under its own key: not comparable with the static scores
            record["dynamic"] = {"method": self.dynamic.method, **self.dynamic.score.record()}
        return record

    def _model_record(self, model: ModelScore) -> dict[str, object]:
        record = model.record()
        if self.oov_types is not None:
            record["oov_types"] = self.oov_types
            record["open_vocabulary_token_perplexity"] = model.score.open_vocabulary_token_perplexity(
                self.oov_types
            )
        return record


@dataclass(frozen=True)
class GeneratedText:
    """A generated text.

    Attributes:
        number: The index of the text among those generated, from 0.
        text: The text.
        tokens: Generated tokens, with those of a stop string that is not part of the text.
        nll_nats: Their negative log-likelihood, in nats.
        finish_reason: What ended the text: length, lines, stop, match, token or word.
    """

    number: int
    text: str
    tokens: int
    nll_nats: float
    finish_reason: str


@dataclass(frozen=True)
class Completions:
    """The most probable continuations of a prompt.

    Attributes:
        prompt: The prompt.
        to: Where a continuation ends: at the end of a token, word or line.
        completions: The continuations, the most probable first.
    """

    prompt: str
    to: str
    completions: tuple[GeneratedText, ...]

    def record(self) -> dict[str, object]:
        """Return the continuations as JSON output shows them."""
        return asdict(self)


@dataclass(frozen=True)
class Overlap:
    """A run of characters that a text has in common with the training split.

    Attributes:
        text: The characters.
        length: Their number.
        sample_start: The position of the first one in the text.
        train_start: Its position in the training split.
        train_line: Its line in the training split, from 1.
    """

    text: str
    length: int
    sample_start: int
    train_start: int
    train_line: int


@dataclass(frozen=True)
class Memorization:
    """How much of a text occurs in the training split.

    Attributes:
        name: The text.
        characters: Its length.
        min_length: The number of characters from which a run that both have counts as overlap.
        overlap_fraction: The fraction of characters in such runs.
        valid_overlap_fraction: The same for the validation split; None if it is empty.
        longest: The longest runs.
    """

    name: str
    characters: int
    min_length: int
    overlap_fraction: float
    valid_overlap_fraction: float | None
    longest: tuple[Overlap, ...]

    def record(self) -> dict[str, object]:
        """Return the overlap as JSON output shows it."""
        return asdict(self)


@dataclass(frozen=True)
class GradientNorms:
    """How the gradient of a token's loss vanishes (or explodes) over the steps before it.

    Attributes:
        segments: The number of text segments that the norms are averaged over.
        norms: For each layer (such as "layers.0"), the norm of the gradient with respect to its state by
          distance in steps, from 1.
    """

    segments: int
    norms: Mapping[str, tuple[float, ...]]


class RankingRow(NamedTuple):
    """One network structure after its longest trial."""

    architecture: str
    seconds: float
    bits_per_character: float
    tokens_per_second: float
    parameters: int
    characters_generated_per_second: float
