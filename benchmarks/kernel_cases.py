"""Shapes, inputs and peers of the kernel benchmark."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from shared.base.seeding import torch_generator
from shared.kernels.convolution import short_convolution
from shared.kernels.delta import delta_rule, gated_delta_rule
from shared.kernels.diagonal import diagonal_recurrence
from shared.kernels.linear_attention import scalar_decay_attention, vector_decay_attention
from shared.kernels.selective import selective_scan

BATCH, CHANNELS = 8, 512  # diagonal recurrence
MATRIX_BATCH, HEADS, SIZE = 4, 4, 64  # kernels with a matrix state, keys and values of one size
SCAN_BATCH, SCAN_CHANNELS, STATES = 2, 256, 16  # selective scan
WIDTH = 4  # of the short convolution, with the batch and channels of the recurrence
FLOAT = 4  # bytes


@dataclass(frozen=True)
class Form:
    """One way to compute a kernel: `load` imports it and returns inputs -> outputs. A Triton form needs a GPU."""

    load: Callable[[], Callable[..., Tensor]]
    longest_forward: int = 1 << 30
    longest_backward: int = 1 << 30
    devices: tuple[str, ...] = ("cpu", "cuda")
    float32: bool = True  # whether it takes float32


@dataclass(frozen=True)
class BenchmarkCase:
    """A kernel at training-like shapes; the first form is ours. Bytes and flops are of one forward pass of ours."""

    name: str
    inputs: Callable[[int], list[Tensor]]
    forms: dict[str, Form]
    bytes_moved: Callable[[int], int]
    flops: Callable[[int], int]


def loss_and_gradients(form: Callable, inputs: list[Tensor], ones: dict[torch.Size, Tensor]) -> None:
    """One forward and backward pass for all inputs; `ones` keeps the gradient of the output from call to call."""
    out = form(*inputs)
    if out.shape not in ones:
        ones[out.shape] = torch.ones_like(out)
    torch.autograd.grad(out, inputs, ones[out.shape])


def _ours(kernel: Callable, backend: str | None = None) -> Callable:
    return lambda: lambda *inputs: kernel(*inputs, backend=backend)[0]


def _normal(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch_generator(0, "benchmark", *shape))


def _uniform(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch_generator(0, "benchmark uniform", *shape))


def _combine(early: tuple[Tensor, Tensor], late: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return late[0] * early[0], late[0] * early[1] + late[1]


def _associative_scan() -> Callable[[Tensor, Tensor], Tensor]:
    from torch._higher_order_ops.associative_scan import associative_scan

    return lambda a, x: associative_scan(_combine, (a, x), dim=1, combine_mode="generic")[1]


def _pscan() -> Callable[[Tensor, Tensor], Tensor]:
    from mambapy.pscan import pscan

    return lambda a, x: pscan(a.unsqueeze(-1), x.unsqueeze(-1)).squeeze(-1)


def _selective_with(load_scan: Callable) -> Callable:
    """Selective scan the way mambapy writes it, around a given scan of (B, T, D, N)."""

    def load() -> Callable[..., Tensor]:
        scan = load_scan()

        def form(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
            decay = torch.exp(delta.unsqueeze(-1) * A)
            states = scan(decay, delta.unsqueeze(-1) * B.unsqueeze(2) * x.unsqueeze(-1))
            return (states @ C.unsqueeze(-1)).squeeze(-1)

        return form

    return load


def _bare_pscan() -> Callable[[Tensor, Tensor], Tensor]:
    from mambapy.pscan import pscan

    return pscan


def _fla_scalar() -> Callable[..., Tensor]:
    from fla.ops.simple_gla.naive import naive_chunk_simple_gla

    return lambda q, k, v, g: naive_chunk_simple_gla(q, k, v, g, scale=1.0)[0]


def _fla_vector() -> Callable[..., Tensor]:
    from fla.ops.gla.naive import naive_recurrent_gla

    return lambda q, k, v, g: naive_recurrent_gla(q, k, v, g)[0]


def _fla_delta() -> Callable[..., Tensor]:
    from fla.ops.delta_rule.naive import delta_rule_chunkwise

    return lambda q, k, v, beta: delta_rule_chunkwise(*(z.transpose(1, 2) for z in (q, k, v, beta)))[0]


def _fla_gated_delta() -> Callable[..., Tensor]:
    from fla.ops.gated_delta_rule.naive import naive_chunk_gated_delta_rule

    return lambda q, k, v, beta, g: naive_chunk_gated_delta_rule(q, k, v, g, beta, scale=1.0)[0]


def _fla_triton(module: str, name: str) -> Callable[[], Callable[..., Tensor]]:
    """A kernel of flash-linear-attention that takes q, k, v and one more as ours does."""

    def load() -> Callable[..., Tensor]:
        kernel = getattr(importlib.import_module(module), name)
        return lambda *inputs: kernel(*inputs, scale=1.0)[0]

    return load


def _fla_gated_triton() -> Callable[..., Tensor]:
    from fla.ops.gated_delta_rule import chunk_gated_delta_rule

    return lambda q, k, v, beta, g: chunk_gated_delta_rule(q, k, v, g, beta, scale=1.0)[0]


def _fla_recurrence() -> Callable[..., Tensor]:
    from fla.ops.hgrn import fused_recurrent_hgrn

    return lambda a, x: fused_recurrent_hgrn(x, a.log())[0]  # it takes logarithms of the decay


def _fla_convolution() -> Callable[..., Tensor]:
    from fla.modules.causal_conv1d.ops import causal_conv1d

    return lambda x, weight, bias: causal_conv1d(x, weight, bias)[0]


def _diagonal_inputs(num_steps: int) -> list[Tensor]:
    shape = (BATCH, num_steps, CHANNELS)
    return [_uniform(*shape), _normal(*shape)]


def _selective_inputs(num_steps: int) -> list[Tensor]:
    steps = (SCAN_BATCH, num_steps)
    x, delta = _normal(*steps, SCAN_CHANNELS), 0.1 * _uniform(*steps, SCAN_CHANNELS)
    A = -torch.arange(1.0, STATES + 1).expand(SCAN_CHANNELS, STATES).contiguous()
    return [x, delta, A, _normal(*steps, STATES), _normal(*steps, STATES)]


def _convolution_inputs(num_steps: int) -> list[Tensor]:
    return [_normal(BATCH, num_steps, CHANNELS), _normal(CHANNELS, WIDTH), _normal(CHANNELS)]


def _matrix_inputs(decay: str | None, beta: bool) -> Callable[[int], list[Tensor]]:
    def inputs(num_steps: int) -> list[Tensor]:
        steps = (MATRIX_BATCH, num_steps, HEADS)
        q, v = _normal(*steps, SIZE) / SIZE**0.5, _normal(*steps, SIZE)
        k = F.normalize(_normal(*steps, SIZE), dim=-1)
        gates = [_uniform(*steps)] if beta else []
        if decay:
            gates.append(-0.1 * _uniform(*steps, *((SIZE,) if decay == "vector" else ())))
        return [q, k, v, *gates]

    return inputs


def _matrix_case(
    name: str, kernel: Callable, peers: dict[str, Form], decay: str | None, beta: bool, products: int
) -> BenchmarkCase:
    """`products`: products with a chunk's (C, C) matrix per token and head, each 2 * C * SIZE flops, C = 64."""
    tokens = MATRIX_BATCH * HEADS
    loop = Form(_ours(kernel, "reference"), longest_forward=4096, longest_backward=1024)
    torch_form = Form(_ours(kernel, "torch"), devices=("cuda",))  # on the CPU it is ours
    return BenchmarkCase(
        name,
        _matrix_inputs(decay, beta),
        {"ours": Form(_ours(kernel)), "torch form": torch_form, "torch loop": loop, **peers},
        bytes_moved=lambda t: tokens * t * SIZE * FLOAT * (5 if decay == "vector" else 4),
        flops=lambda t: tokens * t * SIZE * 2 * (64 * products + SIZE * (3 if beta else 2)),
    )


