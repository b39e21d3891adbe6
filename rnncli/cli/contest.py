"""The work of `rnncli compare`: candidates trained for a while, and the best of them to the end."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, perf_counter
from typing import Any

import numpy as np
import torch

from rnncli import runtime
from rnncli.analysis.figures import Line, LineChart
from rnncli.cli import corpora, plotting, preparing, training_session
from rnncli.cli.training_session import Session
from rnncli.console.contest_view import Row
from rnncli.console.training_view import SilentView, View, log_shown_in
from rnncli.data.config import Level
from rnncli.data.sources import STDIN, expand
from rnncli.errors import ConfigError, RnncliError, TrainingError
from rnncli.events import Noted
from rnncli.numpy_decoder.decoder import Stepper
from rnncli.results import Score
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.record import checked_name, free_name
from rnncli.training import architecture_search
from rnncli.training.architecture_search import Candidate, Outcome, Trial, ranked, search
from rnncli.training.overrides import Wishes

# Of the whole time; the rest is the winner's.
_SEARCH_SHARE = 0.5
# Below it a candidate would be planned rather than trained.
_LEAST_SECONDS = 20.0
_WRITING_SECONDS = 0.2
# How a candidate is validated: the same tokens for all of a level, whatever its speed.
_WATCHED = {"validations": 3, "validation_tokens": 20_000}


@dataclass(frozen=True)
class Contender:
    """What is known of a candidate after a trial."""

    tokens_per_second: float
    parameters: int
    characters_written_per_second: float
    curve: Line


@dataclass
class Contest:
    """Texts cut at every level once, the settings that all candidates share, and what came of each."""

    texts: tuple[str, ...]
    settings: Mapping[str, Any]
    name: str
    device: torch.device
    view: View
    stores: dict[str, Path]
    trials: list[Trial] = field(default_factory=list)
    found: dict[Candidate, Contender] = field(default_factory=dict)
    signal: int = 0

    @classmethod
    @contextmanager
    def open(
        cls,
        texts: Sequence[str],
        settings: Mapping[str, Any],
        name: str | None,
        device: torch.device,
        view: View,
    ) -> "Iterator[Contest]":
        """Read and cut the texts; what would fail at the end is refused here."""
        if corpora.stores_at(texts):
            raise ConfigError("compare cuts a text at several levels", hint="name the text and not its store")
        if any(
            source == STDIN or not Path(source).is_file() for source in expand(texts) if _is_there(source)
        ):
            raise ConfigError("compare reads a text more than once", hint="save it to a file, and name that")
        Wishes.of({"seed": settings["seed"], "seconds": 1.0})
        chosen = checked_name(name or free_name(corpora.title(texts)))
        ModelDir.refuse_taken(chosen)
        # Windows keeps a store that is still memory-mapped: what is left of it is the system's to clean up.
        with (
            TemporaryDirectory(prefix="rnncli-", ignore_cleanup_errors=True) as scratch,
            ExitStack() as stack,
        ):
            surveyed = corpora.Texts.survey(
                texts, settings, Path(stack.enter_context(corpora.scratch(Path(scratch))))
            )
            stores: dict[str, Path] = {}
            for level in _levels(surveyed, settings):
                stores[level] = Path(scratch, f"{level}.tok")
                stores[level].mkdir()
                surveyed.build(surveyed.config(level), stores[level])
            yield cls(tuple(texts), settings, chosen, device, view, stores)

    def search(self, seconds: float) -> None:
        """Try candidates for so long; ends early where a signal asks for it."""
        for trial in search([*self.stores], seconds, self._train, monotonic, self.settings["seed"]):
            if self.signal:
                return
            self.trials.append(trial)
            bits, used = trial.outcome
            if math.isfinite(bits):
                self.view.show(Noted(f"{trial.candidate}: {bits:.4f} bits per character after {used:.0f} s"))

    def ranking(self) -> list[tuple[Trial, Contender]]:
        """The best first."""
        return [(trial, self.found[trial.candidate]) for trial in ranked(self.trials)]

    def finish(self, winner: Candidate, seconds: float) -> tuple[Session, training_session.Outcome]:
        """Train the winner from the texts themselves, as a model that stays."""
        settings = {**self.settings, **_wishes(winner, seconds), "level": winner.level}
        source = preparing.Source(self.texts, settings)
        with preparing.begun(source, self.name, self.device, self.view, monotonic()) as session:
            return session, training_session.carry_out(session, self.view)

    def command(self, winner: Candidate, session: Session) -> str:
        """What trains the same model: every setting that the plan chose is named."""
        model, training = session.run.model.config, session.training
        options: dict[str, Any] = {
            "time": f"{training.seconds:.0f}s",
            "level": winner.level,
            **{name: own for name in _NAMED if (own := self.settings.get(name)) not in (None, (), [])},
            **{name: getattr(model, name) for name in _OF_MODEL},
            **{name: own for name in _OF_TRAINING if (own := getattr(training, name)) is not None},
            **({"device": self.settings["device"]} if self.settings["device"] != "auto" else {}),
        }
        words = ["rnncli", "train", *self.texts]
        for name, value in options.items():
            for one in value if isinstance(value, list | tuple) else [value]:
                words += [f"--{name.replace('_', '-')}", str(one)]
        return runtime.command_line([*words, *(["--tied-embeddings"] if model.tied_embeddings else [])])

    def _train(self, candidate: Candidate, seconds: float) -> Outcome:
        """As a model that is thrown away; validated as often, on the same tokens, as every other."""
        wishes = {"seed": self.settings["seed"], **_wishes(candidate, seconds), "members": 1, **_WATCHED}
        source, name = preparing.Source((str(self.stores[candidate.level]),), wishes), f"{self.name}-trial"
        folder, nothing, silent = None, Outcome(math.inf, seconds), SilentView()
        try:
            with (
                log_shown_in(silent),
                preparing.begun(source, free_name(name), self.device, silent, monotonic()) as session,
            ):
                folder = session.folder
                outcome = training_session.carry_out(session, silent)
            self.signal = outcome.heard
            if outcome.score is None or outcome.signal:
                return nothing
            self.found[candidate] = _contender(candidate, session, outcome.score)
            return Outcome(outcome.score.bits_per_character, outcome.saved.seconds)
        except (RnncliError, MemoryError, RuntimeError) as error:
            if not isinstance(error, RnncliError) and not training_session.is_out_of_memory(error):
                raise
            self.view.show(Noted(f"{candidate}: {error}"))
            return nothing
        finally:
            if folder is not None:
                folder.remove()


_NAMED = ("encoding", "errors", "newlines", "unit", "valid", "valid_fraction", "split", "split_seed")
_OF_MODEL = ("cell", "hidden_size", "num_layers", "embedding_size", "members", "dropout")
_OF_TRAINING = (
    *("batch_size", "bptt", "learning_rate", "weight_decay"),
    *("activation_regularization", "temporal_regularization", "precision", "kernels", "threads"),
    *("steps", "validations", "validation_tokens", "seed"),
)


def check(seconds: float) -> None:
    """Before a text is read: raises ConfigError where there is no optuna, or no time."""
    architecture_search.check()
    if seconds < _LEAST_SECONDS:
        raise ConfigError(f"{seconds:g} s are too few to compare anything", hint="give --time 20m or so")


def find_winner(contest: Contest, seconds: float, began: float) -> Candidate | None:
    """Search for half of `seconds` that count from `began`; None where a signal ended it."""
    contest.search(seconds * _SEARCH_SHARE - (monotonic() - began))
    if contest.signal:
        return None
    ranking = contest.ranking()
    if not ranking:
        raise TrainingError("no structure could be trained", hint="give more --time, or a longer text")
    winner = ranking[0][0].candidate
    contest.view.show(Noted(f"the best is {winner}: it is trained for the rest of the time"))
    return winner


def rows(contest: Contest) -> list[Row]:
    """The ranking as a table, the best first."""
    return [
        Row(
            str(trial.candidate),
            trial.outcome.seconds,
            trial.outcome.bits_per_character,
            found.tokens_per_second,
            found.parameters,
            found.characters_written_per_second,
        )
        for trial, found in contest.ranking()
    ]


def chart(contest: Contest) -> LineChart:
    """The learning curves of those that were trained longest."""
    ranking = contest.ranking()
    longest = [found.curve for trial, found in ranking if trial.rung == ranking[0][0].rung]
    return LineChart("learning curves", "seconds", "bits per character", tuple(longest), log_x=True)


def _levels(texts: corpora.Texts, settings: Mapping[str, Any]) -> list[Level]:
    """The one that is wished for, or the text's natural one and pieces of it."""
    if settings.get("level") is not None or texts.natural != "char":
        return [settings.get("level") or texts.natural]
    return ["char", "subword"]


def _wishes(candidate: Candidate, seconds: float) -> dict[str, Any]:
    return {
        "cell": candidate.cell,
        "num_layers": candidate.num_layers,
        "hidden_size": candidate.hidden_size,
        "seconds": seconds,
    }


def _is_there(source: str) -> bool:
    """Whether anything has that name; what has not is refused by whoever reads it."""
    return source == STDIN or os.path.lexists(source)


def _contender(candidate: Candidate, session: Session, score: Score) -> Contender:
    curve = plotting.curves([session.folder]).lines[0]
    stepper = Stepper(session.run.model.config, session.folder.needed_weights().arrays)
    characters_per_token = score.characters / score.tokens
    return Contender(
        session.planned.tokens_per_second,
        session.run.model.config.parameters,
        _tokens_written_per_second(stepper) * characters_per_token,
        Line(str(candidate), curve.x, curve.y),
    )


def _tokens_written_per_second(stepper: Stepper) -> float:
    state, token, written = stepper.initial_state(1), np.array([stepper.config.start]), 0
    began = perf_counter()
    while perf_counter() - began < _WRITING_SECONDS:
        logits, state = stepper.step(token, state)
        token, written = logits.argmax(1), written + 1
    return written / (perf_counter() - began)
