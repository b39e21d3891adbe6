"""A way of computing that fails here, hangs, crawls or computes something else is dropped."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
import torch

from rnncli import runtime
from rnncli.errors import ConfigError, TrainingError
from rnncli.nn.config import ModelConfig
from rnncli.nn.fused import support
from rnncli.training import backends
from rnncli.training.backends import ArrangementCheck, Batch, Gradients, loss_and_gradients, usable_settings
from rnncli.training.config import TrainConfig
from rnncli.training.cost_model import CorpusSize
from rnncli.training.hardware import (
    ARRANGEMENTS,
    COUNTED_PROBE_SECONDS,
    FLOAT32,
    REFERENCE,
    Measure,
    Unavailable,
    measure_machine,
)
from rnncli.training.overrides import Wishes
from rnncli.training.planner import Plan, make_plan
from rnncli.training.throughput import measure_on
from tests.conftest import STRUCTURES

CPU = torch.device("cpu")
BOOK = CorpusSize("book.txt", "utf-8", "char", 65, 1_000_000, 110_000)
BF16 = TrainConfig(steps=1, precision="bf16")
Step = Callable[[ModelConfig, TrainConfig, torch.device, Batch], Gradients]


@pytest.fixture(autouse=True)
def every_processor_seems_to_have_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that these tests try the same on any machine; the faults are injected."""
    monkeypatch.setattr(backends, "why_not_bf16", lambda device: None)
    monkeypatch.setattr(backends, "why_not_fused", lambda device: None)


def sound(model: ModelConfig, training: TrainConfig, device: torch.device, batch: Batch) -> Gradients:
    """What an arrangement that works would compute."""
    return loss_and_gradients(model, replace(training, precision="fp32", kernels="torch"), CPU, batch)


def raising(*given: object) -> Gradients:
    raise RuntimeError("could not create a primitive descriptor\nfor the LSTM")


RELEASED = Event()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Those that hang end with their test: commands of other tests in this process would end it for them."""
    RELEASED.clear()
    yield
    RELEASED.set()
    runtime.let_threads_end()


def hanging(*given: object) -> Gradients:
    RELEASED.wait()
    raise AssertionError("it never ends")


def crawling(model: ModelConfig, training: TrainConfig, device: torch.device, batch: Batch) -> Gradients:
    time.sleep(2.0 if len(batch.inputs) > 1 else 0.0)
    return sound(model, training, device, batch)


def not_a_number(model: ModelConfig, training: TrainConfig, device: torch.device, batch: Batch) -> Gradients:
    return replace(sound(model, training, device, batch), loss=float("nan"))


def with_a_nan(model: ModelConfig, training: TrainConfig, device: torch.device, batch: Batch) -> Gradients:
    found = sound(model, training, device, batch)
    found.by_name["members.0.layers.0.kernel.weight_hh_l0"][3, 5] = float("nan")
    return found


def wrong(model: ModelConfig, training: TrainConfig, device: torch.device, batch: Batch) -> Gradients:
    found = sound(model, training, device, batch)
    found.by_name["members.0.layers.0.kernel.weight_hh_l0"] *= 1.5
    return found


def wrong_loss(model: ModelConfig, training: TrainConfig, device: torch.device, batch: Batch) -> Gradients:
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


def speeds(check: ArrangementCheck) -> Measure:
    """What passes the check is said to be fast, and bf16 to be faster."""

    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        checked = measure_on(check)
        checked(model, training, 1e-6)
        return {"fp32": 30_000.0, "bf16": 90_000.0}[training.precision]

    return measure


def planned(check: ArrangementCheck, **settings: object) -> Plan:
    wishes = Wishes.of({"hidden_size": 64, "num_layers": 1, **settings})
    measure = speeds(check)
    machine = measure_machine(measure, wishes, "cpu", None)
    return make_plan(BOOK, wishes, machine, measure)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("budget", [{"seconds": 60.0}, {"steps": 50}], ids=str)
def test_a_plan_goes_on_without_what_does_not_work(fault: str, budget: dict[str, object]) -> None:
    step, reason = FAULTS[fault]
    deadline = 0.5 if fault == "hangs" else 20.0
    plan = planned(ArrangementCheck(CPU, step, deadline), **budget)
    assert (plan.training.precision, plan.training.kernels) == ("fp32", "torch")
    tried = {one for one in ARRANGEMENTS[1:] if "seconds" in budget or one.kernels == "fused"}
    for one in tried:
        assert any(line.startswith(f"{one}: ") and reason in line for line in plan.planned.dropped)
    assert len(plan.planned.dropped) >= len(tried)


def test_what_works_is_taken() -> None:
    plan = planned(ArrangementCheck(CPU, sound), seconds=60.0)
    assert plan.training.precision == "bf16"
    assert plan.planned.dropped == ()


def test_what_was_asked_for_and_does_not_work_is_refused_with_the_reason() -> None:
    with pytest.raises(ConfigError, match="precision bf16 cannot be used here: RuntimeError") as refused:
        planned(ArrangementCheck(CPU, raising), precision="bf16", seconds=60.0)
    assert refused.value.hint == "leave out --precision"
    with pytest.raises(ConfigError, match="kernels fused cannot be used here: RuntimeError") as refused:
        planned(ArrangementCheck(CPU, raising), kernels="fused", steps=5)
    assert refused.value.hint == "leave out --kernels"


def test_a_step_that_crawls_is_taken_once_and_one_that_was_only_preparing_twice() -> None:
    taken: list[float] = []

    def slow(seconds: float) -> Step:
        def step(model: ModelConfig, training: TrainConfig, device: torch.device, batch: Batch) -> Gradients:
            if len(batch.inputs) > 1:
                taken.append(seconds)
                time.sleep(seconds)
            return sound(model, training, device, batch)

        return step

    assert "times as long" in str(ArrangementCheck(CPU, slow(2.0)).why_not(REFERENCE, BF16))
    assert taken == [2.0]


def test_a_gpu_on_which_nothing_works_is_one_error_and_no_traceback() -> None:
    """float32 there is checked like all others: only on the CPU nothing is left to hold it against."""

    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        raise Unavailable("its loss is nan")

    with pytest.raises(ConfigError, match="cuda cannot train this model: fp32 with torch kernels: its loss"):
        measure_machine(measure, Wishes.of({"seconds": 60.0}), "cuda", None)


def test_what_fails_in_a_longer_measurement_leaves_what_was_slower() -> None:
    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        if training.precision == "bf16":
            if seconds > COUNTED_PROBE_SECONDS:
                raise MemoryError
            return 90_000.0
        return 30_000.0

    wishes = Wishes.of({"seconds": 60.0, "hidden_size": 64})
    machine = measure_machine(measure, wishes, "cpu", None)
    assert machine.arrangements == (FLOAT32,)
    assert machine.tokens_per_second == 30_000.0


@pytest.mark.parametrize("moment", ["hangs", "Ctrl-C in a check"])
def test_a_thread_that_computes_for_ever_does_not_abort_the_process(moment: str, own_folder: Path) -> None:
    """Python would end it inside torch, which aborts: exit code 134."""
    program = f"""
