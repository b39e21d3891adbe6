"""A backend that fails here, hangs, is far too slow or computes something else is not used."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
import torch

from rnncli import deadline
from rnncli.errors import ConfigError, TrainingError
from rnncli.nn.config import ModelConfig
from rnncli.nn.fused import support
from rnncli.training import backends
from rnncli.training.backends import (
    BACKENDS,
    FP32,
    BackendCheck,
    CheckBatch,
    Gradients,
    TakeStep,
    Unavailable,
    loss_and_gradients,
    usable_settings,
)
from rnncli.training.config import TrainConfig
from rnncli.training.cost_model import CorpusSize
from rnncli.training.hardware import QUICK_BENCHMARK_SECONDS, REFERENCE, ThroughputBenchmark, measure_hardware
from rnncli.training.planner import Plan, make_plan
from rnncli.training.throughput import throughput_benchmark
from tests.conftest import STRUCTURES
from tests.training.options import overrides_of

CPU = torch.device("cpu")
BOOK = CorpusSize("book.txt", "utf-8", "char", 65, 1_000_000, 110_000)
BF16 = TrainConfig(steps=1, precision="bf16")


@pytest.fixture(autouse=True)
def every_processor_seems_to_have_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make these tests the same on any machine; the faults are injected."""
    monkeypatch.setattr(backends, "why_not_bf16", lambda device: None)
    monkeypatch.setattr(backends, "why_not_fused", lambda device: None)


def sound(model: ModelConfig, training: TrainConfig, device: torch.device, batch: CheckBatch) -> Gradients:
    """Compute what a backend that works computes."""
    return loss_and_gradients(model, replace(training, precision="fp32", kernels="torch"), CPU, batch)


def raising(*given: object) -> Gradients:
    raise RuntimeError("could not create a primitive descriptor\nfor the LSTM")


RELEASED = Event()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """End the threads that hang with their test: otherwise they would end commands of later tests."""
    RELEASED.clear()
    yield
    RELEASED.set()
    deadline.let_threads_end()


def hanging(*given: object) -> Gradients:
    RELEASED.wait()
    raise AssertionError("it never ends")


def crawling(model: ModelConfig, training: TrainConfig, device: torch.device, batch: CheckBatch) -> Gradients:
    time.sleep(2.0 if len(batch.inputs) > 1 else 0.0)
    return sound(model, training, device, batch)


def not_a_number(
    model: ModelConfig, training: TrainConfig, device: torch.device, batch: CheckBatch
) -> Gradients:
    return replace(sound(model, training, device, batch), loss=float("nan"))


def with_a_nan(
    model: ModelConfig, training: TrainConfig, device: torch.device, batch: CheckBatch
) -> Gradients:
    found = sound(model, training, device, batch)
    found.by_name["members.0.layers.0.kernel.weight_hh_l0"][3, 5] = float("nan")
    return found


def wrong(model: ModelConfig, training: TrainConfig, device: torch.device, batch: CheckBatch) -> Gradients:
    found = sound(model, training, device, batch)
    found.by_name["members.0.layers.0.kernel.weight_hh_l0"] *= 1.5
    return found


def wrong_loss(
    model: ModelConfig, training: TrainConfig, device: torch.device, batch: CheckBatch
) -> Gradients:
    found = sound(model, training, device, batch)
    return replace(found, loss=1.01 * found.loss)


FAULTS = {
    "raises": (raising, "RuntimeError: could not create a primitive descriptor for the LSTM"),
    "hangs": (hanging, "a small step had not ended after 0.5 s"),
    "crawls": (crawling, "times as long as in fp32 on the CPU"),
    "loss is NaN": (not_a_number, "its loss is nan"),
    "gradient is NaN": (with_a_nan, "its gradient of members.0.layers.0.kernel.weight_hh_l0 is off by nan"),
    "gradient is wrong": (wrong, "its gradient of members.0.layers.0.kernel.weight_hh_l0 is off by 0.5"),
    "loss is wrong": (wrong_loss, "its loss is "),
}


def speeds(check: BackendCheck) -> ThroughputBenchmark:
    """Return a benchmark in which what passes the check is fast, and bf16 is faster."""

    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        checked = throughput_benchmark(check)
        checked(model, training, 1e-6)
        return {"fp32": 30_000.0, "bf16": 90_000.0}[training.precision]

    return measure


