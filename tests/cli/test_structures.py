"""Every structure through the whole command line: trained, resumed, scored, mixed, looked into."""

import hashlib
from pathlib import Path

import pytest

from rnncli.data.tokenizers.base import decode
from rnncli.nn.fused import support
from rnncli.storage.model_dir import ModelDir
from tests.cli.conftest import TINY, Command, words
from tests.conftest import STRUCTURES

needs_kernels = pytest.mark.skipif(
    support.why_no_kernels() is not None, reason=f"no fused kernels here: {support.why_no_kernels()}"
)


def options(structure: str) -> list[str]:
    """Options of a tiny network; tied embeddings have its hidden size."""
    found = [*TINY, "--dropout", "0.2"]
    for name, value in STRUCTURES[structure].items():
        if value is True:
            found += [f"--{name.replace('_', '-')}", "--embedding-size", "12"]
        elif name != "embedding_size":
            found += [f"--{name.replace('_', '-')}", str(value)]
    return found


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_structure_goes_through_all_rooms(rnncli: Command, rhyme: Path, structure: str) -> None:
    ran = rnncli("train", rhyme, "--name", "x", *options(structure), "--ngram", "3")
    assert ran.code == 0, ran.err
    assert rnncli("verify", "x").code == 0
    described = rnncli("info", "x", "--gradients", "--json").json
    norms = described["gradient_norm_by_layer_and_distance"]
    assert len(norms) == described["model"]["num_layers"] + sum(
        name in STRUCTURES[structure] for name in ("convolution", "attention")
    )
    scores = rnncli("eval", "--json").json
    assert {model["name"] for model in scores["models"]} == {"network", "3-gram", "interpolated"}
    (Path("lines.txt")).write_text("the rain came down\na page was turned\n")
    assert len(rnncli("score", "lines.txt", "--format", "tsv").out.splitlines()) == 1 + 37
    written = rnncli("generate", "--prompt", "the ", "--length", "30", "--seed", "3")
    assert written.code == 0, written.err
    assert len(written.out) >= 30
    other = rnncli("train", "lines.txt", rhyme, "--from", "x", "--steps", "2", "--name", "from-x")
    assert other.code == 0, other.err


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_structure_of_lines_is_trained_in_brief(rnncli: Command, rhyme: Path, structure: str) -> None:
    given = (*options(structure), "--line-by-line", "--precision", "bf16")
    ran = rnncli("train", rhyme, "--name", "x", *given)
    assert ran.code == 0, ran.err
    whole = rnncli("eval", "--json").json["nll_nats"]
    held = decode(ModelDir.find("x").tokenizer(), ModelDir.find("x").corpus().valid.ids.tolist())
    Path("held.txt").write_text(held)
    rows = rnncli("score", "held.txt", "--unit", "line", "--base", "e").out.splitlines()
    at = rows[0].split("\t").index("surprisal_nats")
    assert sum(float(row.split("\t")[at]) for row in rows[1:]) == pytest.approx(whole, rel=1e-4)
    written = rnncli("generate", "--number", "3", "--seed", "3", "--length", "20")
    assert written.code == 0, written.err


@needs_kernels
@pytest.mark.parametrize("cell", ["gru", "lstm,mingru"])
def test_attention_and_convolution_stand_beside_fused_layers(rnncli: Command, rhyme: Path, cell: str) -> None:
    """Trained on two threads, and gone on with from an earlier step: the same to the bit."""
    shape = ("--cell", cell, "--attention", "5", "--convolution", "3", "--hidden-size", "64")
    given = (*TINY, *shape, "--kernels", "fused", "--threads", "2", "--dropout", "0.2")
    assert rnncli("train", rhyme, "--name", "whole", *given).code == 0
    assert rnncli("train", rhyme, "--name", "half", *given).code == 0
    Path("models/half/checkpoints/step-6.safetensors").write_bytes(b"spoiled: the one before it is taken")
    resumed = rnncli("train", "--resume", "half")
    assert resumed.code == 0, resumed.err
    hashes = [
        hashlib.sha256(Path("models", name, "model.safetensors").read_bytes()).hexdigest()
        for name in ("whole", "half")
    ]
    assert hashes[0] == hashes[1]
    assert "bf16, fused kernels" in words(rnncli("info", "whole").out)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_a_resume_goes_on_to_the_bit(rnncli: Command, rhyme: Path, structure: str) -> None:
    assert rnncli("train", rhyme, "--name", "whole", *options(structure)).code == 0
    assert rnncli("train", rhyme, "--name", "half", *options(structure)).code == 0
    Path("models/half/checkpoints/step-6.safetensors").write_bytes(b"spoiled: the one before it is taken")
    resumed = rnncli("train", "--resume", "half")
    assert resumed.code == 0, resumed.err
    assert "going back to step 5" in words(resumed.err)
    hashes = [
        hashlib.sha256(Path("models", name, "model.safetensors").read_bytes()).hexdigest()
        for name in ("whole", "half")
    ]
    assert hashes[0] == hashes[1]


def test_cells_by_layer_say_how_many_layers_there_are(rnncli: Command, rhyme: Path) -> None:
    assert rnncli("train", rhyme, "--name", "x", *TINY, "--cell", "gru,mingru").code == 0
    assert "gru and mingru, 2 layers of 12" in words(rnncli("info", "x").out)
    refused = rnncli("train", rhyme, "--name", "y", *TINY, "--cell", "gru,mingru", "--num-layers", "3")
    assert refused.code == 2
    assert "cell names 2 cells, and num layers is 3" in words(refused.err)
