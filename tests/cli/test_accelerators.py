"""On a GPU everything is what it is on the processor, within rounding; skipped where there is none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rnncli.data.batching import StreamBatches
from rnncli.evaluation.config import CacheOptions, DynamicOptions
from rnncli.evaluation.dynamic_evaluation import dynamic_metrics
from rnncli.evaluation.scoring import stream_metrics
from rnncli.nn.config import ModelConfig
from rnncli.training.config import TrainConfig
from rnncli.training.state import TrainState, weights_of
from rnncli.training.step import train_step
from rnncli.workflows.devices import pick_device
from tests.cli.conftest import TINY, Command
from tests.conftest import STRUCTURES, tiny_model

GPUS = [
    name
    for name, there in {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }.items()
    if there
]
pytestmark = pytest.mark.skipif(not GPUS, reason="there is no GPU")
CPU = torch.device("cpu")
IDS = np.random.default_rng(1).integers(0, 11, 3_000).astype(np.uint8)
PENALTY = {"activation_regularization": 2.0, "temporal_regularization": 1.0}
CONFIG = TrainConfig(steps=12, batch_size=4, bptt=16, learning_rate=3e-3, **PENALTY)


@pytest.fixture(params=GPUS)
def gpu(request: pytest.FixtureRequest) -> torch.device:
    return pick_device(request.param)


def trained(
    structure: str, device: torch.device, config: TrainConfig = CONFIG, steps: int = 12
) -> TrainState:
    settings = {"vocab_size": 11, "hidden_size": 8, "embedding_size": 5, "num_layers": 2, "dropout": 0.2}
    model = ModelConfig(**{**settings, **STRUCTURES[structure]})
    run = TrainState.new(model, config, device)
    lanes = StreamBatches(IDS, model.bos_id, config.batch_size, config.bptt)
    for number in range(steps):
        train_step(run, lanes[number], config, config.learning_rate)
    assert not run.skipped_steps
    return run


@pytest.mark.parametrize("structure", STRUCTURES)
def test_training_gives_the_weights_of_the_processor(structure: str, gpu: torch.device) -> None:
    ours, theirs = (weights_of(trained(structure, device).model) for device in (gpu, CPU))
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name], weight, rtol=1e-3, atol=1e-4, msg=name)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_the_same_seed_gives_the_same_weights(structure: str, gpu: torch.device) -> None:
    one, two = (weights_of(trained(structure, gpu).model) for _ in range(2))
    for name, weight in one.items():
        assert torch.equal(two[name], weight), name


@pytest.mark.parametrize("structure", STRUCTURES)
def test_bfloat16_goes_where_float32_goes(structure: str, gpu: torch.device) -> None:
    brief = replace(CONFIG, precision="bf16")
    first, ours, theirs = (
        torch.cat([weight.flatten() for weight in weights_of(run.model).values()])
        for run in (trained(structure, gpu, steps=0), trained(structure, gpu, brief), trained(structure, gpu))
    )
    assert torch.cosine_similarity(ours - first, theirs - first, dim=0) > 0.9


@pytest.mark.parametrize("structure", STRUCTURES)
def test_scores_are_those_of_the_processor(structure: str, gpu: torch.device) -> None:
    model = tiny_model(**STRUCTURES[structure])
    theirs = np.concatenate([*stream_metrics(model, IDS)])
    ours = np.concatenate([*stream_metrics(model.to(gpu), IDS)])
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_so_are_those_of_a_network_that_adapts(structure: str, gpu: torch.device) -> None:
    found = []
    for device in (CPU, gpu):
        model = tiny_model(**STRUCTURES[structure]).to(device)
        found.append(
            np.concatenate(
                [*dynamic_metrics(model, IDS[:600], IDS[600:], DynamicOptions(), CacheOptions(size=50))]
            )
        )
    np.testing.assert_allclose(found[1], found[0], rtol=5e-3, atol=1e-4)


def test_a_run_goes_from_one_device_to_another(rhyme: Path, gpu: torch.device, rnncli: Command) -> None:
    name = gpu.type
    assert rnncli("train", rhyme, *TINY, "--name", "a", "--device", name).code == 0
    assert rnncli("train", rhyme, *TINY, "--name", "b", "--device", "cpu").code == 0
    for model, device in (("a", "cpu"), ("b", name)):
        assert rnncli("train", "--resume", model, "--steps", "+6", "--device", device).code == 0
    for model in "ab":
        scored = [
            rnncli("eval", "--model", model, "--device", device, "--json").json for device in (name, "cpu")
        ]
        assert scored[0]["nats_per_token"] == pytest.approx(scored[1]["nats_per_token"], rel=1e-5)
    written = [
        rnncli("generate", "--model", "a", "--device", device, "--length", "40", "--seed", "3").out
        for device in (name, "cpu")
    ]
    assert written[0] == written[1]


def test_every_command_with_a_device_runs_there(rhyme: Path, gpu: torch.device, rnncli: Command) -> None:
    on = ("--device", gpu.type)
    assert rnncli("train", rhyme, *TINY, "--name", "a", "--ngram", "3", *on).code == 0
    for command in (
        ("eval", "--model", "a", "--dynamic", "--cache"),
        ("score", rhyme, "--model", "a"),
        ("generate", "--model", "a", "--length", "20"),
        ("ngram", "a", "--order", "2"),
        ("train", "--from", "a", rhyme, "--steps", "3", "--name", "b"),
        ("train", rhyme, "--time", "3s", "--name", "c"),
    ):
        ran = rnncli(*command, *on)
        assert ran.code == 0, ran.err
