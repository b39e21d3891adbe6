"""The work of `rnncli compare`: candidates trained for a while, and the best of them to the end."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

import numpy as np
import torch

from rnncli import atomic
from rnncli.cli import corpora, plotting, preparing, training_session
from rnncli.cli.training_session import Outcome, Session
from rnncli.console import picture_view, terminal
from rnncli.console.contest_view import Row, show_ranking
from rnncli.console.picture_files import picture_bytes
from rnncli.console.training_view import SilentView, View
from rnncli.errors import ConfigError, RnncliError
from rnncli.model.stepper import Stepper
from rnncli.pictures import Line, LineChart
from rnncli.reports import Noted
from rnncli.storage.model_dir import ModelDir
from rnncli.storage.record import free_name
from rnncli.text.config import Level
from rnncli.text.sources import STDIN
from rnncli.training.halving import Candidate, Trial, ranked, search

# Of the whole time; the rest is the winner's.
_SEARCH_SHARE = 0.5
# Below it a candidate would be planned rather than trained.
_LEAST_SECONDS = 20.0
_WRITING_SECONDS = 0.2


@dataclass(frozen=True)
class Contender:
    """What is known of a candidate after its longest trial."""

    trial: Trial
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
    found: dict[Candidate, Contender] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)
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
        """Read and cut the texts; raises ConfigError where they cannot be read more than once."""
        if STDIN in texts:
            raise ConfigError("compare reads a text more than once", hint="save it to a file, and name that")
        chosen = name or free_name(corpora.title(texts))
        ModelDir.refuse_taken(chosen)
        with TemporaryDirectory(prefix="rnncli-") as scratch, ExitStack() as stack:
            surveyed = corpora.Texts.survey(
                texts, settings, Path(stack.enter_context(corpora.scratch(Path(scratch))))
            )
            stores: dict[str, Path] = {}
            for level in _levels(surveyed, settings):
                stores[level] = Path(scratch, f"{level}.tok")
                stores[level].mkdir()
                surveyed.build(surveyed.config(level), stores[level], lambda says: view.show(Noted(says)))
            yield cls(tuple(texts), settings, chosen, device, view, stores)

    def search(self, seconds: float) -> None:
        """Try candidates for so long; ends early where a signal asks for it."""
        trials = search([*self.stores], seconds, self._train, self.settings["seed"])
        for trial in trials:
            if self.signal:
                return
            self.trials.append(trial)
            said = f"{trial.bits_per_character:.4f} bits per character after {trial.seconds:.0f} s"
            self.view.show(Noted(f"{trial.candidate}: {said}"))

    def ranking(self) -> list[Contender]:
        """The best first."""
        return [self.found[trial.candidate] for trial in ranked(self.trials) if trial.candidate in self.found]

    def finish(self, winner: Candidate, seconds: float) -> tuple[Session, Outcome]:
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
            **{name: self.settings[name] for name in _NAMED if self.settings.get(name) is not None},
            **{name: getattr(model, name) for name in _OF_MODEL},
            **{name: getattr(training, name) for name in _OF_TRAINING},
        }
        words = ["rnncli", "train", *self.texts]
        for name, value in options.items():
            words += [f"--{name.replace('_', '-')}", *map(str, value if isinstance(value, list) else [value])]
        return shlex.join([*words, *(["--tied-embeddings"] if model.tied_embeddings else [])])

    def _train(self, candidate: Candidate, seconds: float) -> float:
        """Bits per character of the held-out part; infinite where it cannot be trained."""
        wishes = {"seed": self.settings["seed"], **_wishes(candidate, seconds), "members": 1}
        source, name = preparing.Source((str(self.stores[candidate.level]),), wishes), f"{self.name}-trial"
        folder = None
        try:
            with preparing.begun(source, free_name(name), self.device, SilentView(), monotonic()) as session:
                folder = session.folder
                outcome = training_session.carry_out(session, SilentView())
            self.signal = outcome.signal
            if outcome.score is None:
                return float("inf")
            self.found[candidate] = _contender(candidate, seconds, session, outcome)
            return outcome.score.bits_per_character
        except RnncliError as error:
            self.view.show(Noted(f"{candidate}: {error}"))
            return float("inf")
        finally:
            if folder is not None:
                folder.remove()


_NAMED = ("encoding", "errors", "newlines", "unit", "valid_fraction", "split", "split_seed")
_OF_MODEL = ("cell", "hidden_size", "num_layers", "embedding_size", "members", "dropout")
_OF_TRAINING = ("batch_size", "bptt", "learning_rate", "weight_decay", "precision", "kernels", "seed")


def run_contest(contest: Contest, seconds: float, began: float) -> tuple[Session, Outcome] | None:
    """The whole of it within `seconds` that count from `began`; None where a signal ended the search."""
    if seconds < _LEAST_SECONDS:
        raise ConfigError(f"{seconds:g} s are too few to compare anything", hint="give --time 20m or so")
    contest.search(seconds * _SEARCH_SHARE - (monotonic() - began))
    ranking = contest.ranking()
    if contest.signal or not ranking:
        return None
    winner = ranking[0].trial.candidate
    contest.view.show(Noted(f"the best is {winner}: it is trained for the rest of the time"))
    return contest.finish(winner, max(seconds - (monotonic() - began), 1.0))


def report(
    contest: Contest,
    result: tuple[Session, Outcome] | None,
    output: Path | None,
    kind: str | None,
    as_json: bool,
) -> None:
    """The ranking, the curves, the model and the command that makes it."""
    ranking = contest.ranking()
    rows = [
        Row(
            str(one.trial.candidate),
            one.trial.seconds,
            one.trial.bits_per_character,
            one.tokens_per_second,
            one.parameters,
            one.characters_written_per_second,
        )
        for one in ranking
    ]
    chart = LineChart(
        "learning curves", "seconds", "bits per character", tuple(one.curve for one in ranking), log_x=True
    )
    if output is not None and kind is not None:
        atomic.write_file(output, picture_bytes(chart, kind))
    session, outcome = result or (None, None)
    command = None if session is None else contest.command(ranking[0].trial.candidate, session)
    if as_json:
        terminal.print_json(
            {
                "ranking": [row._asdict() for row in rows],
                "model": None if outcome is None else outcome.saved.path,
                "command": command,
            }
        )
        return
    if rows:
        show_ranking(rows)
        if output is None:
            picture_view.show_picture(chart)
    if outcome is not None and command is not None:
        terminal.print_lines([outcome.saved.path, command])


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


def _contender(candidate: Candidate, seconds: float, session: Session, outcome: Outcome) -> Contender:
    assert outcome.score is not None
    curve = plotting.curves([session.folder]).lines[0]
    stepper = Stepper(session.run.model.config, session.folder.needed_weights().arrays)
    characters_per_token = outcome.score.characters / outcome.score.tokens
    return Contender(
        Trial(candidate, seconds, outcome.score.bits_per_character),
        session.planned.tokens_per_second,
        session.run.model.config.parameters,
        _tokens_written_per_second(stepper) * characters_per_token,
        Line(str(candidate), curve.x, curve.y),
    )


def _tokens_written_per_second(stepper: Stepper) -> float:
    state, token, written = stepper.initial_state(1), np.array([stepper.config.start]), 0
    began = monotonic()
    while monotonic() - began < _WRITING_SECONDS:
        logits, state = stepper.step(token, state)
        token, written = logits.argmax(1), written + 1
    return written / (monotonic() - began)
