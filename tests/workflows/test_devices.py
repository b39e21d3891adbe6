"""Where to compute, on machines that this is not."""

import logging

import pytest
import torch

from rnncli.errors import ConfigError
from rnncli.workflows import devices
from rnncli.workflows.devices import pick_device


def test_each_process_of_torchrun_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(devices, "why_not_device", lambda name: None)
    for switch in ("allow_tf32", "deterministic"):
        monkeypatch.setattr(torch.backends.cudnn, switch, getattr(torch.backends.cudnn, switch))
    assert pick_device("auto") == torch.device("cuda", 0)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert pick_device("cuda") == torch.device("cuda", 1)
    assert pick_device("cpu") == torch.device("cpu")
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.allow_tf32


def test_what_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ConfigError, match="device is 'mps'"):
        pick_device("mps")


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose GPUs are there and compute nonsense."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(devices, "why_not_device", lambda name: f"{name} gave NaN")


@pytest.mark.usefixtures("faulty")
def test_a_gpu_that_does_not_work_is_passed_over_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    assert pick_device("auto") == torch.device("cpu")
    assert caplog.messages == ["the GPU is not used: cuda gave NaN"]


@pytest.mark.usefixtures("faulty")
@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_one_that_was_asked_for_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} cannot be used here: {name} gave NaN") as refused:
        pick_device(name)
    assert refused.value.hint == "use --device cpu"


def test_mps_is_taken_only_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(devices, "why_not_device", lambda name: None)
    assert pick_device("auto") == torch.device("cpu")
    assert not caplog.records
    assert pick_device("mps") == torch.device("mps")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "experimental" in caplog.text


def test_a_gpu_whose_driver_fails_is_a_reason_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """This torch has no CUDA: whatever it raises is the reason."""
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    assert devices.why_not_device.__wrapped__("cuda")
