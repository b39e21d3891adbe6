"""The fused CPU kernels against torch's own layers; skipped, with the reason, if they cannot run."""

import copy
import gc
import os
import shutil
import subprocess
import sys
import weakref
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from rnncli.nn.config import BLOCK, ModelConfig
from rnncli.nn.ensemble import RNNLanguageModel
from rnncli.nn.fused import support
from rnncli.nn.fused.support import fused_for, fused_kernels
from rnncli.nn.rnn import LAYERS

needs_kernels = pytest.mark.skipif(
    support.why_no_kernels() is not None, reason=f"no fused kernels here: {support.why_no_kernels()}"
)
CELLS = [("gru", "tanh"), ("lstm", "tanh"), ("rnn", "tanh"), ("rnn", "relu")]
# bf16 has 8 bits: each rounding is off by 0.2% on average, and the errors of several steps add up.
CLOSE = 0.01
# The slope of relu jumps at 0, and a rounding error may cross it.
CLOSE_AT_A_JUMP = 0.08


def relative_error(found: Tensor, exact: Tensor) -> float:
    return float((found.float() - exact).norm() / exact.norm())


def everything(layer: nn.Module, inputs: Tensor, state: list[Tensor], bf16: bool) -> dict[str, Tensor]:
    """Outputs, the state after them, and the gradient of a combination of both with respect to all inputs."""
    layer = copy.deepcopy(layer)
    inputs = inputs.clone().requires_grad_()
    state = [tensor.clone().requires_grad_() for tensor in state]
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16), fused_kernels(bf16):
        outputs, after = layer(inputs, tuple(state))
    rng = torch.Generator().manual_seed(2)
    combination = sum((t.float() * torch.randn(t.shape, generator=rng)).sum() for t in (outputs, *after))
    combination.backward()
    found = {"outputs": outputs, "inputs": inputs.grad}
    found |= {f"after {k}": tensor for k, tensor in enumerate(after)}
    found |= {f"state {k}": tensor.grad for k, tensor in enumerate(state)}
    found |= {name: parameter.grad for name, parameter in layer.named_parameters()}
    return {name: tensor.detach() for name, tensor in found.items() if tensor is not None}


@needs_kernels
@pytest.mark.parametrize(("batch_size", "time", "blocks"), [(1, 1, 1), (3, 17, 3), (33, 5, 2)])
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_outputs_state_and_every_gradient_are_those_of_torch(
    cell: str, nonlinearity: str, batch_size: int, time: int, blocks: int
) -> None:
    torch.manual_seed(1)
    config = ModelConfig(vocab_size=9, cell=cell, nonlinearity=nonlinearity, hidden_size=blocks * BLOCK)
    layer = LAYERS[config.cell](config, 40)
    inputs = torch.randn(batch_size, time, 40)
    state = [torch.randn_like(tensor) * 0.5 for tensor in layer.initial_state(batch_size)]
    exact = everything(layer, inputs, state, bf16=False)
    found = everything(layer, inputs, state, bf16=True)
    assert exact.keys() == found.keys()
    for name in exact:
        limit = CLOSE_AT_A_JUMP if nonlinearity == "relu" and name != "outputs" else CLOSE
        assert relative_error(found[name], exact[name]) < limit, name


@needs_kernels
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_carried_state_equals_one_long_pass(cell: str, nonlinearity: str) -> None:
    config = ModelConfig(
        vocab_size=9, cell=cell, nonlinearity=nonlinearity, hidden_size=BLOCK, num_layers=2, dropout=0.0
    )
    model = RNNLanguageModel.initialized(config, torch.Generator().manual_seed(1))
    tokens = torch.randint(9, (4, 20), generator=torch.Generator().manual_seed(2))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), fused_kernels(True):
        whole, _ = model(tokens, model.initial_state(4))
        first, state = model(tokens[:, :7], model.initial_state(4))
        second, _ = model(tokens[:, 7:], state)
    assert relative_error(torch.cat([first, second], 1), whole.float()) < CLOSE


@needs_kernels
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_nan_is_propagated(cell: str, nonlinearity: str) -> None:
    config = ModelConfig(vocab_size=9, cell=cell, nonlinearity=nonlinearity, hidden_size=BLOCK)
    layer = LAYERS[config.cell](config, 8)
    inputs = torch.randn(2, 3, 8)
    inputs[1, 1, 0] = torch.nan
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), fused_kernels(True):
        outputs, _ = layer(inputs, layer.initial_state(2))
    assert outputs[0].isfinite().all()
    assert outputs[1, 0].isfinite().all()
    assert outputs[1, 1:].isnan().all()


