"""The fused CPU kernels: the recurrent loops and the softmax as machine code, without Python between steps.

Shapes:
  T: time steps
  B: batch size
  D: hidden size
  G: gates that share the recurrent product (rnn 1, gru 3, lstm 4)
  N: tokens
  V: vocabulary size

A batch of T steps is one call. Every thread owns blocks of UNITS hidden units and computes all gates of its
units, so that products stay in the nearest cache until the gates have used them, and threads wait for
one another once per step:

    thread 0   [U h](r z n of units 0..63) -> gates -> h(0..63)  | wait |  next step
    thread 1   [U h](r z n of units 64..)  -> gates -> h(64..)   | wait |

Columns are therefore stored in blocks: for every 64 units their r, then their z, then their n. Arrays are
bf16; sums and the carried state are fp32. Products come from torch's own micro-kernel
(at::native::cpublas::brgemm, which oneDNN generates for the CPU at hand) and threads from torch's own pool
(libgomp), so that there is one pool. No compiler is needed: numba brings LLVM.

Nothing here checks its arguments; nn/fused/autograd.py is the only caller. All of it is one file, since
numba's cache of machine code notices changes only in the file of the function that it compiled.
"""

# mypy: ignore-errors
# mypy cannot follow the types that numba gives these functions.

import ctypes
import math
from pathlib import Path

import llvmlite.binding
import numpy as np
import torch
from llvmlite import ir
from numba import carray, cfunc, njit, types
from numba.extending import intrinsic, register_jitable

from rnncli.nn.config import BLOCK

UNITS = BLOCK
RNN_TANH, RNN_RELU, GRU, LSTM = range(4)

# Slots of the argument of both passes: sizes, then addresses.
SLOTS = 20
(
    CELL,  # one of the four above
    TIME,
    BATCH_SIZE,
    HIDDEN_SIZE,
    GATES,
    INPUTS,  # (T, B, G D) bf16: input products, in blocks
    WEIGHTS,  # (G D, D) fp32: the recurrent matrix as the model has it
    PACKED,  # (G D, D) bf16: space for the same in the order of the micro-kernel
    BIAS,  # (G D) fp32 in blocks, added to the gates; gru: r and z of both biases, n of the input's
    RECURRENT_BIAS,  # (D) fp32: the bias within gru's candidate
    STATE,  # (B, D) fp32: h of the gru, c of the lstm, carried from step to step
    HIDDEN,  # (T + 1, B, D) bf16: h before and after every step
    SAVED,  # (T, B, S D) bf16 in blocks: what the backward pass needs, S of saved_slots()
    SCRATCH,  # threads x scratch_floats() fp32
    OUTPUT_GRADIENT,  # (T, B, D) bf16
    HIDDEN_GRADIENT,  # (B, D) fp32: of h after the last step; on return of h before the first
    STATE_GRADIENT,  # (B, D) fp32: the same of c of the lstm
    INPUT_GRADIENT,  # (T, B, G D) bf16 in blocks: of the input products
    PRODUCT_GRADIENT,  # the same of the recurrent products; another array for gru only
    BIAS_GRADIENT,  # (G + 1, D): fp32 in blocks of G + 1: of BIAS, then of RECURRENT_BIAS
) = range(SLOTS)

# Slots of the softmax's argument.
SOFTMAX_SLOTS = 7
(
    ROWS,
    VOCAB_SIZE,
    LOGITS,  # (N, V) bf16; on return their gradient
    TARGETS,  # (N) int64, negative where there is none
    SCALE,  # (1) fp32: what one nat adds to the loss
    NLL,  # (N) fp32: -ln p of each target
    SOFTMAX_SCRATCH,  # threads x (2 V + UNITS) fp32, zeros at first: each gradient of the bias
) = range(SOFTMAX_SLOTS)


@register_jitable
def saved_slots(cell: int) -> int:
    """The numbers in SAVED for one unit."""
    return 4 if cell == GRU else 6 if cell == LSTM else 0


