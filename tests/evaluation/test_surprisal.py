"""Lines by token, word and character: what adds up, and to what."""

from itertools import product

import numpy as np
import pytest
import torch

from rnncli.data.counting import count
from rnncli.data.segments import encode_segments
from rnncli.data.tokenizers.base import ByteTokenizer, CharTokenizer, Tokenizer, WordTokenizer, decode
from rnncli.data.tokenizers.subword import SubwordTokenizer
from rnncli.errors import ConfigError, ModelError
from rnncli.evaluation.evaluation import evaluate
from rnncli.evaluation.interpolation import fit_mixture, fit_ngram
from rnncli.evaluation.surprisal import LineScorer
from rnncli.ngram.decoder import NgramStream
from rnncli.nn.language_model import LanguageModel
from tests.conftest import RHYME, part_of, tiny_model

LINES = ["the rain came more;", "", " a lamp  was lit,", "the", "the rain came down, the rain came more"]
TOKENIZERS: list[Tokenizer] = [
    CharTokenizer.of(RHYME),
    ByteTokenizer(),
    WordTokenizer(["<unk>", "<eos>", "the", "rain", "came"]),
    SubwordTokenizer.learn(RHYME, 330, "bpe"),
]


def model_for(tokenizer: Tokenizer) -> LanguageModel:
    return tiny_model(vocab_size=tokenizer.vocab_size, num_layers=1)


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda t: t.level)
def test_the_lines_of_a_text_add_up_to_its_score_line_by_line(tokenizer: Tokenizer) -> None:
    model, text = model_for(tokenizer), "".join(line + "\n" for line in LINES)
    ids, starts = encode_segments(tokenizer, [text], "line")
    whole = evaluate(model, part_of(ids, count(text), starts)).score
    scored = LineScorer(model, tokenizer, None).score(LINES)
    assert sum(line.nats for line in scored) == pytest.approx(whole.nats, rel=1e-5)
    assert sum(len(line.tokens) for line in scored) == whole.tokens
    assert [line.text for line in scored] == LINES


@pytest.mark.parametrize("tokenizer", TOKENIZERS[:2] + TOKENIZERS[3:], ids=lambda t: t.level)
def test_words_and_what_separates_them_add_up_to_the_line(tokenizer: Tokenizer) -> None:
    """Between single blanks: a word has its tokens and the boundary, a blank what is left of its own."""
    (line,) = LineScorer(model_for(tokenizer), tokenizer, None, words=True).score(["the rain came down"])
    found = line.words
    assert [word.text for word in found] == ["the", "rain", "came", "down"]
    separators = sum(
        line.tokens[at].nats - line.boundary[at]
        for at in range(len(line.tokens))
        if int(line.ids[at]) in line.breaks and not line.pieces[at].strip()
    )
    assert sum(word.nats for word in found) + separators == pytest.approx(line.nats, rel=1e-6)


def test_the_probabilities_of_all_words_add_up_to_one() -> None:
    """Letters a and b, blank and line end: all words of up to four letters, and what begins longer ones."""
    tokenizer = CharTokenizer("\n ab")
    model = tiny_model(vocab_size=5, num_layers=1)
    with torch.no_grad():
        model.members[0].output_bias[0] = -30.0  # <unk> is no letter
    scorer = LineScorer(model, tokenizer, None, words=True)
    context = "ab b "
    texts = ["".join(letters) for length in range(1, 5) for letters in product("ab", repeat=length)]
    scored = scorer.score([context + text for text in texts])
    whole = sum(np.exp(-line.words[-1].nats) for line in scored)
    longer = sum(
        np.exp(-sum(token.nats for token in line.tokens[5:9])) * (1.0 - np.exp(-line.boundary[9]))
        for line, text in zip(scored, texts, strict=True)
        if len(text) == 4
    )
    none = np.exp(-scored[0].boundary[5])
    assert whole + longer + none == pytest.approx(1.0, abs=1e-5)


