"""Ensembles: mean probabilities, one loss per member, carried state."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from rnncli.errors import ConfigError
from rnncli.nn.config import ModelConfig
from rnncli.nn.ensemble import RNNLanguageModel
from tests.conftest import tiny_model

TOKENS = torch.randint(0, 12, (3, 10), generator=torch.Generator().manual_seed(1))
TARGETS = torch.randint(0, 11, (3, 10), generator=torch.Generator().manual_seed(2))


def alone(model: RNNLanguageModel, number: int) -> RNNLanguageModel:
    """One member as a model of its own."""
    single = RNNLanguageModel(replace(model.config, ensemble_size=1))
    single.members[0].load_state_dict(model.members[number].state_dict())
    return single


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_the_probabilities_are_the_mean_of_the_members(cell: str) -> None:
    model = tiny_model(cell=cell, ensemble_size=3)
    logits, _ = model(TOKENS, model.initial_state(3))
    singles = [alone(model, number) for number in range(3)]
    probabilities = [single(TOKENS, single.initial_state(3))[0].softmax(-1) for single in singles]
    assert not torch.allclose(probabilities[0], probabilities[1]), "members have different initial weights"
    torch.testing.assert_close(logits.exp(), torch.stack(probabilities).mean(0))


def test_carried_state_equals_one_long_pass() -> None:
    model = tiny_model(ensemble_size=2)
    whole, end = model(TOKENS, model.initial_state(3))
    first, state = model(TOKENS[:, :4], model.initial_state(3))
    second, state = model(TOKENS[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    for a, b in zip(state.tensors(), end.tensors(), strict=True):
        torch.testing.assert_close(a, b)


def test_each_member_learns_from_its_own_loss_alone() -> None:
    model = tiny_model(ensemble_size=2)
    hidden, _ = model.hidden(TOKENS, model.initial_state(3))
    loss = model.mean_nll(hidden, TARGETS, 30)
    loss.backward()
    own = []
    for number in range(2):
        single = alone(model, number)
        logits, _ = single(TOKENS, single.initial_state(3))
        own.append(F.cross_entropy(logits.flatten(0, 1), TARGETS.flatten()))
        own[-1].backward()
        for mine, theirs in zip(model.members[number].parameters(), single.parameters(), strict=True):
            assert mine.grad is not None
            assert theirs.grad is not None
            torch.testing.assert_close(2 * mine.grad, theirs.grad)
    torch.testing.assert_close(loss, torch.stack(own).mean())


def test_the_weights_of_all_members_are_counted_and_named() -> None:
    model = tiny_model(ensemble_size=3)
    assert model.config.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert model.config.parameters == 3 * tiny_model().config.parameters
    assert model.config.architecture.startswith("ensemble of 3: lstm, 2 layers of 8")


@pytest.mark.parametrize("members", [0, 65, 1.5])
def test_the_ensemble_size_has_bounds(members: object) -> None:
    with pytest.raises(ConfigError, match=f"ensemble size is {members}"):
        ModelConfig(vocab_size=9, ensemble_size=members)  # type: ignore[arg-type]