@register_jitable
def scratch_floats(batch_size: int) -> int:
    """The floats of scratch space of one thread: the products of a block, or one row of gradients."""
    return batch_size * 5 * UNITS


def _symbol(library: ctypes.CDLL, name: str, alias: str) -> None:
    address = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
    llvmlite.binding.add_symbol(alias, address)


_LIBRARIES = Path(torch.__file__).parent / "lib"
_TORCH = ctypes.CDLL(str(_LIBRARIES / "libtorch_cpu.so"))
_THREADS = ctypes.CDLL(str(_LIBRARIES / "libgomp.so.1"))
# void brgemm(M, N, K, lda, ldb, ldc, add_C, const BFloat16* A, const BFloat16* B, float* C, is_vnni)
_symbol(_TORCH, "_ZN2at6native7cpublas6brgemmEllllllbPKN3c108BFloat16ES5_Pfb", "rnncli_brgemm")
_symbol(_TORCH, "_ZN2at6native7cpublas14brgemm_releaseEb", "rnncli_brgemm_release")
_symbol(_THREADS, "omp_get_thread_num", "rnncli_thread")
_symbol(_THREADS, "omp_get_num_threads", "rnncli_threads")
_symbol(_THREADS, "GOMP_barrier", "rnncli_barrier")
_parallel = _THREADS.GOMP_parallel
_parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
_parallel.restype = None

_int = types.int64
_brgemm = types.ExternalFunction("rnncli_brgemm", types.void(*[_int] * 11))
_release = types.ExternalFunction("rnncli_brgemm_release", types.void(_int))
_thread = types.ExternalFunction("rnncli_thread", types.int32())
_threads = types.ExternalFunction("rnncli_threads", types.int32())
_barrier = types.ExternalFunction("rnncli_barrier", types.void())

_F = np.float32
_U = np.uint64  # indices without a sign: a negative one would need a check, and no loop would be vectorized
_BF16 = np.zeros(1, np.uint16)
_FP32 = np.zeros(1, np.float32)
_INT64 = np.zeros(1, np.int64)
_PAIR = np.zeros(1, np.uint32)
# No reordering of sums and no assumption that numbers are finite: a NaN must be seen.
_OPTIONS = {"fastmath": {"contract", "nsz", "arcp"}, "error_model": "numpy"}


