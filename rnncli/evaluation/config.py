"""Options of evaluation, scoring and rescoring."""

from dataclasses import dataclass
from typing import Literal

from rnncli.data.config import Reset
from rnncli.errors import ConfigError, OptionError
from rnncli.options import OptionGroup, given_options, option

HeldOutSplit = Literal["valid", "test"]
By = Literal["position", "frequency", "line"]
ScoreUnit = Literal["token", "word", "character", "line"]
ScoreFormatName = Literal["tsv", "jsonl", "minicons", "neural-complexity", "srilm", "kenlm", "kaldi", "nbest"]
LogarithmBase = Literal["2", "e", "10"]
ListFormat = Literal["kaldi", "nbest"]
ErrorMetric = Literal["wer", "cer"]

# What each format can show; the first unit is its default.
FORMAT_UNITS: dict[ScoreFormatName, tuple[ScoreUnit, ...]] = {
    "tsv": ("token", "word", "character", "line"),
    "jsonl": ("token", "word", "character", "line"),
    "minicons": ("token", "word", "character"),
    "neural-complexity": ("word", "token", "character"),
    "srilm": ("token",),
    "kenlm": ("token",),
    "kaldi": ("line",),
    "nbest": ("line",),
}
# Optional columns of tsv.
SCORE_COLUMNS = ("rank", "entropy", "entropy-reduction", "oov")

_ADAPTIVE = "Adaptive (the model learns from the text it scores; reported apart)"
_TUNING = "Tuning of the weights"


@dataclass(frozen=True, kw_only=True)
class DynamicOptions(OptionGroup):
    """Dynamic evaluation (Krause et al. 2018).

    After each segment of `tokens` tokens the model takes one step with learning rate `lr`, and decays towards
    its trained weights by the factor `decay`.
    """

    lr: float = option(
        3e-4,
        help="Learning rate of dynamic evaluation.",
        above=0.0,
        below=1.0,
        metavar="LR",
        panel=_ADAPTIVE,
        name="dynamic_lr",
        advanced=True,
    )
    decay: float = 2e-3
    tokens: int = 32


@dataclass(frozen=True, kw_only=True)
class CacheOptions(OptionGroup):
    """A neural cache of the last `size` hidden states (Grave et al. 2017)."""

    size: int = option(
        2000,
        help="Number of recent tokens in the cache.",
        min=1,
        max=1_000_000,
        metavar="N",
        panel=_ADAPTIVE,
        name="cache_size",
        advanced=True,
    )
    weight: float = option(
        0.1,
        help="Interpolation weight (lambda) of the cache.",
        above=0.0,
        below=1.0,
        metavar="W",
        panel=_ADAPTIVE,
        name="cache_weight",
        advanced=True,
    )
    flatness: float = option(
        0.3,
        help="Flatness (theta) of the cache distribution; larger values favor similar states.",
        above=0.0,
        max=1000.0,
        metavar="THETA",
        panel=_ADAPTIVE,
        name="cache_flatness",
        advanced=True,
    )


