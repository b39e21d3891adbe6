"""From a prompt to texts: streams, batches, searches, and the selection of texts."""

import logging
from itertools import islice

import numpy as np
import pytest

from rnncli.data.line_hashes import LineHashes
from rnncli.data.tokenizers.base import CharTokenizer, Tokenizer, line_end
from rnncli.data.tokenizers.word import WordTokenizer
from rnncli.errors import ConfigError, GenerationError
from rnncli.generation.config import SamplingOptions, StoppingOptions
from rnncli.generation.decoder import NetworkDecoder
from rnncli.generation.text_generator import CompletionUnit, TextGenerator, training_sample
from tests.conftest import numpy_decoder_of, tiny_model

LETTERS = CharTokenizer("\nabcd")
WORDS = WordTokenizer(["<unk>", "<eos>", "the", "cat", "sat"])
WARM = SamplingOptions(temperature=1.0)


def make(
    stopping: StoppingOptions,
    *,
    tokenizer: Tokenizer = LETTERS,
    line_by_line: bool = False,
    sampling: SamplingOptions = WARM,
) -> TextGenerator:
    decoder = NetworkDecoder(numpy_decoder_of(tiny_model(vocab_size=tokenizer.vocab_size, cell="gru")))
    return TextGenerator(decoder, tokenizer, line_by_line=line_by_line, sampling=sampling, stopping=stopping)


@pytest.mark.parametrize(
    "stopping",
    [
        StoppingOptions(length=30),
        StoppingOptions(length=60, lines=2),
        StoppingOptions(length=60, stop=("ab", "d\n")),
        StoppingOptions(length=9, stop=("c",)),
    ],
    ids=str,
)
def test_texts_come_in_order_and_do_not_depend_on_one_another(stopping: StoppingOptions) -> None:
    generator = make(stopping)
    texts = list(generator.generate("a", number=9, seed=3))
    assert [text.number for text in texts] == list(range(9))
    assert texts[0].text == "".join(generator.stream("a", seed=3))
    fewer = list(generator.generate("a", number=4, seed=3))
    assert [text.text for text in fewer] == [text.text for text in texts[:4]]
    for text in texts:
        if text.finish_reason == "length":
            assert text.tokens == stopping.length
        elif text.finish_reason == "lines":
            assert text.text.count("\n") == stopping.lines
            assert text.text.endswith("\n")
        assert not any(stop in text.text for stop in stopping.stop)
        assert text.nll_nats > 0.0
    if stopping.length == 60:
        assert len({text.tokens for text in texts}) > 2, "they end at different times"


def test_texts_of_several_batches_are_those_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = make(StoppingOptions(length=20))
    together = list(generator.generate(number=7, seed=3))
    monkeypatch.setattr("rnncli.generation.text_generator.MAX_BATCH_SIZE", 3)
    assert [text.text for text in generator.generate(number=7, seed=3)] == [text.text for text in together]


def test_a_line_by_line_model_generates_lines() -> None:
    texts = list(make(StoppingOptions(length=500), line_by_line=True).generate("ab", number=5, seed=1))
    assert all(text.finish_reason == "lines" and text.text.count("\n") == 1 for text in texts)


def test_without_a_prompt_a_text_begins_a_line() -> None:
    generator = make(StoppingOptions(length=20))
    assert "".join(generator.stream(seed=1)) == "".join(generator.stream("\n", seed=1))


def test_a_space_at_the_end_of_a_prompt_is_not_doubled() -> None:
    generator = make(StoppingOptions(length=5), tokenizer=WORDS)
    without, with_space = ("".join(generator.stream(prompt, seed=1)) for prompt in ("the", "the "))
    assert without.strip()
    assert without == " " + with_space
    assert generator.prepare("the ").text == "the"
    (text,) = generator.generate("the ", seed=1)
    assert text.text == with_space