@intrinsic
def _array_at(_, address, like):
    """Return a pointer to elements of the type of `like`."""
    signature = types.CPointer(like.dtype)(address, like)

    def generate(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return signature, generate


@intrinsic
def _float_of_bits(_, bits):
    return types.float32(types.uint32), lambda c, builder, s, a: builder.bitcast(a[0], ir.FloatType())


@intrinsic
def _bits_of_float(_, number):
    return types.uint32(types.float32), lambda c, builder, s, a: builder.bitcast(a[0], ir.IntType(32))


@njit(**_OPTIONS)
def _to_fp32(bits):
    """Convert bf16 to fp32."""
    return _float_of_bits(types.uint32(bits) << types.uint32(16))


@njit(**_OPTIONS)
def _to_bf16(number):
    """Round fp32 to bf16, to nearest even. A NaN stays a NaN, since its mantissa does not overflow."""
    bits = _bits_of_float(number)
    return types.uint16(
        (bits + types.uint32(0x7FFF) + ((bits >> types.uint32(16)) & types.uint32(1))) >> types.uint32(16)
    )


@njit(**_OPTIONS)
def _exp(x):
    """e**x within 2e-7 of it, for |x| below 87: 2**n times a polynomial of degree 5 on [-1/2, 1/2]."""
    y = x * _F(1.44269504)
    y = _F(125.0) if y > _F(125.0) else y
    y = _F(-125.0) if y < _F(-125.0) else y
    shifted = y + _F(12582912.0)  # 1.5 * 2**23: the sum's last bits are y, rounded
    f = y - (shifted - _F(12582912.0))
    p = _F(1.8775767e-3)
    p = p * f + _F(8.9893397e-3)
    p = p * f + _F(5.5826318e-2)
    p = p * f + _F(2.4015361e-1)
    p = p * f + _F(6.9315308e-1)
    p = p * f + _F(9.9999994e-1)
    n = _bits_of_float(shifted) - types.uint32(0x4B400000)
    return _float_of_bits(_bits_of_float(p) + types.uint32(n << types.uint32(23)))


@njit(**_OPTIONS)
def _sigmoid(x):
    return _F(1) / (_F(1) + _exp(-x))


@njit(**_OPTIONS)
def _tanh(x):
    return _F(2) / (_F(1) + _exp(_F(-2) * x)) - _F(1)


# One step of one block of units of one text. Each loop touches few arrays, since else the compiler would have
# to prove too many pairs of them distinct to vectorize it. `c` holds the products and then the gates.


@njit(**_OPTIONS)
def _rnn_row(relu, c, x, bias, after, at_c, at_x, at_bias, at_h):
    units = _U(UNITS)
    for j in range(units):
        c[at_c + j] += _to_fp32(x[at_x + j]) + bias[at_bias + j]
    if relu:
        for j in range(units):
            h = c[at_c + j]
            after[at_h + j] = _to_bf16(_F(0) if h < _F(0) else h)
    else:
        for j in range(units):
            after[at_h + j] = _to_bf16(_tanh(c[at_c + j]))


@njit(**_OPTIONS)
def _gru_row(c, x, bias, inner_bias, state, after, saved, at_c, at_x, at_bias, at_unit, at_h, at_saved):
    units = _U(UNITS)
    for j in range(_U(2) * units):  # r, z
        c[at_c + j] = _sigmoid(c[at_c + j] + _to_fp32(x[at_x + j]) + bias[at_bias + j])
    q, n = at_c + _U(2) * units, at_c + _U(3) * units
    at_x, at_bias = at_x + _U(2) * units, at_bias + _U(2) * units
    for j in range(units):
        c[q + j] += inner_bias[at_unit + j]
    for j in range(units):
        c[n + j] = _tanh(_to_fp32(x[at_x + j]) + bias[at_bias + j] + c[at_c + j] * c[q + j])
    for j in range(units):
        state[at_h + j] = c[n + j] + c[at_c + units + j] * (state[at_h + j] - c[n + j])
    for j in range(units):
        after[at_h + j] = _to_bf16(state[at_h + j])
    for j in range(_U(4) * units):
        saved[at_saved + j] = _to_bf16(c[at_c + j])


@njit(**_OPTIONS)
def _lstm_row(c, x, bias, state, after, saved, at_c, at_x, at_bias, at_h, at_saved):
    units = _U(UNITS)
    f, g, o, tanh_c = at_c + units, at_c + _U(2) * units, at_c + _U(3) * units, at_c + _U(4) * units
    for j in range(_U(4) * units):
        c[at_c + j] += _to_fp32(x[at_x + j]) + bias[at_bias + j]
    for j in range(_U(2) * units):  # i, f
        c[at_c + j] = _sigmoid(c[at_c + j])
    for j in range(units):
        c[g + j] = _tanh(c[g + j])
        c[o + j] = _sigmoid(c[o + j])
    for j in range(units):
        saved[at_saved + _U(5) * units + j] = _to_bf16(state[at_h + j])
    for j in range(units):
        state[at_h + j] = c[f + j] * state[at_h + j] + c[at_c + j] * c[g + j]
    for j in range(units):
        c[tanh_c + j] = _tanh(state[at_h + j])
    for j in range(units):
        after[at_h + j] = _to_bf16(c[o + j] * c[tanh_c + j])
    for j in range(_U(5) * units):
        saved[at_saved + j] = _to_bf16(c[at_c + j])


@njit(**_OPTIONS)
def _rnn_row_back(relu, s, after, dx, db, at_h, at_x, at_db):
    units = _U(UNITS)
    if relu:
        for j in range(units):
            s[j] = s[j] if _to_fp32(after[at_h + j]) > _F(0) else _F(0)
    else:
        for j in range(units):
            h = _to_fp32(after[at_h + j])
            s[j] *= _F(1) - h * h
    for j in range(units):
        dx[at_x + j] = _to_bf16(s[j])
    for j in range(units):
        db[at_db + j] += s[j]


@njit(**_OPTIONS)
def _gru_row_back(s, dh, before, saved, dx, dproduct, db, at_h, at_saved, at_x, at_db):
    """s: dh, and then dr, dz, dn, dq (q: the candidate's recurrent product) of equations in recurrent.py."""
    units = _U(UNITS)
    r, z, n, q = units, _U(2) * units, _U(3) * units, _U(4) * units
    for j in range(units):
        dh[at_h + j] = s[j] * _to_fp32(saved[at_saved + units + j])
    for j in range(units):
        s[z + j] = s[j] * (_to_fp32(before[at_h + j]) - _to_fp32(saved[at_saved + _U(3) * units + j]))
    for j in range(units):
        z_ = _to_fp32(saved[at_saved + units + j])
        n_ = _to_fp32(saved[at_saved + _U(3) * units + j])
        s[z + j] *= z_ * (_F(1) - z_)
        s[n + j] = s[j] * (_F(1) - z_) * (_F(1) - n_ * n_)
    for j in range(units):
        r_ = _to_fp32(saved[at_saved + j])
        s[r + j] = s[n + j] * _to_fp32(saved[at_saved + _U(2) * units + j]) * r_ * (_F(1) - r_)
        s[q + j] = s[n + j] * r_
    for j in range(_U(3) * units):
        dx[at_x + j] = _to_bf16(s[r + j])
    for j in range(_U(2) * units):
        dproduct[at_x + j] = _to_bf16(s[r + j])
    for j in range(units):
        dproduct[at_x + _U(2) * units + j] = _to_bf16(s[q + j])
    for j in range(_U(4) * units):
        db[at_db + j] += s[r + j]


@njit(**_OPTIONS)
def _lstm_row_back(s, dstate, saved, dx, db, at_h, at_saved, at_x, at_db):
    """s: dh, and then di, df, dg, do of the equations in recurrent.py."""
    units = _U(UNITS)
    i, f, g, o = units, _U(2) * units, _U(3) * units, _U(4) * units
    for j in range(units):
        o_ = _to_fp32(saved[at_saved + _U(3) * units + j])
        t_ = _to_fp32(saved[at_saved + _U(4) * units + j])
        s[o + j] = s[j] * t_ * o_ * (_F(1) - o_)
        s[j] *= o_ * (_F(1) - t_ * t_)
    for j in range(units):
        dstate[at_h + j] += s[j]
    for j in range(units):
        dc = dstate[at_h + j]
        i_ = _to_fp32(saved[at_saved + j])
        g_ = _to_fp32(saved[at_saved + _U(2) * units + j])
        s[i + j] = dc * g_ * i_ * (_F(1) - i_)
        s[g + j] = dc * i_ * (_F(1) - g_ * g_)
    for j in range(units):
        f_ = _to_fp32(saved[at_saved + units + j])
        s[j] = dstate[at_h + j] * f_
        s[f + j] = s[j] * _to_fp32(saved[at_saved + _U(5) * units + j]) * (_F(1) - f_)
    for j in range(units):
        dstate[at_h + j] = s[j]
    for j in range(_U(4) * units):
        dx[at_x + j] = _to_bf16(s[i + j])
    for j in range(_U(4) * units):
        db[at_db + j] += s[i + j]


@njit(**_OPTIONS)
def _pack_for_h(weights, packed, gates, hidden_size, block):
    """Pack the rows of the recurrent matrix of one block's gates, for h U^T: columns in pairs."""
    columns = gates * UNITS
    few = 16  # pairs at a time, so that the target stays in the nearest cache
    for chunk in range(hidden_size // 2 // few):
        for gate in range(gates):
            for unit in range(UNITS):
                source = _U((gate * hidden_size + block * UNITS + unit) * hidden_size + 2 * few * chunk)
                target = _U((block * (hidden_size // 2) + few * chunk) * columns + gate * UNITS + unit)
                for pair in range(_U(few)):
                    low = types.uint32(_to_bf16(weights[source + _U(2) * pair]))
                    high = types.uint32(_to_bf16(weights[source + _U(2) * pair + _U(1)]))
                    packed[target + pair * _U(columns)] = low | (high << types.uint32(16))


@njit(**_OPTIONS)
def _pack_for_gradient(weights, packed, gates, hidden_size, block):
    """Pack the columns of one block's units, for dgates U: rows in pairs, in the order of gates in blocks."""
    target = _U(block * UNITS * gates * (hidden_size // 2))
    for rows in range(hidden_size // UNITS):
        for gate in range(gates):
            for pair in range(UNITS // 2):
                source = _U((gate * hidden_size + rows * UNITS + 2 * pair) * hidden_size + block * UNITS)
                for unit in range(_U(UNITS)):
                    low = types.uint32(_to_bf16(weights[source + unit]))
                    high = types.uint32(_to_bf16(weights[source + _U(hidden_size) + unit]))
                    packed[target + unit] = low | (high << types.uint32(16))
                target += _U(UNITS)


@cfunc(types.void(types.CPointer(_int)), cache=True, **_OPTIONS)
def _forward(p):
    a = carray(p, (SLOTS,))
    cell, time, batch_size, hidden_size, gates = a[CELL], a[TIME], a[BATCH_SIZE], a[HIDDEN_SIZE], a[GATES]
    thread, threads = _int(_thread()), _int(_threads())
    saved_size = _int(saved_slots(cell))
    columns = gates * UNITS
    row = _int(max(columns, 4 * UNITS) if cell != LSTM else 5 * UNITS)
    x = carray(_array_at(a[INPUTS], _BF16), (1,))
    bias = carray(_array_at(a[BIAS], _FP32), (1,))
    inner_bias = carray(_array_at(a[RECURRENT_BIAS], _FP32), (1,))
    state = carray(_array_at(a[STATE], _FP32), (1,))
    saved = carray(_array_at(a[SAVED], _BF16), (1,))
    products = a[SCRATCH] + 4 * thread * scratch_floats(batch_size)
    c = carray(_array_at(products, _FP32), (1,))
    weights = carray(_array_at(a[WEIGHTS], _FP32), (1,))
    packed = carray(_array_at(a[PACKED], _PAIR), (1,))
    blocks = hidden_size // UNITS
    first, last = blocks * thread // threads, blocks * (thread + 1) // threads
    for block in range(first, last):
        _pack_for_h(weights, packed, gates, hidden_size, block)
    for t in range(time):
        after = carray(_array_at(a[HIDDEN] + 2 * (t + 1) * batch_size * hidden_size, _BF16), (1,))
        for block in range(first, last):
            _brgemm(
                batch_size, columns, hidden_size, hidden_size, columns, row, 0,
                a[HIDDEN] + 2 * t * batch_size * hidden_size,
                a[PACKED] + 2 * block * columns * hidden_size, products, 1,
            )  # fmt: skip
            for sample in range(batch_size):
                at_c = _U(sample * row)
                at_x = _U((t * batch_size + sample) * gates * hidden_size + block * columns)
                at_bias, at_unit = _U(block * columns), _U(block * UNITS)
                at_h = _U(sample * hidden_size + block * UNITS)
                at_saved = _U(((t * batch_size + sample) * hidden_size + block * UNITS) * saved_size)
                if cell == GRU:
                    _gru_row(
                        c, x, bias, inner_bias, state, after, saved,
                        at_c, at_x, at_bias, at_unit, at_h, at_saved,
                    )  # fmt: skip
                elif cell == LSTM:
                    _lstm_row(c, x, bias, state, after, saved, at_c, at_x, at_bias, at_h, at_saved)
                else:
                    _rnn_row(cell == RNN_RELU, c, x, bias, after, at_c, at_x, at_bias, at_h)
        _barrier()
    _release(1)


@cfunc(types.void(types.CPointer(_int)), cache=True, **_OPTIONS)
def _backward(p):
    a = carray(p, (SLOTS,))
    cell, time, batch_size, hidden_size, gates = a[CELL], a[TIME], a[BATCH_SIZE], a[HIDDEN_SIZE], a[GATES]
    thread, threads = _int(_thread()), _int(_threads())
    saved_size = _int(saved_slots(cell))
    columns = gates * UNITS
    saved = carray(_array_at(a[SAVED], _BF16), (1,))
    dh = carray(_array_at(a[HIDDEN_GRADIENT], _FP32), (1,))
    dstate = carray(_array_at(a[STATE_GRADIENT], _FP32), (1,))
    dx = carray(_array_at(a[INPUT_GRADIENT], _BF16), (1,))
    dproduct = carray(_array_at(a[PRODUCT_GRADIENT], _BF16), (1,))
    db = carray(_array_at(a[BIAS_GRADIENT], _FP32), (1,))
    s = carray(_array_at(a[SCRATCH] + 4 * thread * scratch_floats(batch_size), _FP32), (1,))
    weights = carray(_array_at(a[WEIGHTS], _FP32), (1,))
    packed = carray(_array_at(a[PACKED], _PAIR), (1,))
    blocks = hidden_size // UNITS
    first, last = blocks * thread // threads, blocks * (thread + 1) // threads
    for block in range(first, last):
        _pack_for_gradient(weights, packed, gates, hidden_size, block)
    for back in range(time):
        t = time - 1 - back
        dout = carray(_array_at(a[OUTPUT_GRADIENT] + 2 * t * batch_size * hidden_size, _BF16), (1,))
        before = carray(_array_at(a[HIDDEN] + 2 * t * batch_size * hidden_size, _BF16), (1,))
        after = carray(_array_at(a[HIDDEN] + 2 * (t + 1) * batch_size * hidden_size, _BF16), (1,))
        for block in range(first, last):
            for sample in range(batch_size):
                at_h = _U(sample * hidden_size + block * UNITS)
                at_x = _U((t * batch_size + sample) * gates * hidden_size + block * columns)
                at_saved = _U(((t * batch_size + sample) * hidden_size + block * UNITS) * saved_size)
                at_db = _U(block * UNITS * (gates + 1))
                for j in range(_U(UNITS)):
                    s[j] = dh[at_h + j] + _to_fp32(dout[at_h + j])
                if cell == GRU:
                    _gru_row_back(
                        s, dh, before, saved, dx, dproduct, db, at_h, at_saved, at_x, at_db
                    )  # fmt: skip
                elif cell == LSTM:
                    _lstm_row_back(s, dstate, saved, dx, db, at_h, at_saved, at_x, at_db)
                else:
                    _rnn_row_back(cell == RNN_RELU, s, after, dx, db, at_h, at_x, at_db)
        _barrier()
        for block in range(first, last):
            # The gru adds to z dh; in the others dh comes from the product alone.
            _brgemm(
                batch_size, UNITS, gates * hidden_size, gates * hidden_size, UNITS, hidden_size,
                1 if cell == GRU else 0,
                a[PRODUCT_GRADIENT] + 2 * t * batch_size * gates * hidden_size,
                a[PACKED] + 2 * block * UNITS * gates * hidden_size,
                a[HIDDEN_GRADIENT] + 4 * block * UNITS, 1,
            )  # fmt: skip
    _release(1)


@njit(**_OPTIONS)
def _largest(logits, partial, at, vocab_size):
    units = _U(UNITS)
    for j in range(units):
        partial[j] = _F(-np.inf)
    for block in range(vocab_size // units):
        for j in range(units):
            x = _to_fp32(logits[at + block * units + j])
            partial[j] = x if x > partial[j] else partial[j]
    largest = _F(-np.inf)
    for j in range(units):
        largest = max(largest, partial[j])
    for j in range(vocab_size // units * units, vocab_size):
        largest = max(largest, _to_fp32(logits[at + j]))
    return largest


@njit(**_OPTIONS)
def _exponentials(logits, exponentials, at, vocab_size, largest):
    for j in range(vocab_size):
        exponentials[j] = _exp(_to_fp32(logits[at + j]) - largest)


@njit(**_OPTIONS)
def _total(exponentials, partial, vocab_size):
    """Return the sum of all, made of UNITS partial sums, which is faster and more exact than one."""
    units = _U(UNITS)
    for j in range(units):
        partial[j] = _F(0)
    for block in range(vocab_size // units):
        for j in range(units):
            partial[j] += exponentials[block * units + j]
    total = 0.0
    for j in range(units):
        total += partial[j]
    for j in range(vocab_size // units * units, vocab_size):
        total += exponentials[j]
    return total


@cfunc(types.void(types.CPointer(_int)), cache=True, **_OPTIONS)
def _softmax(p):
    a = carray(p, (SOFTMAX_SLOTS,))
    rows, vocab_size = a[ROWS], _U(a[VOCAB_SIZE])
    thread, threads = _int(_thread()), _int(_threads())
    scratch = a[SOFTMAX_SCRATCH] + 4 * thread * (2 * a[VOCAB_SIZE] + UNITS)
    db = carray(_array_at(scratch, _FP32), (1,))
    exponentials = carray(_array_at(scratch + 4 * a[VOCAB_SIZE], _FP32), (1,))
    partial = carray(_array_at(scratch + 8 * a[VOCAB_SIZE], _FP32), (1,))
    logits = carray(_array_at(a[LOGITS], _BF16), (1,))
    targets = carray(_array_at(a[TARGETS], _INT64), (1,))
    nll = carray(_array_at(a[NLL], _FP32), (1,))
    scale = carray(_array_at(a[SCALE], _FP32), (1,))[0]
    for row in range(rows * thread // threads, rows * (thread + 1) // threads):
        at, target = _U(row) * vocab_size, targets[row]
        if target < 0:
            nll[row] = _F(0)
            for j in range(vocab_size):
                logits[at + j] = types.uint16(0)
            continue
        largest = _largest(logits, partial, at, vocab_size)
        _exponentials(logits, exponentials, at, vocab_size, largest)
        total = _total(exponentials, partial, vocab_size)
        target_index = _U(target)
        nll[row] = math.log(total) + largest - _to_fp32(logits[at + target_index])
        factor = _F(scale / total)
        for j in range(vocab_size):
            exponentials[j] *= factor
        exponentials[target_index] -= scale
        for j in range(vocab_size):
            db[j] += exponentials[j]
        for j in range(vocab_size):
            logits[at + j] = _to_bf16(exponentials[j])


def run_softmax(arguments: "ctypes.Array[ctypes.c_int64]") -> None:
    _parallel(_softmax.address, ctypes.addressof(arguments), torch.get_num_threads(), 0)


def run_forward(arguments: "ctypes.Array[ctypes.c_int64]") -> None:
    _parallel(_forward.address, ctypes.addressof(arguments), torch.get_num_threads(), 0)


def run_backward(arguments: "ctypes.Array[ctypes.c_int64]") -> None:
    _parallel(_backward.address, ctypes.addressof(arguments), torch.get_num_threads(), 0)