@needs_kernels
@pytest.mark.parametrize(("cell", "nonlinearity"), CELLS)
def test_arrays_are_freed_as_soon_as_they_are_not_needed(cell: str, nonlinearity: str) -> None:
    """Not only when Python collects cycles: until then every batch would allocate memory of its own."""
    config = ModelConfig(vocab_size=9, cell=cell, nonlinearity=nonlinearity, hidden_size=BLOCK)
    layer = LAYERS[config.cell](config, 8)
    gc.disable()
    try:
        with torch.autocast("cpu", torch.bfloat16), fused_kernels(True):
            outputs, after = layer(torch.randn(2, 3, 8), layer.initial_state(2))
        sum(tensor.sum() for tensor in (outputs, *after)).backward()
        node = weakref.ref(after[-1].grad_fn)
        del outputs, after
        assert node() is None
    finally:
        gc.enable()


@needs_kernels
def test_saturated_gates_stay_in_their_range() -> None:
    config = ModelConfig(vocab_size=9, cell="lstm", hidden_size=BLOCK)
    layer = LAYERS[config.cell](config, 8)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16), fused_kernels(True):
        outputs, (_, c) = layer(1e6 * torch.randn(2, 5, 8), layer.initial_state(2))
    assert outputs.abs().max() <= 1.0
    assert c.abs().max() <= 5.0


def test_the_kernels_are_used_only_if_enabled_and_supported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support, "why_no_kernels", lambda: None)
    inputs, whole, odd = torch.zeros(1, 1, 4), nn.GRU(4, BLOCK), nn.GRU(4, BLOCK - 1)
    with torch.autocast("cpu", torch.bfloat16):
        assert fused_for(whole, inputs) is None
        with fused_kernels(True):
            assert fused_for(odd, inputs) is None
            assert fused_for(whole, inputs.to("meta")) is None
    with fused_kernels(True):
        assert fused_for(whole, inputs) is None


@needs_kernels
@pytest.mark.parametrize("name", ["ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"])
@pytest.mark.parametrize(
    ("allowed", "usable"),
    [("avx2", False), ("AVX512_CORE", False), ("AVX512_CORE_BF16", True), ("ALL", True), ("", True)],
)
def test_an_instruction_set_that_onednn_may_not_use_is_respected(
    monkeypatch: pytest.MonkeyPatch, name: str, allowed: str, usable: bool
) -> None:
    monkeypatch.setenv(name, allowed)
    assert support.why_no_kernels.__wrapped__() == (None if usable else f"{name} forbids bf16")


def test_whatever_keeps_the_kernels_from_being_compiled_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = pytest.importorskip("numba.core.errors")

    def refuse() -> None:
        raise errors.NumbaError("no such type")

    monkeypatch.setattr(support, "_load", refuse)
    assert support.why_no_kernels.__wrapped__() == "they could not be loaded: no such type"


def test_without_the_kernels_torch_does_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support, "why_no_kernels", lambda: "there are none")
    config = ModelConfig(vocab_size=9, cell="gru", hidden_size=BLOCK)
    layer = LAYERS[config.cell](config, 8)
    inputs = torch.randn(2, 3, 8)
    with torch.autocast("cpu", torch.bfloat16):
        plain, _ = layer(inputs, layer.initial_state(2))
        with fused_kernels(True):
            found, _ = layer(inputs, layer.initial_state(2))
    assert torch.equal(found, plain)


@needs_kernels
def test_a_corrupted_cache_of_machine_code_is_rebuilt(own_folder: Path) -> None:
    """In a copy of the package, whose cache the other tests do not use."""
    package = Path(support.__file__).parent.parent
    copy = own_folder / "rnncli"
    shutil.copytree(package, copy, ignore=shutil.ignore_patterns("*.pyc"))
    cache = [*(copy / "nn" / "fused" / "__pycache__").glob("kernels.*.nb[ci]")]
    if not cache:
        pytest.skip("numba keeps its cache elsewhere")
    for file in cache:
        file.write_bytes(file.read_bytes()[:1000])
    program = "from rnncli.nn.fused import support; print(support.__file__, support.why_no_kernels())"
    environment = {**os.environ, "PYTHONPATH": str(own_folder)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.stdout.split() == [str(copy / "nn" / "fused" / "support.py"), "None"], done.stderr
