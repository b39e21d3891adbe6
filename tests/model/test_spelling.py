"""Embeddings from letters: as their equations say, and the same whatever stands beside a word."""

import numpy as np
import pytest
import torch

from rnncli.errors import ConfigError
from rnncli.model.config import PADDING_BYTE, ModelConfig, filters_by_width
from rnncli.model.spelling import Spelling
from rnncli.model.step_blocks import embeddings
from rnncli.model.stepper import member_weights
from tests.conftest import STRUCTURES, spellings_of, stepper, tiny_model

CONFIG = ModelConfig(11, embedding_size=24, character_cnn=True)
ROWS = torch.from_numpy(spellings_of(27))


def spelling() -> Spelling:
    layer = Spelling(CONFIG)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.3, generator=torch.Generator().manual_seed(1))
    return layer


@torch.no_grad()
def of_one_word(layer: Spelling, row: torch.Tensor) -> torch.Tensor:
    """The definition: every filter at every place of one word."""
    letters = layer.letters[row[row != PADDING_BYTE].long()]  # (L, C)
    y = []
    for width, number in filters_by_width(24).items():
        padded = torch.cat([letters, torch.zeros(max(width - len(letters), 0), letters.shape[1])])
        windows = [padded[place : place + width].T for place in range(len(padded) - width + 1)]
        filters = layer.filters[str(width)]
        y += [max(float((filters[one] * seen).sum()) for seen in windows) for one in range(number)]
    x = torch.tanh(torch.tensor(y) + layer.bias)
    x = (x - x.mean()) / (x.var(unbiased=False) + 1e-5).sqrt()
    gate = torch.sigmoid(layer.gate.weight @ x + layer.gate.bias)
    return gate * (layer.change.weight @ x + layer.change.bias).relu() + (1.0 - gate) * x


def test_vectors_follow_their_equations() -> None:
    layer = spelling()
    with torch.no_grad():
        found = layer.vectors(ROWS)
    for row, vector in zip(ROWS, found, strict=True):
        torch.testing.assert_close(vector, of_one_word(layer, row), atol=1e-5, rtol=1e-5)


def test_a_word_is_the_same_beside_longer_ones_and_alone() -> None:
    layer = spelling()
    with torch.no_grad():
        together = layer(torch.arange(27)[None], ROWS)
        alone = torch.stack([layer(torch.tensor([[one]]), ROWS)[0, 0] for one in range(27)])
    torch.testing.assert_close(together[0], alone, atol=1e-6, rtol=1e-6)


def test_a_word_in_many_places_is_looked_at_once_and_learned_from_in_all() -> None:
    layer = spelling()
    layer(torch.tensor([[3, 3, 3, 5]]), ROWS).sum().backward()
    thrice = layer.bias.grad
    assert thrice is not None
    again = spelling()
    (3 * again(torch.tensor([[3]]), ROWS).sum() + again(torch.tensor([[5]]), ROWS).sum()).backward()
    torch.testing.assert_close(again.bias.grad, thrice)


def test_numpy_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnncli.model.step_blocks._WORDS_AT_ONCE", 4)
    model = tiny_model(**STRUCTURES["letters"])
    weights = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    spellings = spellings_of(27)
    found = embeddings(model.config, member_weights(model.config, weights, 0), spellings)
    with torch.no_grad():
        expected = model.members[0].spelling.vectors(torch.from_numpy(spellings))  # type: ignore[union-attr, operator]
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("tabulated", [False, True])
def test_a_word_beyond_the_vocabulary_is_read_by_its_letters(
    monkeypatch: pytest.MonkeyPatch, tabulated: bool
) -> None:
    monkeypatch.setattr("rnncli.model.stepper._MOST_TABLE", 2**20 if tabulated else 0)
    model = tiny_model(**STRUCTURES["letters"])
    assert model.spellings is not None
    known, other = model.spellings[4:5], torch.from_numpy(spellings_of(20)[17:18])
    larger, first = model.knowing(torch.cat([known, other])), model.config.start + 1
    state = model.initial_state(1)
    with torch.no_grad():
        expected, _ = model(torch.tensor([[11, 4, 2]]), state)
        same, _ = larger(torch.tensor([[11, first, 2]]), state)
        another, _ = larger(torch.tensor([[11, first + 1, 2]]), state)
    torch.testing.assert_close(same, expected)
    assert not torch.allclose(another, expected)
    assert len(model.spellings) == 12  # as it was
    numpy = stepper(model).knowing(torch.cat([known, other]).numpy())
    logits, _ = numpy.read(np.array([11, first + 1, 2]), numpy.initial_state(1))
    np.testing.assert_allclose(logits[0], another[0, -1].numpy(), atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"embedding_size": 20}, "an embedding of 20 has no filter"),
        ({"embedding_size": 512, "tied_embeddings": True}, "cannot be tied"),
    ],
)
def test_what_cannot_be_read_by_letters_is_refused(settings: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        ModelConfig(11, character_cnn=True, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [21, 22, 128, 525, 1000])
def test_filters_make_up_an_embedding(width: int) -> None:
    numbers = filters_by_width(width)
    assert sum(numbers.values()) == width
    assert min(numbers.values()) >= 1
