"""Tests of the surprisal of tokens, words and characters."""

from itertools import product

import numpy as np
import pytest
import torch

from rnncli.data.text_units import count_text, encode_segments
from rnncli.data.tokenizers.base import ByteTokenizer, CharTokenizer, Tokenizer, decode
from rnncli.data.tokenizers.subword import SubwordTokenizer
from rnncli.data.tokenizers.word import WordTokenizer
from rnncli.errors import ConfigError, ModelError
from rnncli.evaluation.interpolation import fit_ngram, fit_weights
from rnncli.evaluation.language_models import InterpolatedModel, NetworkModel, evaluate
from rnncli.evaluation.surprisal import LineScorer
from rnncli.ngram.decoder import NgramDecoder
from rnncli.nn.ensemble import RNNLanguageModel
from tests.conftest import RHYME, part_of, tiny_model

LINES = ["the rain came more;", "", " a lamp  was lit,", "the", "the rain came down, the rain came more"]
TOKENIZERS: list[Tokenizer] = [
    CharTokenizer.train(RHYME),
    ByteTokenizer(),
    WordTokenizer(["<unk>", "<eos>", "the", "rain", "came"]),
    SubwordTokenizer.train(RHYME, 330, "bpe"),
]


def model_for(tokenizer: Tokenizer) -> RNNLanguageModel:
    return tiny_model(vocab_size=tokenizer.vocab_size, num_layers=1)


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=lambda t: t.level)
def test_the_surprisals_of_lines_sum_to_the_score_of_the_text(tokenizer: Tokenizer) -> None:
    model, text = model_for(tokenizer), "".join(line + "\n" for line in LINES)
    ids, starts = encode_segments(tokenizer, [text], "line")
    whole = evaluate(NetworkModel(model), part_of(ids, count_text(text), starts)).score
    scored = LineScorer(NetworkModel(model), tokenizer).score(LINES)
    assert sum(line.nll_nats for line in scored) == pytest.approx(whole.nll_nats, rel=1e-5)
    assert sum(len(line.tokens) for line in scored) == whole.tokens
    assert [line.text for line in scored] == LINES


@pytest.mark.parametrize("tokenizer", TOKENIZERS[:2] + TOKENIZERS[3:], ids=lambda t: t.level)
def test_the_surprisals_of_words_and_separators_sum_to_the_line(tokenizer: Tokenizer) -> None:
    """A word has the surprisal of its tokens and of the boundary; a space has the remainder."""
    (line,) = LineScorer(NetworkModel(model_for(tokenizer)), tokenizer, words=True).score(
        ["the rain came down"]
    )
    found = line.words
    assert [word.text for word in found] == ["the", "rain", "came", "down"]
    separators = sum(
        line.tokens[at].nll_nats - line.boundary[at]
        for at in range(len(line.tokens))
        if int(line.ids[at]) in line.boundary_ids and not line.token_texts[at].strip()
    )
    assert sum(word.nll_nats for word in found) + separators == pytest.approx(line.nll_nats, rel=1e-6)


def test_the_probabilities_of_all_words_sum_to_one() -> None:
    """All words of up to four letters a and b, and the prefixes of longer ones."""
    tokenizer = CharTokenizer("\n ab")
    model = tiny_model(vocab_size=5, num_layers=1)
    with torch.no_grad():
        model.members[0].output_bias[0] = -30.0  # <unk> is not a letter
    scorer = LineScorer(NetworkModel(model), tokenizer, words=True)
    context = "ab b "
    texts = ["".join(letters) for length in range(1, 5) for letters in product("ab", repeat=length)]
    scored = scorer.score([context + text for text in texts])
    whole = sum(np.exp(-line.words[-1].nll_nats) for line in scored)
    longer = sum(
        np.exp(-sum(token.nll_nats for token in line.tokens[5:9])) * (1.0 - np.exp(-line.boundary[9]))
        for line, text in zip(scored, texts, strict=True)
        if len(text) == 4
    )
    none = np.exp(-scored[0].boundary[5])
    assert whole + longer + none == pytest.approx(1.0, abs=1e-5)