@dataclass(frozen=True, kw_only=True)
class EvaluationOptions(OptionGroup):
    """What to evaluate, and what to report besides the score."""

    split: HeldOutSplit | None = option(None, help="Split to score if no text is given.", shown="valid")
    reset: Reset | None = option(
        None,
        help="When to reset the state: never, line, sentence, document (file).",
        metavar="RULE",
        shown="that of training",
    )
    by: By | None = option(None, help="Break the loss down by position, frequency or line.", metavar="GROUP")
    chunks: int | None = option(
        None,
        help="Score N chunks in parallel: faster, but not exact. Each reads the 512 tokens before it.",
        min=1,
        metavar="N",
        shown="exact",
        advanced=True,
    )
    oov_types: int | None = option(
        None,
        help="Also report the perplexity with p(<unk>) divided by N out-of-vocabulary types.",
        min=1,
        metavar="N",
        advanced=True,
    )
    dynamic: bool = option(
        False, help="Dynamic evaluation: learn from each segment once scored.", panel=_ADAPTIVE
    )
    dynamic_options: DynamicOptions | None = None
    cache: bool = option(False, help="Use a neural cache of recent hidden states.", panel=_ADAPTIVE)
    cache_options: CacheOptions | None = None
    tune: bool = option(
        False,
        help="Tune the learning rate, cache weight and flatness on the validation split.",
        panel=_ADAPTIVE,
        advanced=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.tune and not self.adaptive:
            raise ConfigError("there is nothing to tune", hint="add --dynamic or --cache to --tune")
        tuned = [
            one.flag
            for group in (self.dynamic_options, self.cache_options)
            if group is not None
            for one in given_options(group)
            if one.name != "cache_size"
        ]
        if self.tune and tuned:
            raise ConfigError(f"--tune finds {tuned[0]} itself", hint=f"leave out {tuned[0]} or --tune")

    @property
    def dynamic_evaluation(self) -> DynamicOptions | None:
        """How to learn from the text, if at all; an option of dynamic evaluation implies `dynamic`."""
        return self.dynamic_options or (DynamicOptions() if self.dynamic else None)

    @property
    def neural_cache(self) -> CacheOptions | None:
        """The cache, if there is one; an option of the cache implies `cache`."""
        return self.cache_options or (CacheOptions() if self.cache else None)

    @property
    def adaptive(self) -> bool:
        """Whether the model learns from the text that it scores."""
        return self.dynamic_evaluation is not None or self.neural_cache is not None


@dataclass(frozen=True, kw_only=True)
class ScoreOptions(OptionGroup):
    """The output format of scored lines."""

    unit: ScoreUnit | None = option(
        None,
        help="token, word, character or line.",
        metavar="UNIT",
        shown="depends on the format",
    )
    format: ScoreFormatName = option(
        "tsv", help=f"Output format: {', '.join(FORMAT_UNITS)}.", metavar="FORMAT"
    )
    base: LogarithmBase | None = option(
        None, help="Base of the logarithm in tsv; other formats have their own.", shown="2", advanced=True
    )
    columns: str | None = option(
        None,
        help=f"Additional tsv columns: {', '.join(SCORE_COLUMNS)}.",
        metavar="NAME,...",
        advanced=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        units = FORMAT_UNITS[self.format]
        if self.unit is not None and self.unit not in units:
            raise ConfigError(
                f"the format {self.format} has no unit {self.unit}",
                hint=f"use --unit {units[0]}" if len(units) == 1 else f"use one of {', '.join(units)}",
            )
        if self.base is not None and self.format != "tsv":
            raise ConfigError(f"the format {self.format} has its own base", hint="leave out --base")
        unknown = [name for name in self.column_names if name not in SCORE_COLUMNS]
        if unknown:
            raise OptionError(
                f"there is no column {unknown[0]!r}", hint=f"the columns are {', '.join(SCORE_COLUMNS)}"
            )
        if self.columns and (self.format != "tsv" or self.unit == "line"):
            raise ConfigError(
                "--columns needs the format tsv and a unit smaller than a line",
                hint="leave out --columns, or use --format tsv --unit token",
            )

    @property
    def shown_unit(self) -> ScoreUnit:
        """The unit, or the default of the format."""
        return self.unit or FORMAT_UNITS[self.format][0]

    @property
    def column_names(self) -> tuple[str, ...]:
        """The additional columns in their order."""
        return tuple(self.columns.split(",")) if self.columns else ()


@dataclass(frozen=True, kw_only=True)
class RescoreOptions(OptionGroup):
    """Scores to combine with the model's, their weights, and the output."""

    scores: tuple[str, ...] = option((), help="Costs by another model (repeatable).", metavar="FILE")
    weights: str | None = option(
        None,
        help="Weights of each --scores, the model, and a word.",
        metavar="W,W,...",
        shown="1 each, 0 per word",
    )
    format: ListFormat = option("kaldi", help="kaldi: utt-1 and costs; nbest: log10 probabilities in order.")
    all: bool = option(False, help="Print the total of every hypothesis.")
    dev: str | None = option(None, help="Development list.", metavar="LIST", panel=_TUNING)
    dev_scores: tuple[str, ...] = option(
        (), help="Its costs, as many as --scores.", metavar="FILE", panel=_TUNING
    )
    reference: str | None = option(
        None,
        help="Reference transcripts: utt the words.",
        metavar="FILE",
        panel=_TUNING,
    )
    metric: ErrorMetric | None = option(None, help="Error rate to minimize.", shown="wer", panel=_TUNING)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (self.dev or self.reference or self.dev_scores or self.metric):
            return
        if self.dev is None or self.reference is None:
            raise ConfigError(
                "tuning needs a development list and its reference transcripts",
                hint="give both --dev and --reference",
            )
        if self.weights is not None:
            raise ConfigError("both --weights and --dev are given", hint="leave out --weights to tune them")


# The cost model of training/ reads these without importing torch.
# A text is scored in this many chunks side by side.
CHUNKS = 64
# Tokens that are read before a chunk for its first state; most networks forget within a few hundred tokens.
WARM_UP = 512
# A sample comes from fewer places rather than from chunks shorter than this many tokens.
_MIN_SAMPLED_TOKENS = 128


def sampled_cost(total: int, tokens: int) -> int:
    """Return how many tokens are read to score a sample of `tokens` of `total`, with the warm-up."""
    sample = min(total, tokens)
    return sample + WARM_UP * (sampled_chunks(sample, CHUNKS) - 1)


def sampled_chunks(tokens: int, most: int) -> int:
    """Return the number of chunks that a sample of so many tokens is scored in, at most `most`."""
    return max(1, min(most, tokens // _MIN_SAMPLED_TOKENS))


@dataclass(frozen=True, kw_only=True)
class MemorizationOptions(OptionGroup):
    """What counts as memorized, and the text that is generated if none is given."""

    min_length: int = option(
        20, help="Minimum length of a memorized passage, in characters.", min=4, max=1000, metavar="N"
    )
    length: int | None = option(
        None,
        help="Number of tokens to generate, if no text is given.",
        min=1,
        metavar="N",
        shown="10000",
        flags=("--length", "-l"),
    )
    seed: int | None = option(
        None,
        help="Random seed of the generated text, which is sampled with temperature 1.",
        min=0,
        metavar="N",
        shown="0",
    )
