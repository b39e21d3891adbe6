"""Interactive mode: the state is kept between turns, and a reply can be replaced."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from rnncli.data.tokenizers.base import CharTokenizer
from rnncli.errors import ConfigError, OptionError
from rnncli.generation.config import SamplingOptions, StoppingOptions
from rnncli.generation.decoder import NetworkDecoder
from rnncli.generation.interactive import InteractiveSession
from rnncli.generation.text_generator import TextGenerator
from tests.conftest import numpy_decoder_of, tiny_model

LETTERS = CharTokenizer("\nabcd")
GREEDY = SamplingOptions(temperature=0.0)
RANDOM = SamplingOptions(temperature=1.5)


def new_session(
    *, line_by_line: bool = False, sampling: SamplingOptions = GREEDY, length: int = 12
) -> InteractiveSession:
    generator = TextGenerator(
        NetworkDecoder(numpy_decoder_of(tiny_model(vocab_size=6, cell="gru"))),
        LETTERS,
        line_by_line=line_by_line,
        sampling=sampling,
        stopping=StoppingOptions(length=length),
    )
    return InteractiveSession(generator, seed=3)


def joined(pieces: Iterable[str]) -> str:
    return "".join(pieces)


def separator(text: str) -> str:
    """Return what stands between a reply and the next line of the user."""
    return "" if text.endswith("\n") else "\n"


def test_a_reply_follows_from_all_text_before_it() -> None:
    session = new_session()
    first = joined(session.reply("abc"))
    second = joined(session.reply("d"))
    assert joined(new_session().reply("abc" + first + separator(first) + "d")) == second


def test_an_empty_line_continues_the_last_reply() -> None:
    session = new_session()
    first = joined(session.reply("abc"))
    assert joined(new_session(length=24).reply("abc")) == first + joined(session.reply(""))


def test_a_replaced_reply_leaves_no_trace() -> None:
    session = new_session(sampling=RANDOM)
    replies = [joined(session.reply("abc")), *(joined(session.again()) for _ in range(3))]
    assert len(set(replies)) > 1
    session.generator = replace(session.generator, sampling=GREEDY)
    after = joined(session.reply("d"))
    assert joined(new_session().reply("abc" + replies[-1] + separator(replies[-1]) + "d")) == after
    assert joined(new_session().again()) == ""


def test_a_seed_may_be_restarted() -> None:
    session = new_session(sampling=RANDOM)
    first = joined(session.reply("abc"))
    session.reset()
    assert joined(session.reply("abc")) != first, "the second text of the seed"
    session.reset()
    session.restart_seed(3)
    assert joined(session.reply("abc")) == first
    with pytest.raises(OptionError, match="seed is -1"):
        session.restart_seed(-1)


def test_a_stopped_reply_is_kept_as_far_as_it_was_generated() -> None:
    session = new_session()
    whole = joined(new_session().reply("abc"))
    pieces = session.reply("abc")
    shown = next(pieces) + next(pieces)
    session.stop()
    shown += joined(pieces)
    assert len(shown) == 2
    assert whole.startswith(shown)
    assert joined(session.reply("d")) == joined(new_session().reply("abc" + shown + separator(shown) + "d"))


def test_a_line_by_line_model_begins_anew_with_every_reply() -> None:
    session = new_session(line_by_line=True, length=50)
    first = joined(session.reply("abc"))
    joined(session.reply("dd"))
    assert joined(session.reply("abc")) == first
    assert joined(new_session().reply("abc"))[: len(first)] == first[:12]


def test_a_pattern_is_rejected() -> None:
    generator = replace(new_session().generator, stopping=StoppingOptions(match="a"))
    with pytest.raises(ConfigError, match="--match cannot be used in interactive mode"):
        InteractiveSession(generator, seed=1)


def test_reading_in_parts_gives_the_same_state_within_rounding() -> None:
    decoder = NetworkDecoder(numpy_decoder_of(tiny_model(vocab_size=6)))
    ids = np.array([1, 2, 3, 4, 5], np.uint8)
    in_parts = decoder.read(ids[2:], decoder.begin(ids[:2]).state)
    np.testing.assert_allclose(in_parts.log_probs, decoder.begin(ids).log_probs, atol=1e-6)