def test_a_word_is_dearer_where_it_could_go_on() -> None:
    tokenizer = TOKENIZERS[0]
    (line,) = LineScorer(model_for(tokenizer), tokenizer, None).score(["the rain"])
    the, _ = line.words
    assert the.nats > sum(token.nats for token in line.tokens[:3])


def test_words_of_a_word_model_are_its_tokens() -> None:
    tokenizer = TOKENIZERS[2]
    (line,) = LineScorer(model_for(tokenizer), tokenizer, None).score(["the snow came"])
    assert [(word.text, word.oov) for word in line.words] == [
        ("the", False),
        ("<unk>", True),
        ("came", False),
    ]


def test_characters_are_sums_of_their_bytes() -> None:
    tokenizer = TOKENIZERS[1]
    (line,) = LineScorer(model_for(tokenizer), tokenizer, None).score(["né"])
    found = line.characters
    assert [unit.text for unit in found] == ["n", "é", "\n"]
    assert found[1].nats == pytest.approx(line.tokens[1].nats + line.tokens[2].nats)
    (pieces,) = LineScorer(model_for(TOKENIZERS[3]), TOKENIZERS[3], None).score(["the rain came"])
    with pytest.raises(ConfigError, match="longer than a character"):
        _ = pieces.characters


def test_a_model_whose_numbers_overflow_scores_nothing() -> None:
    model = model_for(TOKENIZERS[0])
    for weight in model.parameters():
        weight.data.fill_(3e38)
    with pytest.raises(ModelError, match="numbers overflow"):
        LineScorer(model, TOKENIZERS[0], None).score(["the rain"])


@pytest.mark.parametrize("tokenizer", TOKENIZERS[:2] + TOKENIZERS[3:], ids=lambda t: t.level)
def test_with_an_ngram_tokens_and_boundaries_are_those_of_the_mixture(tokenizer: Tokenizer) -> None:
    model = model_for(tokenizer)
    ids, starts = encode_segments(tokenizer, [RHYME], "line")
    part = part_of(ids, line_starts=starts)
    ngram = fit_ngram(part, 3, tokenizer.vocab_size)
    mixture = fit_mixture(model, ngram, part, 5_000)
    scorer = LineScorer(model, tokenizer, (ngram, mixture), words=True)
    (line,) = scorer.score(["the rain"])
    (alone,) = LineScorer(model, tokenizer, None).score(["the rain"])
    assert line.nats < alone.nats, "it knows the text"
    # P(a boundary) is what all tokens together have that begin with white space.
    begun = tokenizer.encode("the rain")
    inputs = torch.tensor([[model.config.start, *begun.tolist()]])
    logits, _ = model(inputs, model.initial_state(1))
    network = logits[0, -1].softmax(0).detach().double().numpy()
    entropy = -(network * np.log(network)).sum()
    stream = NgramStream(ngram)
    (others,), known = stream.distribution([stream.read(np.array([ngram.start, *begun]))])
    weight = mixture.weight(known, np.array([entropy]))[0]
    blanks = [token for token in range(tokenizer.vocab_size) if decode(tokenizer, [token])[:1].isspace()]
    expected = (weight * network + (1.0 - weight) * others)[blanks].sum()
    assert np.exp(-line.boundary[-1]) == pytest.approx(expected, rel=1e-4)


def test_rank_and_entropy_are_those_of_the_distribution_before_a_token() -> None:
    tokenizer = TOKENIZERS[0]
    model = model_for(tokenizer)
    (line,) = LineScorer(model, tokenizer, None).score(["the"])
    logits, _ = model(torch.tensor([[model.config.start]]), model.initial_state(1))
    probabilities = logits[0, 0].softmax(0).detach().numpy()
    token = int(tokenizer.encode("t")[0])
    assert line.tokens[0].rank == 1 + int((probabilities > probabilities[token]).sum())
    assert line.tokens[0].entropy == pytest.approx(-(probabilities * np.log(probabilities)).sum(), rel=1e-5)
