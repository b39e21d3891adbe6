"""The gradients around the fused CPU kernels: recurrent layers and softmax in bf16, faster than torch's own.

torch's own layers are the reference. nn/fused/kernels.py has the loops; here every product that does not
depend on the step before is one large product for all steps. Importing this module loads LLVM;
nn/fused/support.py decides when.

Shapes:
  B: batch size
  T: time steps
  E: input size
  D: hidden size
  G: gates
  N: tokens
  V: vocabulary size
"""

import ctypes
from typing import Any

import torch
from torch import Tensor, nn

from rnncli.nn.fused import kernels


def recurrence(kernel: nn.RNNBase, inputs: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
    """Run a recurrent layer.

    Args:
        kernel: The torch layer, which has the weights.
        inputs: (B, T, E).
        *state: h (B, D), and for the lstm also c (B, D).

    Returns:
        The outputs (B, T, D) in bf16, and the state after step T in fp32.
    """
    outputs, *after = _Recurrence.apply(
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
    """Replace logits by the gradient of scale * sum of -ln p(target), in place.

    Args:
        logits: (N, V) in bf16; on return their gradient.
        targets: Token ids (N,), negative where there is none.
        scale: What one nat adds to the loss.

    Returns:
        -ln p of each target (N,), and the gradient of the bias of the logits (V,).
    """
    rows, vocab_size = logits.shape
    threads = torch.get_num_threads()
    targets, nll, scales = targets.contiguous(), torch.empty(rows), torch.tensor([scale])
    # Zeros: if fewer threads run than were requested, the sums of the missing ones must not count.
    scratch = torch.zeros(threads, 2 * vocab_size + kernels.UNITS)
    tensors = {
        kernels.LOGITS: logits,
        kernels.TARGETS: targets,
        kernels.SCALE: scales,
        kernels.NLL: nll,
        kernels.SOFTMAX_SCRATCH: scratch,
    }
    kernels.run_softmax(_arguments([rows, vocab_size], tensors))
    return nll, scratch[:, :vocab_size].sum(0)


def _cell(kernel: nn.RNNBase) -> int:
    if isinstance(kernel, nn.GRU):
        return kernels.GRU
    if isinstance(kernel, nn.LSTM):
        return kernels.LSTM
    return kernels.RNN_RELU if kernel.nonlinearity == "relu" else kernels.RNN_TANH


class _Recurrence(torch.autograd.Function):
    """Time comes first: inputs (T, B, E) -> outputs (T, B, D), h (B, D), and for the lstm c (B, D).

    `carried` is h for the gru and c for the lstm, which the kernel keeps in fp32.
    """

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
        carried: Tensor,
    ) -> tuple[Tensor, ...]:
        time, batch_size, _ = inputs.shape
        hidden_size = weight_hh.shape[1]
        gates = weight_hh.shape[0] // hidden_size
        saved = kernels.saved_slots(cell)
        inputs = inputs.contiguous()
        input_weights = _into_blocks(weight_ih.to(torch.bfloat16), gates)
        bias = bias_ih + bias_hh
        if cell == kernels.GRU:
            bias[2 * hidden_size :] = bias_ih[2 * hidden_size :]
        tensors = {
            kernels.INPUTS: torch.mm(inputs.flatten(0, 1), input_weights.t()),
            kernels.WEIGHTS: weight_hh.contiguous(),
            kernels.PACKED: torch.empty(gates * hidden_size * hidden_size, dtype=torch.bfloat16),
            kernels.BIAS: _into_blocks(bias, gates),
            kernels.RECURRENT_BIAS: bias_hh[-hidden_size:].contiguous(),
            kernels.STATE: carried.detach().clone(memory_format=torch.contiguous_format),
            kernels.HIDDEN: torch.empty(time + 1, batch_size, hidden_size, dtype=torch.bfloat16),
            kernels.SAVED: torch.empty(time * batch_size * saved * hidden_size, dtype=torch.bfloat16),
            kernels.SCRATCH: torch.empty(torch.get_num_threads() * kernels.scratch_floats(batch_size)),
        }
        hidden = tensors[kernels.HIDDEN]
        hidden[0] = h
        kernels.run_forward(_arguments([cell, time, batch_size, hidden_size, gates], tensors))
        # If its own context held a result, all arrays of the call would stay until Python collects cycles:
        # gigabytes, and every step would have to allocate new pages.
        after = tensors.pop(kernels.STATE)
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
        time, batch_size, _ = inputs.shape
        hidden = ctx.tensors[kernels.HIDDEN]
        hidden_size = hidden.shape[2]
        d_input_products = torch.empty(time * batch_size, gates * hidden_size, dtype=torch.bfloat16)
        d_recurrent_products = torch.empty_like(d_input_products) if cell == kernels.GRU else d_input_products
        d_bias = torch.zeros(hidden_size // kernels.UNITS, gates + 1, kernels.UNITS)
        d_h = h.clone(memory_format=torch.contiguous_format)
        d_carried = gradients[2].clone(memory_format=torch.contiguous_format) if cell == kernels.LSTM else d_h
        tensors = {
            **ctx.tensors,
            kernels.OUTPUT_GRADIENT: outputs.to(torch.bfloat16).contiguous(),
            kernels.HIDDEN_GRADIENT: d_h,
            kernels.STATE_GRADIENT: d_carried,
            kernels.INPUT_GRADIENT: d_input_products,
            kernels.PRODUCT_GRADIENT: d_recurrent_products,
            kernels.BIAS_GRADIENT: d_bias,
        }
        kernels.run_backward(_arguments([cell, time, batch_size, hidden_size, gates], tensors))
        d_weight_hh = torch.mm(d_recurrent_products.t(), hidden[:-1].flatten(0, 1))
        d_weight_ih = torch.mm(d_input_products.t(), inputs.flatten(0, 1))
        d_bias_ih = d_bias[:, :gates].transpose(0, 1).flatten()
        d_bias_hh = d_bias_ih.clone()
        if cell == kernels.GRU:
            d_bias_hh = torch.cat([d_bias_ih[: 2 * hidden_size], d_bias[:, 3].flatten()])
        return (
            None,
            torch.mm(d_input_products, ctx.input_weights).view_as(inputs)
            if ctx.needs_input_grad[1]
            else None,
            _out_of_blocks(d_weight_ih, gates),
            _out_of_blocks(d_weight_hh, gates),
            d_bias_ih,
            d_bias_hh,
            d_h,
            d_carried if cell == kernels.LSTM else None,
        )


def _arguments(sizes: list[int], tensors: dict[int, Tensor]) -> "ctypes.Array[ctypes.c_int64]":
    arguments = (ctypes.c_int64 * kernels.SLOTS)(*sizes)
    for slot, tensor in tensors.items():
        arguments[slot] = tensor.data_ptr()
    return arguments


def _into_blocks(rows: Tensor, gates: int) -> Tensor:
    """Reorder rows from (gate, unit) to (block of units, gate, unit)."""
    return rows.view(gates, -1, kernels.UNITS, *rows.shape[1:]).transpose(0, 1).reshape(rows.shape)


def _out_of_blocks(rows: Tensor, gates: int) -> Tensor:
    """The inverse of `_into_blocks`, in fp32."""
    blocks = rows.view(-1, gates, kernels.UNITS, *rows.shape[1:])
    return blocks.transpose(0, 1).reshape(rows.shape).float()