def planned(check: BackendCheck, **settings: object) -> Plan:
    overrides = overrides_of({"hidden_size": 64, "num_layers": 1, **settings})
    measure = speeds(check)
    profile = measure_hardware(measure, overrides, "cpu", None)
    return make_plan(BOOK, overrides, profile, measure)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("budget", [{"seconds": 60.0}, {"steps": 50}], ids=str)
def test_planning_goes_on_without_a_backend_that_fails(fault: str, budget: dict[str, object]) -> None:
    step, reason = FAULTS[fault]
    deadline = 0.5 if fault == "hangs" else 20.0
    plan = planned(BackendCheck(CPU, step, deadline), **budget)
    assert (plan.training.precision, plan.training.kernels) == ("fp32", "torch")
    tried = {one for one in BACKENDS[1:] if "seconds" in budget or one.kernels == "fused"}
    for one in tried:
        assert any(line.startswith(f"{one}: ") and reason in line for line in plan.planned.unusable)
    assert len(plan.planned.unusable) >= len(tried)


def test_a_backend_that_works_is_used() -> None:
    plan = planned(BackendCheck(CPU, sound), seconds=60.0)
    assert plan.training.precision == "bf16"
    assert plan.planned.unusable == ()


def test_a_given_backend_that_fails_is_an_error_with_the_reason() -> None:
    with pytest.raises(ConfigError, match="precision bf16 cannot be used here: RuntimeError") as refused:
        planned(BackendCheck(CPU, raising), precision="bf16", seconds=60.0)
    assert refused.value.hint == "leave out --precision"
    with pytest.raises(ConfigError, match="kernels fused cannot be used here: RuntimeError") as refused:
        planned(BackendCheck(CPU, raising), kernels="fused", steps=5)
    assert refused.value.hint == "leave out --kernels"


def test_a_very_slow_step_is_taken_once() -> None:
    taken: list[float] = []

    def slow(seconds: float) -> TakeStep:
        def step(
            model: ModelConfig, training: TrainConfig, device: torch.device, batch: CheckBatch
        ) -> Gradients:
            if len(batch.inputs) > 1:
                taken.append(seconds)
                time.sleep(seconds)
            return sound(model, training, device, batch)

        return step

    assert "times as long" in str(BackendCheck(CPU, slow(2.0)).why_not(REFERENCE, BF16))
    assert taken == [2.0]


def test_a_gpu_on_which_no_backend_works_is_a_config_error() -> None:
    """On a GPU float32 is checked like the others; on the CPU it is the reference."""

    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        raise Unavailable("its loss is nan")

    with pytest.raises(ConfigError, match="cuda cannot train this model: fp32 with torch kernels: its loss"):
        measure_hardware(measure, overrides_of({"seconds": 60.0}), "cuda", None)


def test_if_the_fastest_fails_in_a_longer_measurement_the_slower_one_is_used() -> None:
    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        if training.precision == "bf16":
            if seconds > QUICK_BENCHMARK_SECONDS:
                raise MemoryError
            return 90_000.0
        return 30_000.0

    overrides = overrides_of({"seconds": 60.0, "hidden_size": 64})
    profile = measure_hardware(measure, overrides, "cpu", None)
    assert profile.backends == (FP32,)
    assert profile.tokens_per_second == 30_000.0


@pytest.mark.parametrize("moment", ["hangs", "Ctrl-C in a check"])
def test_a_thread_that_computes_forever_does_not_abort_the_process(moment: str, own_folder: Path) -> None:
    """Python would end the thread inside torch, which aborts: exit code 134."""
    program = f"""
import os, signal, sys, threading, torch
import rnncli.training.backends as backends
backends.why_not_bf16 = backends.why_not_fused = lambda device: None
def forever(*given):
    if {moment == "Ctrl-C in a check"}:
        os.kill(os.getpid(), signal.SIGINT)
    a = torch.ones(300, 300)
    while True:
        torch.mm(a, a, out=torch.empty(300, 300))
made = backends.BackendCheck
backends.check_on = lambda device: made(device, forever, 0.3)
import rnncli.workflows.train as preparing
preparing.check_on = backends.check_on
from rnncli.__main__ import main
main()
"""
    (own_folder / "text.txt").write_text("what was lost was what we learned\n" * 60)
    arguments = ["train", "text.txt", "--steps", "3", "--hidden-size", "64", "--name", "x", "-v"]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, check=False, timeout=120
    )
    assert done.returncode == (130 if moment == "Ctrl-C in a check" else 0), done.stderr.decode()
    if moment == "hangs":
        assert b"not used=bf16 with fused kernels: a small step had not ended after 0.3 s" in done.stderr
        log = (own_folder / "models" / "x" / "metrics.jsonl").read_text()
        assert "not used: bf16 with fused kernels: a small step had not ended" in log


