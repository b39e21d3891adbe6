"""A trained model for Python: what it scores, writes and says of texts."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from rnncli.data.config import Reset
from rnncli.data.reading import Text
from rnncli.errors import ConfigError
from rnncli.evaluation.config import Adaptation, By, Cache, SamplingConfig
from rnncli.evaluation.scoring import LINES_SORTED
from rnncli.evaluation.surprisal import LineScorer, ScoredLine
from rnncli.generation.prediction import Predictor
from rnncli.generation.texts import Limits
from rnncli.nn.language_model import LanguageModel
from rnncli.results import Evaluation, Written
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.runs import load_model
from rnncli.workflows import evaluate, generate, splits
from rnncli.workflows.devices import pick_device
from rnncli.workflows.generate import Wanted


class Model:
    """A model folder, read when it is needed; remarks are logged under the name `rnncli`.

    Every method raises RnncliError, or one of its kinds, for what was foreseen.
    """

    def __init__(self, folder: ModelDir, device: str = "auto") -> None:
        self._folder = folder
        self._device = device

    def __repr__(self) -> str:
        return f"<rnncli model {self._folder.path}: {self._folder.record().model.architecture}>"

    def score(self, texts: Iterable[str]) -> Iterator[ScoredLine]:
        """Lines without their ends, each from an empty memory, as `rnncli score` scores them.

        Each has its `nats`, and its `tokens`, `words` and `characters` with theirs. Of very many lines
        some thousands are scored at a time; they come in their order.
        """
        if isinstance(texts, str):
            raise ConfigError("a text is given in place of texts", hint="give a list: score([text])")
        batch = list[str]()
        for text in texts:
            if "\n" in text:
                raise ConfigError("a line has a line end in it", hint="give lines without their ends")
            batch.append(text)
            if len(batch) == LINES_SORTED:
                yield from self._scorer.score(batch)
                batch = []
        if batch:
            yield from self._scorer.score(batch)

    def generate(
        self,
        prompt: str = "",
        number: int = 1,
        *,
        length: int = 500,
        lines: int | None = None,
        stop: Sequence[str] = (),
        match: str | None = None,
        unique: bool = False,
        novel: bool = False,
        sampling: SamplingConfig | None = None,
        seed: int = 1,
    ) -> Iterator[Written]:
        """Texts that follow a prompt, as `rnncli generate` draws them: the same seed gives the same texts.

        Each comes as soon as it has ended. `length` is in tokens; `match` is a regular expression.
        """
        limits = Limits(length, lines, tuple(stop))
        wanted = Wanted(sampling or SamplingConfig(), limits, number, unique, novel, match)
        _check_seed(seed)
        return generate.draw(self._folder, self._predictor, prompt, wanted, seed)

    def stream(
        self, prompt: str = "", *, length: int = 500, sampling: SamplingConfig | None = None, seed: int = 1
    ) -> Iterator[str]:
        """The first of those texts in pieces, each as soon as it is written."""
        wanted = Wanted(sampling or SamplingConfig(), Limits(length))
        _check_seed(seed)
        return generate.stream(self._folder, self._predictor, prompt, wanted, seed)

    def evaluate(
        self,
        text: str | None = None,
        *,
        part: str = "valid",
        reset: Reset | None = None,
        by: By | None = None,
        adaptation: Adaptation | None = None,
        cache: Cache | None = None,
    ) -> Evaluation:
        """The score of a text, every token once with its full history, as `rnncli eval` gives it.

        Without a text that of a `part` that the model has not learned from, valid or test. `columns` has the
        network's Score and, where there is an n-gram beside it, that and their mixture.
        """
        asked = evaluate.Asked(part, reset, by, adaptation=adaptation, cache=cache)
        if text is None:
            _, scored = splits.own_part(self._folder, part, reset)
        else:
            scored = splits.as_part(self._folder, Text((text,), "the text", "str"), reset)
        return evaluate.evaluated_part(self._folder, self._network, scored, asked, own=text is None)

    @cached_property
    def _network(self) -> LanguageModel:
        return load_model(self._folder, pick_device(self._device))

    @cached_property
    def _predictor(self) -> Predictor:
        return generate.predictor(self._folder, self._device)

    @cached_property
    def _scorer(self) -> LineScorer:
        return LineScorer(self._network, self._folder.tokenizer(), self._folder.ngram())


def _check_seed(seed: int) -> None:
    if seed < 0:
        raise ConfigError(f"seed is {seed}", hint="it is 0 or more")