def test_a_word_includes_the_surprisal_of_its_end() -> None:
    tokenizer = TOKENIZERS[0]
    (line,) = LineScorer(NetworkModel(model_for(tokenizer)), tokenizer).score(["the rain"])
    the, _ = line.words
    assert the.nll_nats > sum(token.nll_nats for token in line.tokens[:3])


def test_the_words_of_a_word_tokenizer_are_its_tokens() -> None:
    tokenizer = TOKENIZERS[2]
    (line,) = LineScorer(NetworkModel(model_for(tokenizer)), tokenizer).score(["the snow came"])
    assert [(word.text, word.oov) for word in line.words] == [
        ("the", False),
        ("<unk>", True),
        ("came", False),
    ]


def test_the_surprisal_of_a_character_is_the_sum_over_its_bytes() -> None:
    tokenizer = TOKENIZERS[1]
    (line,) = LineScorer(NetworkModel(model_for(tokenizer)), tokenizer).score(["né"])
    found = line.characters
    assert [unit.text for unit in found] == ["n", "é", "\n"]
    assert found[1].nll_nats == pytest.approx(line.tokens[1].nll_nats + line.tokens[2].nll_nats)
    (subwords,) = LineScorer(NetworkModel(model_for(TOKENIZERS[3])), TOKENIZERS[3]).score(["the rain came"])
    with pytest.raises(ConfigError, match="longer than a character"):
        _ = subwords.characters


def test_a_network_that_overflows_is_an_error() -> None:
    model = model_for(TOKENIZERS[0])
    for weight in model.parameters():
        weight.data.fill_(3e38)
    with pytest.raises(ModelError, match="numbers overflow"):
        LineScorer(NetworkModel(model), TOKENIZERS[0]).score(["the rain"])


@pytest.mark.parametrize("tokenizer", TOKENIZERS[:2] + TOKENIZERS[3:], ids=lambda t: t.level)
def test_tokens_and_boundaries_are_scored_under_the_interpolated_model(tokenizer: Tokenizer) -> None:
    model = model_for(tokenizer)
    ids, starts = encode_segments(tokenizer, [RHYME], "line")
    part = part_of(ids, line_starts=starts)
    ngram = fit_ngram(part, 3, tokenizer.vocab_size)
    interpolation = fit_weights(model, ngram, part, 5_000)
    scorer = LineScorer(InterpolatedModel(model, ngram, interpolation), tokenizer, words=True)
    (line,) = scorer.score(["the rain"])
    (alone,) = LineScorer(NetworkModel(model), tokenizer).score(["the rain"])
    assert line.nll_nats < alone.nll_nats, "the n-gram was fitted to this text"
    # P(word boundary) is the total probability of the tokens that begin with whitespace.
    prefix = tokenizer.encode("the rain")
    inputs = torch.tensor([[model.config.bos_id, *prefix.tolist()]])
    logits, _ = model(inputs, model.initial_state(1))
    network = logits[0, -1].softmax(0).detach().double().numpy()
    entropy = -(network * np.log(network)).sum()
    stream = NgramDecoder(ngram)
    (ngram_probabilities,), known = stream.distribution([stream.read(np.array([ngram.bos_id, *prefix]))])
    weight = interpolation.weight(known, np.array([entropy]))[0]
    boundaries = [token for token in range(tokenizer.vocab_size) if decode(tokenizer, [token])[:1].isspace()]
    expected = (weight * network + (1.0 - weight) * ngram_probabilities)[boundaries].sum()
    assert np.exp(-line.boundary[-1]) == pytest.approx(expected, rel=1e-4)


def test_rank_and_entropy_match_the_distribution_before_a_token() -> None:
    tokenizer = TOKENIZERS[0]
    model = model_for(tokenizer)
    (line,) = LineScorer(NetworkModel(model), tokenizer).score(["the"])
    logits, _ = model(torch.tensor([[model.config.bos_id]]), model.initial_state(1))
    probabilities = logits[0, 0].softmax(0).detach().numpy()
    token = int(tokenizer.encode("t")[0])
    assert line.tokens[0].rank == 1 + int((probabilities > probabilities[token]).sum())
    assert line.tokens[0].entropy == pytest.approx(-(probabilities * np.log(probabilities)).sum(), rel=1e-5)
