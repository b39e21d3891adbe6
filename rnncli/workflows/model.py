"""A trained model for Python: it scores, generates, completes and evaluates as the commands do."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

from rnncli.data.decoding import Text
from rnncli.errors import ConfigError, OptionError
from rnncli.evaluation.config import EvaluationOptions
from rnncli.generation.config import CompletionOptions, GenerationOptions
from rnncli.generation.decoder import Decoder
from rnncli.options import OptionGroup, build
from rnncli.results import Completions, Evaluation, GeneratedText
from rnncli.storage.model_dir import ModelDir
from rnncli.workflows import complete, generate

if TYPE_CHECKING:
    from rnncli.evaluation.surprisal import LineScorer, ScoredLine
    from rnncli.nn.ensemble import RNNLanguageModel

Options = TypeVar("Options", bound=OptionGroup)


class Model:
    """A trained model; its files are read when they are needed.

    Options are given as keywords with the names of the command line (`top_k=10` for `--top-k 10`) or as one
    option object. Every method raises RnncliError or a subclass for foreseen errors. Remarks go to the
    logger `rnncli`.
    """

    def __init__(self, model_dir: ModelDir, device: str = "auto") -> None:
        """Open a model directory.

        Args:
            model_dir: The model directory.
            device: "auto", "cpu", "cuda" or "mps". With "auto", scoring uses CUDA if it works, and generation
                the CPU, which is faster for single tokens.
        """
        self._model_dir = model_dir
        self._device = device

    def __repr__(self) -> str:
        return f"<rnncli model {self._model_dir.path}: {self._model_dir.record().model.architecture}>"

    @cached_property
    def module(self) -> "RNNLanguageModel":
        """The torch module: token ids in, logits out."""
        from rnncli.storage.checkpoints import load_model
        from rnncli.workflows.devices import pick_device

        return load_model(self._model_dir, pick_device(self._device)).eval()

    def evaluate(
        self, text: str | None = None, *, options: EvaluationOptions | None = None, **keywords: object
    ) -> Evaluation:
        """Evaluate the model on a text, as `rnncli eval` does: every token once, with its full history.

        Args:
            text: The text; without it, a split of the model's own text (`split="valid"` or `"test"`).
            options: What to evaluate and report, as an object.
            **keywords: Fields of EvaluationOptions, such as `split`, `reset`, `by`, `dynamic`, `cache`.

        Returns:
            The scores: `columns` holds that of the network and, if there is an n-gram model, also those of
            the n-gram model and of their interpolation; `score` is the last of them.

        Raises:
            OptionError: An option is unknown or out of range.
            ConfigError: Options contradict each other or do not fit the model.
            CorpusError: There is nothing to score.
        """
        from rnncli.workflows import evaluate, splits

        chosen = _chosen(EvaluationOptions, options, keywords)
        if text is None:
            _, scored = splits.own_split(self._model_dir, chosen.split or "valid", chosen.reset)
        elif chosen.split is not None:
            raise ConfigError(
                "split names a split of the model's own text, and a text is given", hint="leave out split"
            )
        else:
            scored = splits.encode_text(self._model_dir, Text((text,), "the text", "str"), chosen.reset)
        return evaluate.evaluate_split(self._model_dir, self.module, scored, options=chosen, own=text is None)

    def score(self, lines: Iterable[str]) -> Iterator["ScoredLine"]:
        """Score lines, as `rnncli score` does: each with its line end, from the initial state.

        Args:
            lines: Lines without their line ends; any number, since only some thousands are held at a time.

        Yields:
            For each line its `nll_nats`, and `tokens`, `words` and `characters` with theirs.

        Raises:
            ConfigError: A line has a line end in it.
        """
        from rnncli.evaluation.scoring import LINES_SORTED

        if isinstance(lines, str):
            raise ConfigError("lines is a single string", hint="give a list: score([text])")
        remaining = iter(lines)
        while batch := list(islice(remaining, LINES_SORTED)):
            if any("\n" in line for line in batch):
                raise ConfigError("a line has a line end in it", hint="give lines without their line ends")
            yield from self._scorer.score(batch)

    def generate(
        self, prompt: str = "", *, options: GenerationOptions | None = None, **keywords: object
    ) -> Iterator[GeneratedText]:
        """Sample texts that continue a prompt, as `rnncli generate` does.

        Args:
            prompt: The text to continue.
            options: How many texts, and how to sample them, as an object.
            **keywords: Fields of GenerationOptions, SamplingOptions and StoppingOptions, such as `number`,
                `temperature`, `top_k`, `length`, `stop`, `seed`. The same seed gives the same texts.

        Yields:
            Each text as soon as it and those before it are complete.

        Raises:
            OptionError: An option is unknown or out of range.
            ConfigError: Options contradict each other or do not fit the model.
            GenerationError: The prompt does not fit the model.
        """
        chosen = _chosen(GenerationOptions, options, keywords)
        return generate.generate(self._model_dir, self._decoder, prompt, chosen)

    def stream(
        self, prompt: str = "", *, options: GenerationOptions | None = None, **keywords: object
    ) -> Iterator[str]:
        """Sample one text that continues a prompt, piece by piece.

        Args:
            prompt: The text to continue.
            options: How to sample it, as an object.
            **keywords: As for `generate`; `number`, `unique` and `novel` have no effect on one text.

        Yields:
            Pieces of the text as they are generated.

        Raises:
            OptionError: An option is unknown or out of range.
            ConfigError: Options contradict each other or do not fit the model.
            GenerationError: The prompt does not fit the model.
        """
        chosen = _chosen(GenerationOptions, options, keywords)
        generator = generate.text_generator(self._model_dir, self._decoder, chosen)
        return generator.stream(prompt, seed=generate.random_seed() if chosen.seed is None else chosen.seed)

    def complete(
        self, prompt: str, *, options: CompletionOptions | None = None, **keywords: object
    ) -> Completions:
        """Find the most probable continuations of a text, as `rnncli complete` does.

        Args:
            prompt: The text.
            options: How far, and how many completions, as an object.
            **keywords: Fields of CompletionOptions: `to` ("token", "word" or "line"), `number`, `length`.

        Raises:
            OptionError: An option is unknown or out of range.
            ConfigError: The model has no such units.
        """
        chosen = _chosen(CompletionOptions, options, keywords)
        return complete.complete(self._model_dir, self._decoder, prompt, chosen)

    @cached_property
    def _decoder(self) -> Decoder:
        return generate.load_decoder(self._model_dir, self._device)

    @cached_property
    def _scorer(self) -> "LineScorer":
        from rnncli.evaluation.surprisal import LineScorer
        from rnncli.workflows.evaluate import language_model

        return LineScorer(language_model(self._model_dir, self.module), self._model_dir.tokenizer())


def _chosen(kind: type[Options], options: Options | None, keywords: Mapping[str, object]) -> Options:
    """The option object, or one of the keywords; raises OptionError if both are given."""
    if options is None:
        return build(kind, keywords)
    if keywords:
        raise OptionError(
            f"both options and {next(iter(keywords))} are given", hint="give an option object or keywords"
        )
    if not isinstance(options, kind):
        raise OptionError(f"options is {options!r}", hint=f"give an object of {kind.__name__}, or keywords")
    return options