CASES = {
    case.name: case
    for case in (
        BenchmarkCase(
            "diagonal recurrence",
            _diagonal_inputs,
            {
                "ours": Form(_ours(diagonal_recurrence)),
                "torch form": Form(_ours(diagonal_recurrence, "torch")),
                "torch loop": Form(_ours(diagonal_recurrence, "reference")),
                "mambapy pscan": Form(_pscan),
                "torch associative_scan": Form(_associative_scan),
                "fla fused_recurrent_hgrn": Form(_fla_recurrence, devices=("cuda",)),
            },
            bytes_moved=lambda t: 3 * BATCH * t * CHANNELS * FLOAT,
            flops=lambda t: 0,
        ),
        BenchmarkCase(
            "selective scan",
            _selective_inputs,
            {
                "ours": Form(_ours(selective_scan)),
                "torch form": Form(_ours(selective_scan, "torch")),
                "torch loop": Form(_ours(selective_scan, "reference"), longest_backward=4096),
                "mambapy pscan": Form(_selective_with(_bare_pscan)),
                "torch associative_scan": Form(_selective_with(_associative_scan)),
            },
            # x, delta, y, B, C; the (B, T, D, N) intermediates never leave the cache
            bytes_moved=lambda t: SCAN_BATCH * t * (3 * SCAN_CHANNELS + 2 * STATES) * FLOAT,
            flops=lambda t: 0,
        ),
        BenchmarkCase(
            "short convolution",
            _convolution_inputs,
            {
                "ours": Form(_ours(short_convolution)),
                "torch form": Form(_ours(short_convolution, "torch")),
                "torch loop": Form(_ours(short_convolution, "reference"), longest_backward=512),
                "fla causal_conv1d": Form(_fla_convolution, devices=("cuda",)),
            },
            bytes_moved=lambda t: 2 * BATCH * t * CHANNELS * FLOAT,
            flops=lambda t: 0,
        ),
        _matrix_case(
            "scalar decay",
            scalar_decay_attention,
            {
                "fla naive_chunk_simple_gla": Form(_fla_scalar, devices=("cpu",)),
                "fla chunk_simple_gla": Form(_fla_triton("fla.ops.simple_gla", "chunk_simple_gla"), devices=("cuda",)),
            },
            "scalar",
            False,
            2,
        ),
        _matrix_case(
            "vector decay",
            vector_decay_attention,
            {
                "fla naive_recurrent_gla": Form(_fla_vector, 4096, 1024, devices=("cpu",)),
                "fla chunk_gla": Form(_fla_triton("fla.ops.gla", "chunk_gla"), devices=("cuda",)),
            },
            "vector",
            False,
            2,
        ),
        _matrix_case(
            "delta rule",
            delta_rule,
            {
                "fla delta_rule_chunkwise": Form(_fla_delta, devices=("cpu",)),
                "fla chunk_delta_rule": Form(
                    _fla_triton("fla.ops.delta_rule", "chunk_delta_rule"), devices=("cuda",), float32=False
                ),
            },
            None,
            True,
            4,
        ),
        _matrix_case(
            "gated delta rule",
            gated_delta_rule,
            {
                "fla naive_chunk_gated_delta_rule": Form(_fla_gated_delta, devices=("cpu",)),
                "fla chunk_gated_delta_rule": Form(_fla_gated_triton, devices=("cuda",), float32=False),
            },
            "scalar",
            True,
            4,
        ),
    )
}