import os, signal, sys, threading, torch
import rnncli.training.backends as arrangement
arrangement.why_not_bf16 = arrangement.why_not_fused = lambda device: None
def for_ever(*given):
    if {moment == "Ctrl-C in a check"}:
        os.kill(os.getpid(), signal.SIGINT)
    a = torch.ones(300, 300)
    while True:
        torch.mm(a, a, out=torch.empty(300, 300))
made = arrangement.ArrangementCheck
arrangement.check_on = lambda device: made(device, for_ever, 0.3)
import rnncli.cli.preparing as preparing
preparing.check_on = arrangement.check_on
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


def test_float32_that_gets_no_memory_is_an_error_with_a_hint() -> None:
    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        raise RuntimeError("could not create a primitive")

    with pytest.raises(TrainingError, match="cannot take a training step: RuntimeError: could not create"):
        measure_machine(measure, Wishes.of({"seconds": 60.0}), "cpu", None)


def test_float32_itself_fails_loudly() -> None:
    def measure(model: ModelConfig, training: TrainConfig, seconds: float) -> float:
        raise MemoryError

    with pytest.raises(MemoryError):
        measure_machine(measure, Wishes.of({"seconds": 60.0}), "cpu", None)


def test_an_arrangement_that_fails_for_this_model_alone_is_left_for_another() -> None:
    def for_lstm_alone(
        model: ModelConfig, training: TrainConfig, device: torch.device, batch: Batch
    ) -> Gradients:
        return (sound if model.cell == "lstm" else raising)(model, training, device, batch)

    plan = planned(ArrangementCheck(CPU, for_lstm_alone), cell="gru", seconds=60.0)
    assert plan.training.precision == "fp32"
    assert any("primitive descriptor" in line for line in plan.planned.dropped)


def test_each_is_tried_once_for_layers_of_a_kind() -> None:
    taken = []

    def counted(model: ModelConfig, training: TrainConfig, device: torch.device, batch: Batch) -> Gradients:
        taken.append(model)
        return sound(model, training, device, batch)

    check = ArrangementCheck(CPU, counted)
    for hidden_size in (128, 256, 512):
        assert check.why_not(replace(REFERENCE, hidden_size=hidden_size), BF16) is None
    first = len(taken)
    assert check.why_not(replace(REFERENCE, cell="gru"), BF16) is None
    assert len(taken) == 2 * first


def test_a_run_from_another_machine_goes_on_with_what_works_here() -> None:
    fused = TrainConfig(steps=1, precision="bf16", kernels="fused")

    def without_kernels(
        model: ModelConfig, training: TrainConfig, device: torch.device, batch: Batch
    ) -> Gradients:
        return (raising if training.kernels == "fused" else sound)(model, training, device, batch)

    training, dropped = usable_settings(ArrangementCheck(CPU, sound), REFERENCE, fused)
    assert (training, dropped) == (fused, ())
    training, dropped = usable_settings(ArrangementCheck(CPU, without_kernels), REFERENCE, fused)
    assert (training.precision, training.kernels, len(dropped)) == ("bf16", "torch", 1)
    training, dropped = usable_settings(ArrangementCheck(CPU, raising), REFERENCE, fused)
    assert (training.precision, training.kernels, len(dropped)) == ("fp32", "torch", 2)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_what_this_machine_has_passes(structure: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tolerances are wide enough for every structure that is trained."""
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
    check = ArrangementCheck(CPU)
    if support.why_not_bf16(CPU) is not None:
        pytest.skip("this processor has no native bf16")
    if support.why_not_bf16(CPU) is None:
        assert check.why_not(model, BF16) is None
    if support.missing() is None:
        assert check.why_not(model, replace(BF16, kernels="fused")) is None


def test_bf16_is_for_processors_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support, "_has_native_bf16", lambda: False)
    assert support.why_not_bf16(CPU) == "the processor has no native bf16"
    assert support.why_not_fused(torch.device("meta")) == "they are for CPUs"
    monkeypatch.setattr(backends, "why_not_bf16", support.why_not_bf16)
    assert ArrangementCheck(CPU, sound).why_not(REFERENCE, BF16) == "the processor has no native bf16"
