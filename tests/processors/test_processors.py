"""The main commands on emulated processors: they end well, and score as this machine does.

They take minutes, so `make test` leaves them out; `make test-processors` runs them. Those that
take longest come first.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.processors.emulation import ROOT, Processor, Ran, run

GOLDEN = "format-1"
# Sums in another order, and other approximations of exp and tanh.
TOLERANCE = 1e-5
PROMPT_LINES = "the rain came\na lamp was lit\nwe learned the kitten\n"
VERSE = (
    "The kitten sat beside the door,\nthe rain came down, the rain came more;\n"
    "a lamp was lit, a page was turned,\nand what was lost was what we learned.\n"
)
# A worker process is started for every few blocks of 2 MiB.
FOR_TWO_WORKERS = 12 * 2**20
# Some of it is left for steps when an emulated processor that is not too busy has been measured.
TIMES = {"haswell": "90s", "nehalem": "40s", "arm": "40s"}
KERNELS = {
    "haswell": "torch: the processor has no AVX-512",
    "nehalem": "torch: the processor has no AVX-512",
    "arm": "torch: they are for Linux on x86-64",
}


@pytest.fixture(params=["haswell", "nehalem", "arm"])
def processor(request: pytest.FixtureRequest) -> Processor:
    name: Processor = request.param
    return name


@pytest.fixture
def golden(own_folder: Path) -> str:
    """A small model of every kind of layer with an n-gram, in the working folder."""
    shutil.copytree(ROOT / "tests" / "golden" / GOLDEN, own_folder / "models" / GOLDEN)
    return GOLDEN


def succeed(processor: Processor, *arguments: object, timeout: float = 300) -> Ran:
    ran = run(processor, *arguments, timeout=timeout)
    assert ran.code == 0, ran.err
    return ran


def report(processor: Processor, *arguments: object, timeout: float = 300) -> dict[str, Any]:
    """What a command prints with --json."""
    found = json.loads(succeed(processor, *arguments, "--json", timeout=timeout).out)
    assert isinstance(found, dict)
    return found


def test_a_planned_training_runs_and_goes_on(processor: Processor) -> None:
    Path("verse.txt").write_text(VERSE * 12, encoding="utf-8")
    trained = report(
        processor, "train", "verse.txt", "--time", TIMES[processor], "--level", "char", "--name", "verse"
    )
    assert trained["plan"]["precision"] == "fp32"
    assert trained["plan"]["kernels"] == "torch"
    assert trained["step"] >= 1
    # A busy machine may leave time for one step, which is no better than guessing, but never NaN.
    assert 0 < trained["valid"]["nats_per_token"] < 5
    resumed = report(processor, "train", "--resume", "verse", "--steps", "+5")
    assert resumed["step"] == trained["step"] + 5
    assert 0 < resumed["valid"]["nats_per_token"] < 5


def test_doctor_measures_and_names_what_is_missing(processor: Processor) -> None:
    found = report(processor, "doctor", timeout=600)
    assert found["kernels"] == KERNELS[processor]
    assert any("no native bf16" in line for line in found["unusable"])
    assert set(found["measured"]["training_tokens_per_second"]) == {"fp32 torch"}
    assert all(speed > 0 for kind in found["measured"].values() for speed in kind.values())


def test_eval_has_the_nats_of_this_machine(processor: Processor, golden: str) -> None:
    here, there = (report(one, "eval", "-m", golden) for one in ("native", processor))
    assert there["nll_nats"] == pytest.approx(here["nll_nats"], rel=TOLERANCE)
    assert [model["name"] for model in there["models"]] == ["network", "3-gram", "interpolated"]
    for model, expected in zip(there["models"], here["models"], strict=True):
        assert model["nll_nats"] == pytest.approx(expected["nll_nats"], rel=TOLERANCE), model["name"]


def test_score_has_the_surprisal_of_every_token(processor: Processor, golden: str) -> None:
    Path("lines.txt").write_text(PROMPT_LINES, encoding="utf-8")

    def surprisals(one: Processor) -> list[tuple[str, float]]:
        out = succeed(one, "score", "lines.txt", "-m", golden, "--format", "jsonl").out
        lines = [json.loads(line) for line in out.splitlines()]
        return [(token["token"], token["nll_nats"]) for line in lines for token in line["tokens"]]

    here, there = surprisals("native"), surprisals(processor)
    assert "".join(token for token, _ in there) == PROMPT_LINES
    assert [token for token, _ in there] == [token for token, _ in here]
    assert [nats for _, nats in there] == pytest.approx([nats for _, nats in here], rel=TOLERANCE)


def test_generate_writes_the_same_text(processor: Processor, golden: str) -> None:
    options = ("-m", golden, "--temperature", "0", "--length", "40")
    here, there = (succeed(one, "generate", *options).out for one in ("native", processor))
    assert len(there) == 40
    assert there == here


def test_ngram_has_the_perplexity_of_this_machine(processor: Processor, golden: str) -> None:
    here, there = (report(one, "ngram", golden, "--order", "4") for one in ("native", processor))
    assert there["token_perplexity"] == pytest.approx(here["token_perplexity"], rel=TOLERANCE)
    assert [model["name"] for model in there["models"]] == ["network", "4-gram", "interpolated"]


def test_tokenize_with_workers_writes_the_same_bytes(processor: Processor) -> None:
    text = VERSE * (FOR_TWO_WORKERS // len(VERSE))
    Path("long.txt").write_text(text, encoding="utf-8")
    options = ("tokenize", "long.txt", "--level", "word")
    succeed("native", *options, "--workers", "1", "-o", "here.tok")
    ran = succeed(processor, *options, "--workers", "2", "-o", "there.tok")
    assert ran.processes > 2, "the workers were not emulated"
    for name in ("tokens.bin", "tokenizer.json"):
        assert Path("there.tok", name).read_bytes() == Path("here.tok", name).read_bytes(), name
