"""Recurrent layers and softmax in bfloat16 on a processor, faster than torch has them.

Plain torch is the reference. Shapes: B lanes, T time, E input width, D width, G gates, N tokens, V
symbols. nn/fused/kernels.py has the loops, this module
the gradients around them: every product that does not wait for the step before is one large product
for the whole window. Importing it loads LLVM; nn/fused/support.py decides when.
"""

import ctypes
from typing import Any

import torch
from torch import Tensor, nn

from rnncli.nn.fused import kernels


def window(kernel: nn.RNNBase, inputs: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
    """inputs (B, T, E), state (B, D) -> outputs (B, T, D) in bfloat16, and the state after T in float32.

    The state is h, for lstm h and c.
    """
    outputs, *after = _Window.apply(
        _cell(kernel),
        inputs.transpose(0, 1).to(torch.bfloat16),
        kernel.weight_ih_l0,
        kernel.weight_hh_l0,
        kernel.bias_ih_l0,
        kernel.bias_hh_l0,
        state[0],
        state[-1],
    )  # type: ignore[no-untyped-call]
    return outputs.transpose(0, 1), *after


def softmax_gradient(logits: Tensor, targets: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    """logits (N, V) in bfloat16 become the gradient of scale * sum of -ln p(target), in place.

    targets (N), negative where there is none -> -ln p (N) and the gradient of the logits' bias (V).
    """
    rows, symbols = logits.shape
    threads = torch.get_num_threads()
    targets, nats, scales = targets.contiguous(), torch.empty(rows), torch.tensor([scale])
    # Zeros: where fewer threads come than were asked for, the others' sums must not count.
    scratch = torch.zeros(threads, 2 * symbols + kernels.UNITS)
    tensors = {
        kernels.LOGITS: logits,
        kernels.TARGETS: targets,
        kernels.SCALE: scales,
        kernels.NATS: nats,
        kernels.SOFTMAX_SCRATCH: scratch,
    }
    kernels.run_softmax(_arguments([rows, symbols], tensors))
    return nats, scratch[:, :symbols].sum(0)


def _cell(kernel: nn.RNNBase) -> int:
    if isinstance(kernel, nn.GRU):
        return kernels.GRU
    if isinstance(kernel, nn.LSTM):
        return kernels.LSTM
    return kernels.RNN_RELU if kernel.nonlinearity == "relu" else kernels.RNN_TANH


class _Window(torch.autograd.Function):
    """Time first: inputs (T, B, E) -> outputs (T, B, D), h (B, D), memory (B, D)."""

    @staticmethod
    def forward(
        ctx: Any,
        cell: int,
        inputs: Tensor,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor,
        bias_hh: Tensor,
        h: Tensor,
        memory: Tensor,
    ) -> tuple[Tensor, ...]:
        time, lanes, _ = inputs.shape
        width = weight_hh.shape[1]
        gates = weight_hh.shape[0] // width
        slots = kernels.saved_slots(cell)
        inputs = inputs.contiguous()
        input_weights = _into_blocks(weight_ih.to(torch.bfloat16), gates)
        bias = bias_ih + bias_hh
        if cell == kernels.GRU:
            bias[2 * width :] = bias_ih[2 * width :]
        tensors = {
            kernels.INPUTS: torch.mm(inputs.flatten(0, 1), input_weights.t()),
            kernels.WEIGHTS: weight_hh.contiguous(),
            kernels.PACKED: torch.empty(gates * width * width, dtype=torch.bfloat16),
            kernels.BIAS: _into_blocks(bias, gates),
            kernels.RECURRENT_BIAS: bias_hh[-width:].contiguous(),
            kernels.MEMORY: memory.detach().clone(memory_format=torch.contiguous_format),
            kernels.HIDDEN: torch.empty(time + 1, lanes, width, dtype=torch.bfloat16),
            kernels.SAVED: torch.empty(time * lanes * slots * width, dtype=torch.bfloat16),
            kernels.SCRATCH: torch.empty(torch.get_num_threads() * kernels.scratch_floats(lanes)),
        }
        hidden = tensors[kernels.HIDDEN]
        hidden[0] = h
        kernels.run_forward(_arguments([cell, time, lanes, width, gates], tensors))
        # A result that its own context holds would stay, and with it all of the window's arrays, until
        # Python looks for cycles: gigabytes, and every step would have to ask for new pages.
        after = tensors.pop(kernels.MEMORY)
        ctx.cell, ctx.gates, ctx.tensors, ctx.inputs, ctx.input_weights = (
            cell,
            gates,
            tensors,
            inputs,
            input_weights,
        )
        if cell == kernels.LSTM:
            return hidden[1:], hidden[-1].float(), after
        return hidden[1:], after if cell == kernels.GRU else hidden[-1].float()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        outputs, h = gradients[:2]
        cell, gates, inputs = ctx.cell, ctx.gates, ctx.inputs
        time, lanes, _ = inputs.shape
        hidden = ctx.tensors[kernels.HIDDEN]
        width = hidden.shape[2]
        of_inputs = torch.empty(time * lanes, gates * width, dtype=torch.bfloat16)
        of_products = torch.empty_like(of_inputs) if cell == kernels.GRU else of_inputs
        of_bias = torch.zeros(width // kernels.UNITS, gates + 1, kernels.UNITS)
        of_h = h.clone(memory_format=torch.contiguous_format)
        of_memory = (
            gradients[2].clone(memory_format=torch.contiguous_format) if cell == kernels.LSTM else of_h
        )
        tensors = {
            **ctx.tensors,
            kernels.OUTPUT_GRADIENT: outputs.to(torch.bfloat16).contiguous(),
            kernels.HIDDEN_GRADIENT: of_h,
            kernels.MEMORY_GRADIENT: of_memory,
            kernels.INPUT_GRADIENT: of_inputs,
            kernels.PRODUCT_GRADIENT: of_products,
            kernels.BIAS_GRADIENT: of_bias,
        }
        kernels.run_backward(_arguments([cell, time, lanes, width, gates], tensors))
        of_weight_hh = torch.mm(of_products.t(), hidden[:-1].flatten(0, 1))
        of_weight_ih = torch.mm(of_inputs.t(), inputs.flatten(0, 1))
        of_bias_ih = of_bias[:, :gates].transpose(0, 1).flatten()
        of_bias_hh = of_bias_ih.clone()
        if cell == kernels.GRU:
            of_bias_hh = torch.cat([of_bias_ih[: 2 * width], of_bias[:, 3].flatten()])
        return (
            None,
            torch.mm(of_inputs, ctx.input_weights).view_as(inputs) if ctx.needs_input_grad[1] else None,
            _out_of_blocks(of_weight_ih, gates),
            _out_of_blocks(of_weight_hh, gates),
            of_bias_ih,
            of_bias_hh,
            of_h,
            of_memory if cell == kernels.LSTM else None,
        )


def _arguments(sizes: list[int], tensors: dict[int, Tensor]) -> "ctypes.Array[ctypes.c_int64]":
    arguments = (ctypes.c_int64 * kernels.SLOTS)(*sizes)
    for slot, tensor in tensors.items():
        arguments[slot] = tensor.data_ptr()
    return arguments


def _into_blocks(rows: Tensor, gates: int) -> Tensor:
    """Rows by gate, then unit -> by block of units, then gate, then unit."""
    return rows.view(gates, -1, kernels.UNITS, *rows.shape[1:]).transpose(0, 1).reshape(rows.shape)


def _out_of_blocks(rows: Tensor, gates: int) -> Tensor:
    blocks = rows.view(-1, gates, kernels.UNITS, *rows.shape[1:])
    return blocks.transpose(0, 1).reshape(rows.shape).float()
