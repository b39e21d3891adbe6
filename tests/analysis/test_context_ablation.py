"""Tests of context ablation."""

import numpy as np
import pytest
import torch

from rnncli.analysis.context_ablation import CONTEXT_LENGTHS, loss_by_context_length
from rnncli.errors import CorpusError
from tests.conftest import tiny_model

IDS = np.random.default_rng(5).integers(0, 11, 700).astype(np.uint16)


def test_a_short_context_is_read_from_the_initial_state() -> None:
    model = tiny_model()
    found = loss_by_context_length(model, IDS)
    assert list(found) == [k for k in CONTEXT_LENGTHS if k <= 350]
    longest = max(found)
    positions = np.unique(np.linspace(longest, len(IDS) - 1, 512).astype(int))
    for k in (1, 3, 64):
        nats = []
        for place in positions.tolist():
            tokens = torch.from_numpy(IDS[place - k : place].astype(np.int64))[None]
            with torch.no_grad():
                logits, _ = model(tokens, model.initial_state(1))
            nats.append(-float(torch.log_softmax(logits[0, -1], 0)[int(IDS[place])]))
        assert found[k] == pytest.approx(np.mean(nats), rel=1e-5)


def test_a_text_that_is_too_short_is_an_error() -> None:
    with pytest.raises(CorpusError, match="too few for context ablation"):
        loss_by_context_length(tiny_model(), IDS[:1])