def test_unique_texts_differ_and_a_shortage_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    generator = make(StoppingOptions(length=1), sampling=SamplingOptions(top_k=2))
    with caplog.at_level(logging.WARNING):
        texts = [text.text for text in generator.generate(number=4, seed=1, unique=True)]
    assert len(texts) == len(set(texts)) == 2
    assert "found only 2 of 4 texts among 400 generated ones" in caplog.text


def test_novel_texts_are_not_among_the_known_lines() -> None:
    generator = make(StoppingOptions(length=60), line_by_line=True)
    plain = {text.text for text in generator.generate(number=20, seed=1)}
    known = sorted(plain)[:5]
    ids = np.concatenate([LETTERS.encode(line) for line in known])
    hashes = LineHashes.of(ids, line_end(LETTERS))
    novel = [text.text for text in generator.generate(number=20, seed=1, line_hashes=hashes)]
    assert len(novel) == 20
    assert not set(novel) & set(known)


def test_generate_tokens_joins_texts_up_to_a_number_of_tokens() -> None:
    generator = make(StoppingOptions(), line_by_line=True)
    sample = generator.generate_tokens(50, seed=1)
    lines = [text.text for text in generator.generate(number=50, seed=1)]
    assert len(sample) == 50
    assert "".join(lines).startswith(sample)


def test_the_training_sample_is_a_text_or_five_lines() -> None:
    decoder = make(StoppingOptions()).decoder
    assert len(training_sample(decoder, LETTERS, line_by_line=False, seed=1)) == 160
    sample = training_sample(decoder, LETTERS, line_by_line=True, seed=1)
    assert sample == training_sample(decoder, LETTERS, line_by_line=True, seed=1)
    assert len(sample.splitlines()) == 5


@pytest.mark.parametrize("to", ["token", "line"])
def test_completions_come_in_order_of_probability(to: CompletionUnit) -> None:
    generator = make(StoppingOptions())
    found = list(islice(generator.most_probable("ab", to=to, max_tokens=3), 20))
    assert [text.nll_nats for text in found] == sorted(text.nll_nats for text in found)
    assert len({text.text for text in found}) == len(found) == (5 if to == "token" else 20)
    assert {text.finish_reason for text in found} == ({"token"} if to == "token" else {"lines", "length"})


def test_beam_search_of_width_one_is_greedy() -> None:
    generator = make(StoppingOptions(length=12), sampling=SamplingOptions(temperature=0.0))
    best = generator.beam_search("ab", width=1)
    assert best.text == "".join(generator.stream("ab", seed=1))
    assert generator.beam_search("ab", width=50).nll_nats <= best.nll_nats


def test_texts_match_a_pattern() -> None:
    generator = make(StoppingOptions(length=9, match="(ab|cd){2,4}"))
    for text in generator.generate("d", number=5, seed=1):
        assert set(text.text[0::2]) <= {"a", "c"}
        assert text.finish_reason in ("match", "length")


def test_impossible_requests_are_rejected_before_anything_is_generated() -> None:
    with pytest.raises(ConfigError, match="each of its texts is one line"):
        make(StoppingOptions(lines=2), line_by_line=True)
    with pytest.raises(ConfigError, match="no line ends in its vocabulary"):
        make(StoppingOptions(lines=2), tokenizer=CharTokenizer("abcd"))
    with pytest.raises(ConfigError, match="only whole lines can be compared"):
        make(StoppingOptions()).generate(seed=1, line_hashes=LineHashes(np.zeros(0, np.uint64)))
    with pytest.raises(ConfigError, match="no token that ends a word"):
        make(StoppingOptions(), tokenizer=CharTokenizer("abcd")).most_probable("a", to="word")
    with pytest.raises(ConfigError, match="no text that this model can generate matches"):
        make(StoppingOptions(match="x")).stream("a", seed=1)
    with pytest.raises(GenerationError, match="the prompt has a line end"):
        make(StoppingOptions(), line_by_line=True).stream("a\nb", seed=1)


def test_oov_tokens_of_a_prompt_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        make(StoppingOptions()).stream("a☃", seed=1)
    assert "out-of-vocabulary tokens in the prompt" in caplog.text
    assert "U+2603" in caplog.text