def test_float32_without_memory_is_an_error_with_a_hint() -> None:
    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        raise RuntimeError("could not create a primitive")

    with pytest.raises(TrainingError, match="cannot take a training step: RuntimeError: could not create"):
        measure_hardware(measure, overrides_of({"seconds": 60.0}), "cpu", None)


def test_other_errors_of_float32_are_raised() -> None:
    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        raise MemoryError

    with pytest.raises(MemoryError):
        measure_hardware(measure, overrides_of({"seconds": 60.0}), "cpu", None)


def test_a_backend_that_fails_only_for_this_model_is_not_used_for_it() -> None:
    def for_lstm_alone(
        model: ModelConfig, training: TrainConfig, device: torch.device, batch: CheckBatch
    ) -> Gradients:
        return (sound if model.cell == "lstm" else raising)(model, training, device, batch)

    plan = planned(BackendCheck(CPU, for_lstm_alone), cell="gru", seconds=60.0)
    assert plan.training.precision == "fp32"
    assert any("primitive descriptor" in line for line in plan.planned.unusable)


def test_a_backend_is_tried_once_for_layers_of_a_kind() -> None:
    taken = []

    def counted(
        model: ModelConfig, training: TrainConfig, device: torch.device, batch: CheckBatch
    ) -> Gradients:
        taken.append(model)
        return sound(model, training, device, batch)

    check = BackendCheck(CPU, counted)
    for hidden_size in (128, 256, 512):
        assert check.why_not(replace(REFERENCE, hidden_size=hidden_size), BF16) is None
    first = len(taken)
    assert check.why_not(replace(REFERENCE, cell="gru"), BF16) is None
    assert len(taken) == 2 * first


def test_a_run_from_another_machine_resumes_with_a_backend_that_works_here() -> None:
    fused = TrainConfig(steps=1, precision="bf16", kernels="fused")

    def without_kernels(
        model: ModelConfig, training: TrainConfig, device: torch.device, batch: CheckBatch
    ) -> Gradients:
        return (raising if training.kernels == "fused" else sound)(model, training, device, batch)

    training, unusable = usable_settings(BackendCheck(CPU, sound), REFERENCE, fused)
    assert (training, unusable) == (fused, ())
    training, unusable = usable_settings(BackendCheck(CPU, without_kernels), REFERENCE, fused)
    assert (training.precision, training.kernels, len(unusable)) == ("bf16", "torch", 1)
    training, unusable = usable_settings(BackendCheck(CPU, raising), REFERENCE, fused)
    assert (training.precision, training.kernels, len(unusable)) == ("fp32", "torch", 2)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_the_backends_of_this_machine_pass_the_check(structure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tolerances are wide enough for every architecture."""
    monkeypatch.setattr(backends, "why_not_bf16", support.why_not_bf16)
    monkeypatch.setattr(backends, "why_not_fused", support.why_not_fused)
    settings = {
        "vocab_size": 300,
        "hidden_size": 128,
        "num_layers": 2,
        "embedding_size": 64,
        **STRUCTURES[structure],
    }
    if settings.get("tied_embeddings"):
        settings["embedding_size"] = 128
    model = ModelConfig(**settings)
    check = BackendCheck(CPU)
    if support.why_not_bf16(CPU) is not None:
        pytest.skip("this processor has no native bf16")
    if support.why_not_bf16(CPU) is None:
        assert check.why_not(model, BF16) is None
    if support.why_no_kernels() is None:
        assert check.why_not(model, replace(BF16, kernels="fused")) is None


def test_bf16_needs_a_processor_that_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support, "_has_native_bf16", lambda: False)
    assert support.why_not_bf16(CPU) == "the processor has no native bf16"
    assert support.why_not_fused(torch.device("meta")) == "they are for CPUs"
    monkeypatch.setattr(backends, "why_not_bf16", support.why_not_bf16)
    assert BackendCheck(CPU, sound).why_not(REFERENCE, BF16) == "the processor has no native bf16"
