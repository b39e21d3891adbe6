"""Turns: what was said and answered is all remembered, and an answer can be taken back."""

import numpy as np
import pytest

from rnncli.data.tokenizers.base import CharTokenizer
from rnncli.errors import ConfigError
from rnncli.evaluation.config import SamplingConfig
from rnncli.generation.interactive import Conversation
from rnncli.generation.prediction import Predictor
from rnncli.generation.texts import Limits
from tests.conftest import stepper, tiny_model

LETTERS = CharTokenizer("\nabcd")
GREEDY = SamplingConfig(temperature=0.0)


def conversation(by_line: bool = False, sampling: SamplingConfig = GREEDY) -> Conversation:
    model = tiny_model(vocab_size=6, cell="gru")
    return Conversation(Predictor(stepper(model), None), LETTERS, by_line, sampling, Limits(12), 3)


def going_on(first: str) -> object:
    talk = conversation()
    assert said(talk.say("abc")) == first
    return talk.say("")


def said(pieces: object) -> str:
    return "".join(pieces)  # type: ignore[arg-type]


def test_an_answer_knows_all_that_was_said_and_answered() -> None:
    talk = conversation()
    first = said(talk.say("abc"))
    second = said(talk.say("d"))
    between = "" if first.endswith("\n") else "\n"
    at_once = conversation()
    assert said(at_once.say("abc" + first + between + "d")) == second
    whole = conversation()
    whole.limits = Limits(24)
    assert said(whole.say("abc")) == first + said(going_on(first)), "nothing said: it goes on where it was"


def test_an_answer_is_taken_back_with_all_it_left_behind() -> None:
    drawn = SamplingConfig(temperature=1.5)
    talk = conversation(sampling=drawn)
    answers = [said(talk.say("abc")), *(said(talk.again()) for _ in range(3))]
    assert len(set(answers)) > 1
    talk.sampling = GREEDY
    after = said(talk.say("d"))
    fresh = conversation()
    between = "" if answers[-1].endswith("\n") else "\n"
    assert said(fresh.say("abc" + answers[-1] + between + "d")) == after
    assert said(conversation().again()) == ""


def test_the_same_seed_answers_the_same_and_a_new_one_begins_anew() -> None:
    drawn = SamplingConfig(temperature=1.5)
    talk = conversation(sampling=drawn)
    first = said(talk.say("abc"))
    talk.forget()
    assert said(talk.say("abc")) != first, "the second text of the seed"
    talk.forget()
    talk.begin_seed(3)
    assert said(talk.say("abc")) == first
    with pytest.raises(ConfigError, match="seed is -1"):
        talk.begin_seed(-1)


def test_a_stopped_answer_is_remembered_as_far_as_it_came() -> None:
    talk = conversation()
    whole = said(conversation().say("abc"))
    pieces = talk.say("abc")
    shown = next(pieces) + next(pieces)
    talk.stop()
    shown += said(pieces)
    assert len(shown) == 2
    assert whole.startswith(shown)
    between = "" if shown.endswith("\n") else "\n"
    assert said(talk.say("d")) == said(conversation().say("abc" + shown + between + "d"))


def test_lines_that_know_nothing_of_one_another_are_begun_anew() -> None:
    talk = conversation(by_line=True)
    talk.limits = Limits(50, lines=1)
    first = said(talk.say("abc"))
    said(talk.say("dd"))
    assert said(talk.say("abc")) == first
    assert said(conversation().say("abc"))[: len(first)] == first[:12]


def test_the_state_is_kept_within_rounding_of_one_reading() -> None:
    """Token by token or all at once: the same weights, the same products."""
    predictor = Predictor(stepper(tiny_model(vocab_size=6)), None)
    ids = np.array([1, 2, 3, 4, 5], np.uint8)
    begun = predictor.read(ids[2:], predictor.begin(ids[:2]).memory)
    np.testing.assert_allclose(begun.logs, predictor.begin(ids).logs, atol=1e-6)
