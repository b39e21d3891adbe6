"""Options of text generation: how tokens are sampled, where a text stops, which texts are returned."""

from dataclasses import dataclass
from typing import Literal

from rnncli.errors import ConfigError, OptionError
from rnncli.options import OptionGroup, option

_SAMPLING, _STOPPING = "Sampling", "Stopping"


@dataclass(frozen=True, kw_only=True)
class SamplingOptions(OptionGroup):
    """How the next token is sampled from the distribution of the model."""

    temperature: float = option(
        0.8,
        help="Temperature (0: greedy).",
        min=0.0,
        max=1e6,
        metavar="T",
        panel=_SAMPLING,
    )
    top_k: int = option(
        0, help="Keep the K most probable tokens (0: all).", min=0, metavar="K", panel=_SAMPLING
    )
    top_p: float = option(
        1.0,
        help="Keep the most probable tokens with total probability P (1: all).",
        above=0.0,
        max=1.0,
        metavar="P",
        panel=_SAMPLING,
    )
    min_p: float = option(
        0.0,
        help="Leave out tokens less than P times as probable as the most probable one (0: none).",
        min=0.0,
        max=1.0,
        metavar="P",
        panel=_SAMPLING,
        advanced=True,
    )
    typical_p: float = option(
        1.0,
        help="Locally typical sampling: tokens of typical surprisal whose probabilities sum to P (1: all).",
        above=0.0,
        max=1.0,
        metavar="P",
        panel=_SAMPLING,
        advanced=True,
    )
    repetition_penalty: float = option(
        1.0,
        help="Factor on the log-probability of tokens that occurred before (1: off).",
        min=1.0,
        max=100.0,
        metavar="F",
        panel=_SAMPLING,
        advanced=True,
    )
    no_repeat_ngram: int = option(
        0,
        help="Never repeat a sequence of N tokens (0: off).",
        min=0,
        metavar="N",
        panel=_SAMPLING,
        advanced=True,
    )


@dataclass(frozen=True, kw_only=True)
class StoppingOptions(OptionGroup):
    """Where a text stops: at the first of these."""

    length: int = option(
        500, help="Maximum number of tokens.", min=0, metavar="N", panel=_STOPPING, flags=("--length", "-l")
    )
    lines: int | None = option(None, help="Number of lines.", min=1, metavar="N", panel=_STOPPING)
    stop: tuple[str, ...] = option(
        (), help="Stop before STRING (repeatable).", metavar="STRING", panel=_STOPPING
    )
    match: str | None = option(
        None,
        help="Regular expression that the text matches.",
        metavar="REGEX",
        panel=_STOPPING,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if "" in self.stop:
            raise OptionError("a stop string is empty", hint="give --stop at least one character")
        if self.match is not None and (self.lines or self.stop):
            raise ConfigError(
                "--match cannot be combined with --lines or --stop", hint="leave out --lines and --stop"
            )


@dataclass(frozen=True, kw_only=True)
class GenerationOptions(OptionGroup):
    """Which texts to sample, and how."""

    number: int = option(
        1,
        help="Number of texts.",
        min=1,
        max=65_536,
        metavar="N",
        flags=("--number", "-n"),
    )
    unique: bool = option(False, help="No text twice.")
    novel: bool = option(False, help="No line of the training data.")
    seed: int | None = option(None, help="Random seed.", min=0, metavar="N", shown="random")
    sampling: SamplingOptions = SamplingOptions()
    stopping: StoppingOptions = StoppingOptions()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.novel and self.stopping.stop:
            raise ConfigError(
                "--novel compares whole lines, and --stop may cut them short", hint="leave out --stop"
            )


@dataclass(frozen=True, kw_only=True)
class GenerationTask(OptionGroup):
    """What `rnncli generate` does: sample texts, search for the most probable ones, or answer in turns."""

    generation: GenerationOptions = GenerationOptions()
    interactive: bool = option(False, help="Interactive mode.", flags=("--interactive", "-i"))
    enumerate: int | None = option(
        None, help="Do not sample: print the N most probable lines.", min=1, metavar="N", advanced=True
    )
    beam: int | None = option(
        None,
        help="Do not sample: print the best text found by a beam of N.",
        min=1,
        max=4096,
        metavar="N",
        advanced=True,
    )
    format: Literal["text", "jsonl"] = option("text", help="Output format.")
    raw: bool = option(
        False, help="Write bytes that are not UTF-8 as the model generates them.", advanced=True
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        given, stopping = self.generation, self.generation.stopping
        only_length = GenerationOptions(stopping=StoppingOptions(length=stopping.length))
        if self.searches and (given != only_length or self.raw or (self.enumerate and self.beam)):
            raise ConfigError(
                "--enumerate and --beam do not sample",
                hint="combine one of them with --prompt, --length and --format only",
            )
        several = given.number > 1 or given.unique or given.novel
        if self.interactive and (several or stopping.match or self.searches or self.raw or self.as_json):
            raise ConfigError(
                "--interactive generates one text after another",
                hint="combine it with --length, --lines, --stop, --seed and sampling options only",
            )
        if self.raw and (self.as_json or several):
            raise ConfigError(
                "--raw writes one text as it is", hint="leave out --number, --format, --unique and --novel"
            )

    @property
    def searches(self) -> bool:
        """Whether the most probable texts are searched for, instead of sampling."""
        return self.enumerate is not None or self.beam is not None

    @property
    def as_json(self) -> bool:
        """Whether every text is printed as a JSON object."""
        return self.format == "jsonl"

    @property
    def streams(self) -> bool:
        """Whether a single text is printed piece by piece."""
        given = self.generation
        return not (self.searches or self.as_json or given.number > 1 or given.unique or given.novel)


@dataclass(frozen=True, kw_only=True)
class CompletionOptions(OptionGroup):
    """How far a text is completed, and how many completions are returned."""

    to: Literal["token", "word", "line"] | None = option(
        None,
        help="Complete the text to the end of a token, word or line.",
        shown="word if the text has spaces between words, else token",
    )
    number: int = option(
        10, help="Number of completions.", min=1, max=65_536, metavar="N", flags=("--number", "-n")
    )
    length: int | None = option(
        None,
        help="Maximum number of tokens of a word or line.",
        min=1,
        metavar="N",
        shown="200",
        flags=("--length", "-l"),
    )
